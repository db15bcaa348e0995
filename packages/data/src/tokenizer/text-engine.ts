/** What turns text into ids behind a tokenizer. */

import type { IdBuffer } from './id-buffer.js';

/** One of the two engines: strings and regular expressions, or bytes and tables. */
export interface TextEngine {
  /** Appends the ids of a text to `out`. Lone surrogates count as U+FFFD. */
  encodeText(text: string, parseSpecial: boolean, out: IdBuffer): void;
  /** The same for UTF-8; each maximal subpart that is no UTF-8 counts as U+FFFD. */
  encodeBytes(bytes: Uint8Array, parseSpecial: boolean, out: IdBuffer): void;
}
