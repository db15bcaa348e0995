/** A range of a file that is read as if it were a file of its own. */
import type { RandomAccessFile } from '../../io/random-access-file.js';

/** An archive may lie inside a larger file, as in the files of a distributed checkpoint. */
export interface FileWindow {
  readonly file: RandomAccessFile;
  /** Offset in the file of the window's first byte. */
  readonly begin: number;
  /** Bytes of the window. */
  readonly size: number;
  /** Names the file, and the window when it is not the whole file, in messages. */
  readonly where: string;
}

/** Reads bytes of the window. Throws: `FILE_SHORT_READ` before allocating when the window does not have them. */
export async function readWindow(
  window: FileWindow,
  at: number,
  byteLength: number,
): Promise<Buffer> {
  const bytes = await window.file.readFresh(byteLength, window.begin + at);
  return Buffer.from(bytes.buffer);
}

/** Bytes that are read at least, for records that lie close together. */
const BLOCK_BYTES = 1024;

/** Reads small records of a window from front to back; neighbours come with one read. */
export class RecordReader {
  readonly window: FileWindow;
  #block: Buffer = Buffer.alloc(0);
  #blockAt = 0;

  constructor(window: FileWindow) {
    this.window = window;
  }

  /** Throws: as {@link readWindow}. */
  async read(at: number, byteLength: number): Promise<Buffer> {
    const from = at - this.#blockAt;
    if (from < 0 || from + byteLength > this.#block.length) {
      const wanted = Math.max(byteLength, Math.min(BLOCK_BYTES, this.window.size - at));
      this.#block = await readWindow(this.window, at, wanted);
      this.#blockAt = at;
      return this.#block.subarray(0, byteLength);
    }
    return this.#block.subarray(from, from + byteLength);
  }
}
