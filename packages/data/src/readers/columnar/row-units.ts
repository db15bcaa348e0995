/** Cuts the row groups or record batches of a columnar file into units of rows. */
import type { RowUnit } from '../read-unit.js';

/** Rows that are stored together. */
export interface StoredRows {
  readonly rows: number;
  /** Unpacked bytes of the wanted columns. */
  readonly bytes: number;
}

/** How large units are. */
export interface RowUnitSizes {
  readonly unitBytes: number;
  /** A group of rows of more bytes than this is divided. */
  readonly partBytes: number;
}

/** Yields units of several groups, or of a part of one. */
export function* rowUnits(
  file: Pick<RowUnit, 'path' | 'layout'>,
  groups: Iterable<StoredRows>,
  { unitBytes, partBytes }: RowUnitSizes,
): Generator<RowUnit, void, undefined> {
  const { path, layout } = file;
  const unit = (begin: number, end: number): RowUnit => ({
    kind: 'rows',
    path,
    layout,
    begin,
    end,
  });
  let begin = 0;
  let end = 0;
  let held = 0;
  for (const { rows, bytes } of groups) {
    const parts = Math.max(Math.min(Math.ceil(bytes / partBytes), rows), 1);
    if (end > begin && (parts > 1 || held + bytes > unitBytes)) {
      yield unit(begin, end);
      begin = end;
      held = 0;
    }
    // The last part of a group waits for what follows.
    for (let part = 1; part < parts; part++) {
      const partEnd = end + Math.floor((rows * part) / parts);
      yield unit(begin, partEnd);
      begin = partEnd;
    }
    end += rows;
    held += bytes / parts;
  }
  if (end > begin) yield unit(begin, end);
}
