/** Ownership of native objects: closed once, refused afterwards, counted while alive. */
import { TuneyardError } from '@tuneyard/core';
import { GGML_ERRORS } from './errors.js';

let live = 0;

/** Number of native handles that are open; tests expect it to return to where it was. */
export function liveHandleCount(): number {
  return live;
}

/** Owns one native pointer and frees it exactly once. */
export class NativeHandle implements Disposable {
  #pointer: bigint | null;
  readonly #what: string;
  readonly #free: (pointer: bigint) => void;

  constructor(what: string, pointer: bigint | null, free: (pointer: bigint) => void) {
    if (pointer === null || pointer === 0n) {
      throw new TuneyardError(
        GGML_ERRORS.GGML_OUT_OF_MEMORY,
        `ggml could not create a ${what}: not enough memory`,
        { category: 'resource_exhausted' },
      );
    }
    this.#what = what;
    this.#pointer = pointer;
    this.#free = free;
    live++;
  }

  /** The pointer. Throws: `GGML_USE_AFTER_CLOSE` once closed. */
  get pointer(): bigint {
    if (this.#pointer === null) {
      throw new TuneyardError(
        GGML_ERRORS.GGML_USE_AFTER_CLOSE,
        `This ${this.#what} has been closed`,
        { category: 'internal' },
      );
    }
    return this.#pointer;
  }

  /** Frees the native object; a second call does nothing. */
  close(): void {
    if (this.#pointer === null) return;
    const pointer = this.#pointer;
    this.#pointer = null;
    live--;
    this.#free(pointer);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
