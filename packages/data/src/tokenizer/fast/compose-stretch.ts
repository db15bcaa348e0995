/** Normalization form C that copies what cannot change and normalizes only the stretches that can. */

import { findComposing, skipComposing } from '../kernels/scan-text.js';
import { charStartBefore } from '../kernels/utf8.js';
import { normalizeForm } from '../newer-forms.js';
import { codePointClasses } from './code-point-classes.js';
import { TEXT_START, type TextBuffer } from './text-buffer.js';

/** Stretches closer than this are normalized together. */
const JOINED_BYTES = 64;

/**
 * Brings `text[from..to)` to form C. Returns the same place when nothing can change, else the result
 * in `target`.
 */
export function composeStretch(
  text: TextBuffer,
  from: number,
  to: number,
  target: TextBuffer,
): { readonly text: TextBuffer; readonly from: number; readonly to: number } {
  const { bytes } = text;
  const classes = codePointClasses();
  let next = findComposing(bytes, from, to, classes);
  if (next === to) {
    return { text, from, to };
  }
  // No character grows more than threefold in UTF-8 under form C.
  target.reserve((to - from) * 3);
  let copied = from;
  let end = TEXT_START;
  while (next < to) {
    // The character before takes part; a character that cannot change keeps everything else out.
    const start = next > copied ? charStartBefore(bytes, next) : next;
    const stop = composingEnd(bytes, next, to, classes);
    target.bytes.set(bytes.subarray(copied, start), end);
    end += start - copied;
    end = target.write(normalizeForm(text.read(start, stop), 'NFC'), end);
    copied = stop;
    next = findComposing(bytes, stop, to, classes);
  }
  target.bytes.set(bytes.subarray(copied, to), end);
  return { text: target, from: TEXT_START, to: end + to - copied };
}

function composingEnd(bytes: Uint8Array, from: number, to: number, classes: Uint8Array): number {
  let stop = skipComposing(bytes, from, to, classes);
  for (;;) {
    const near = Math.min(to, stop + JOINED_BYTES);
    const next = findComposing(bytes, stop, near, classes);
    if (next >= near) {
      return stop;
    }
    stop = skipComposing(bytes, next, to, classes);
  }
}
