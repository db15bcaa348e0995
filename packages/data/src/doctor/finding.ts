/** What the checks report. */
import type { RowOrigin } from '../handlers/conversation.js';

/** How bad a finding is: an error stops a run, a warning is worth a look, an info is good to know. */
export type FindingSeverity = 'error' | 'warning' | 'info';

/** One kind of thing found, with the rows where it was. */
export interface Finding {
  readonly severity: FindingSeverity;
  /** Stable snake_case name; dropped rows use the name of their bucket. */
  readonly code: string;
  /** One sentence with numbers. */
  readonly message: string;
  readonly count: number;
  /** The first {@link ROWS_SHOWN}. */
  readonly rows: readonly RowOrigin[];
  /** What to do about it. */
  readonly fix: string;
}

/** Rows that a finding lists. */
export const ROWS_SHOWN = 20;

/** Builds a finding from the rows that show it; none when there are none. */
export function findingOf(
  rows: readonly RowOrigin[],
  finding: Pick<Finding, 'severity' | 'code' | 'fix'> & { readonly what: string },
): Finding[] {
  if (rows.length === 0) return [];
  const { what, ...rest } = finding;
  const origins = rows.slice(0, ROWS_SHOWN).map(({ source, row }) => ({ source, row }));
  const noun = rows.length === 1 ? 'row' : 'rows';
  return [
    { ...rest, message: `${rows.length} ${noun}: ${what}`, count: rows.length, rows: origins },
  ];
}
