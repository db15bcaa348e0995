/**
 * A map from code points to small numbers, in pages of 256 code points.
 *
 * Bounds: `pages` has one entry per page up to U+10FFFF; page 0 of `values` is all -1 and stands for
 * every page without an entry.
 */

/** Values are -1 where nothing was set. */
export interface CharTable {
  readonly pages: Uint16Array;
  readonly values: Int32Array;
}

/** Builds the table from pairs of code point and value (0 or above). */
export function buildCharTable(entries: ReadonlyMap<number, number>): CharTable {
  const pages = new Uint16Array(0x1100);
  let count = 1;
  for (const codePoint of entries.keys()) {
    const page = codePoint >> 8;
    if (pages[page] === 0) {
      pages[page] = count++;
    }
  }
  const values = new Int32Array(count * 256).fill(-1);
  for (const [codePoint, value] of entries) {
    values[pages[codePoint >> 8]! * 256 + (codePoint & 0xff)] = value;
  }
  return { pages, values };
}

/** The value of a code point, or -1. */
export function charValue(table: CharTable, codePoint: number): number {
  return table.values[(table.pages[codePoint >> 8]! << 8) | (codePoint & 0xff)]!;
}
