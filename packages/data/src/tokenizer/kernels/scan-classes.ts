/** The bits of the one-byte-per-code-point class table that the scanners read. */

/** `\p{L}` */
export const LETTER = 1;
/** `\p{N}` */
export const NUMBER = 2;
/** `\p{White_Space}`, which is what `\s` means in split patterns. */
export const SPACE = 4;
/** U+000A and U+000D. */
export const LINE_END = 8;
/** May change, or change a neighbour, under normalization form C. */
export const COMPOSING = 16;
/** `\w`: touches a `single_word` token. */
export const WORD = 32;
