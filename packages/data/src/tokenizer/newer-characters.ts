/**
 * The characters that Unicode 17 added. Split patterns treat them as unassigned.
 *
 * The reference library (npm tokenizers 0.23.2, Oniguruma) has the tables of Unicode 16, Node has 15 to
 * 17 depending on its version. Without this a text would get other ids under a newer Node than models
 * were trained with: U+323B0 is a letter to one and a sign to the other. Found by asking the reference
 * for the class of every code point; these are exactly the 4,803 characters of Unicode 17.0.
 */

/** First and last code point of each run. */
export const NEWER_CHARACTERS: readonly (readonly [number, number])[] = [
  [0x88f, 0x88f],
  [0xc5c, 0xc5c],
  [0xcdc, 0xcdc],
  [0x1acf, 0x1add],
  [0x1ae0, 0x1aeb],
  [0x20c1, 0x20c1],
  [0x2b96, 0x2b96],
  [0xa7ce, 0xa7cf],
  [0xa7d2, 0xa7d2],
  [0xa7d4, 0xa7d4],
  [0xa7f1, 0xa7f1],
  [0xfbc3, 0xfbd2],
  [0xfd90, 0xfd91],
  [0xfdc8, 0xfdce],
  [0x10940, 0x10959],
  [0x10ec5, 0x10ec7],
  [0x10ed0, 0x10ed8],
  [0x10efa, 0x10efb],
  [0x11b60, 0x11b67],
  [0x11db0, 0x11ddb],
  [0x11de0, 0x11de9],
  [0x16ea0, 0x16eb8],
  [0x16ebb, 0x16ed3],
  [0x16ff2, 0x16ff6],
  [0x187f8, 0x187ff],
  [0x18d09, 0x18d1e],
  [0x18d80, 0x18df2],
  [0x1ccfa, 0x1ccfc],
  [0x1ceba, 0x1ced0],
  [0x1cee0, 0x1cef0],
  [0x1e6c0, 0x1e6de],
  [0x1e6e0, 0x1e6f5],
  [0x1e6fe, 0x1e6ff],
  [0x1f6d8, 0x1f6d8],
  [0x1f777, 0x1f77a],
  [0x1f8d0, 0x1f8d8],
  [0x1fa54, 0x1fa57],
  [0x1fa8a, 0x1fa8a],
  [0x1fa8e, 0x1fa8e],
  [0x1fac8, 0x1fac8],
  [0x1facd, 0x1facd],
  [0x1faea, 0x1faea],
  [0x1faef, 0x1faef],
  [0x1fbfa, 0x1fbfa],
  [0x2b73a, 0x2b73f],
  [0x2cea2, 0x2cead],
  [0x323b0, 0x33479],
];

const RUNS = NEWER_CHARACTERS.map(
  ([first, last]) => `\\u{${first.toString(16)}}-\\u{${last.toString(16)}}`,
).join('');
const NEWER = new RegExp(`[${RUNS}]`, 'u');
const ALL_NEWER = new RegExp(NEWER, 'gu');
/** Unassigned, with one and with two UTF-16 units, and likely to stay so. */
const UNASSIGNED = '\u0378';
const UNASSIGNED_PAIR = '\u{e0080}';

/** The text as a split pattern must see it: of the same length, newer characters replaced. */
export function withoutNewer(text: string): string {
  return NEWER.test(text)
    ? text.replace(ALL_NEWER, (char) => (char.length === 1 ? UNASSIGNED : UNASSIGNED_PAIR))
    : text;
}
