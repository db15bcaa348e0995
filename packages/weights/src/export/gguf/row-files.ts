/** Reads runs of rows of stored tensors, whatever file they lie in; files stay open until closed. */
import { type FileHandle, open } from 'node:fs/promises';
import { type GgmlTypeName, rowBytes, TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../../errors.js';

/** Where the rows of a tensor lie: row-major, contiguous, in one file. */
export interface RowTensor {
  readonly name: string;
  readonly file: string;
  /** Absolute byte offset of the first row. */
  readonly begin: number;
  readonly type: GgmlTypeName;
  /** All dimensions but the last; vectors have rows of one element. */
  readonly rows: number;
  readonly cols: number;
}

/** Elements that are read, cast and written at a time: 4 MiB as f32. */
const CHUNK_ELEMENTS = 2 ** 20;

/** Open files. */
export class RowFiles {
  readonly #handles = new Map<string, FileHandle>();

  /** Reads rows `row` to `row + rows`. Throws: `WEIGHTS_FILE_CHANGED` when the file has become shorter. */
  async read(tensor: RowTensor, row: number, rows: number): Promise<Uint8Array> {
    const bytesPerRow = rowBytes(tensor.type, tensor.cols);
    const bytes = new Uint8Array(rows * bytesPerRow);
    const handle = await this.#open(tensor.file);
    let done = 0;
    while (done < bytes.length) {
      const at = tensor.begin + row * bytesPerRow + done;
      const { bytesRead } = await handle.read(bytes, done, bytes.length - done, at);
      if (bytesRead === 0) throw shortened(tensor, at);
      done += bytesRead;
    }
    return bytes;
  }

  async close(): Promise<void> {
    const handles = [...this.#handles.values()];
    this.#handles.clear();
    await Promise.all(handles.map((handle) => handle.close()));
  }

  async #open(path: string): Promise<FileHandle> {
    const known = this.#handles.get(path);
    if (known !== undefined) return known;
    const handle = await open(path, 'r');
    this.#handles.set(path, handle);
    return handle;
  }
}

/** Divides `rows` into runs that are multiples of `unit` and of bounded size. */
export function* rowChunks(
  rows: number,
  form: { readonly cols: number; readonly unit: number },
): Generator<{ readonly row: number; readonly rows: number }> {
  const units = Math.max(1, Math.floor(CHUNK_ELEMENTS / (form.cols * form.unit)));
  const step = units * form.unit;
  for (let row = 0; row < rows; row += step) yield { row, rows: Math.min(step, rows - row) };
}

function shortened(tensor: RowTensor, at: number): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_FILE_CHANGED,
    `${tensor.file}: ${tensor.name} ends at byte ${at}, before its last row: the file changed while it was read`,
    { details: { file: tensor.file, tensor: tensor.name, offset: at } },
  );
}
