/**
 * Counts lines that are not blank, in chunks. Every index read is below the length of the chunk.
 *
 * Blank is what the parser of lines calls blank: bytes up to 0x20 save NUL.
 */

/** What the count remembers between chunks. */
export interface LineRowCount {
  rows: number;
  /** Whether the line at the end of the last chunk has something in it. */
  hasContent: boolean;
}

/** A count before the first byte. */
export function createLineRowCount(): LineRowCount {
  return { rows: 0, hasContent: false };
}

/** Adds the lines of a chunk. Within a line that has content, the line end is found natively. */
export function countLineRows(count: LineRowCount, chunk: Buffer): void {
  for (let at = 0; at < chunk.length; at++) {
    if (count.hasContent) {
      at = chunk.indexOf(0x0a, at);
      if (at < 0) return;
      count.rows++;
      count.hasContent = false;
      continue;
    }
    const byte = chunk[at]!;
    count.hasContent = byte > 0x20 || byte === 0;
  }
}

/** The rows, a last one without a line end included. */
export function finishLineRows(count: LineRowCount): number {
  return count.rows + (count.hasContent ? 1 : 0);
}
