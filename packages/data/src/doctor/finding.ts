/** What the checks report, and how they collect it in bounded memory. */
import type { RowOrigin } from '../handlers/conversation.js';
import { FINDINGS, type FindingCode } from './finding-catalog.js';

/**
 * How bad a finding is. An error spoils a run and should stop it, a warning is worth a look before the run, a note is
 * good to know.
 */
export type FindingSeverity = 'error' | 'warning' | 'note';

/** A row that shows a finding. */
export interface FindingRow extends RowOrigin {
  /** What was found there, in a few words. */
  readonly detail?: string;
}

/** One kind of thing found, with the rows where it was. */
export interface Finding {
  readonly severity: FindingSeverity;
  /** Stable snake_case name; rows that are left out use the name of their bucket. */
  readonly code: string;
  /** One sentence with numbers. */
  readonly message: string;
  /** Rows that show it; 0 when it is about the data set or the model as a whole. */
  readonly count: number;
  /** The first {@link ROWS_SHOWN}. */
  readonly rows: readonly FindingRow[];
  /** What to do about it. */
  readonly fix: string;
}

/** Rows that a finding lists. */
export const ROWS_SHOWN = 20;
/** Characters of a detail. */
const DETAIL_CHARS = 80;

/** What replaces the catalogue's words where numbers make them clearer. */
export interface FindingWords {
  readonly severity?: FindingSeverity;
  /** Follows "n rows: ". */
  readonly what?: string;
  readonly fix?: string;
}

interface FoundRows {
  count: number;
  readonly rows: FindingRow[];
  last: RowOrigin;
}

/** Rows by finding: counts are exact, rows bounded. */
export class FindingLog {
  readonly #found = new Map<string, FoundRows>();

  /** Counts a row; once, when it comes several times in a row. */
  add(code: string, { source, row }: RowOrigin, detail?: string): void {
    const found = this.#found.get(code) ?? { count: 0, rows: [], last: { source: '', row: 0 } };
    if (found.last.row === row && found.last.source === source) return;
    if (found.count === 0) this.#found.set(code, found);
    found.count++;
    found.last = { source, row };
    if (found.rows.length >= ROWS_SHOWN) return;
    found.rows.push({ source, row, ...(detail === undefined ? {} : { detail: shorten(detail) }) });
  }

  /** Sets the count of a finding that has rows to what is known from elsewhere, when that is more. */
  raise(code: string, count: number): void {
    const found = this.#found.get(code);
    if (found !== undefined) found.count = Math.max(found.count, count);
  }

  /** The finding of a code in the catalogue; none when no row showed it. */
  take(code: FindingCode, words: FindingWords = {}): Finding[] {
    return this.takeAs(code, { ...FINDINGS[code], ...words });
  }

  /** The finding of any code; none when no row showed it. */
  takeAs(code: string, words: Required<FindingWords>): Finding[] {
    const found = this.#found.get(code);
    if (found === undefined) return [];
    const noun = found.count === 1 ? 'row' : 'rows';
    const { severity, what, fix } = words;
    const message = `${found.count} ${noun}: ${what}`;
    return [{ severity, code, message, count: found.count, rows: found.rows, fix }];
  }
}

/** A finding about a data set or a model as a whole. */
export function generalFinding(code: FindingCode, words: FindingWords = {}): Finding {
  const { severity, what, fix } = { ...FINDINGS[code], ...words };
  return { severity, code, message: what, count: 0, rows: [], fix };
}

/** The worst first; within a severity as they came. */
export function sortFindings(findings: readonly Finding[]): Finding[] {
  const rank = { error: 0, warning: 1, note: 2 } as const;
  return findings.toSorted((a, b) => rank[a.severity] - rank[b.severity]);
}

/** `12.3 %` */
export function percent(share: number): string {
  const value = share * 100;
  return `${value >= 10 || value === 0 ? Math.round(value) : Number(value.toPrecision(2))} %`;
}

function shorten(detail: string): string {
  const text = detail.replace(/\s+/g, ' ').trim();
  return text.length <= DETAIL_CHARS ? text : `${text.slice(0, DETAIL_CHARS - 1)}…`;
}
