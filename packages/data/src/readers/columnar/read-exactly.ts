/** Reads bytes that must exist. */
import { readSync } from 'node:fs';
import { fileError } from '../file-errors.js';

/** Reads bytes that must exist, into memory of their own. Throws: `DATA_FILE_CHANGED`. */
export function readExactly(file: number, path: string, position: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  for (let filled = 0; filled < length; ) {
    const count = readSync(file, bytes, filled, length - filled, position + filled);
    if (count === 0) {
      throw fileError('DATA_FILE_CHANGED', { file: path }, 'it became shorter while it was read', {
        category: 'conflict',
      });
    }
    filled += count;
  }
  return bytes;
}
