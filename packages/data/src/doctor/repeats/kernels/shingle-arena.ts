/**
 * Keeps lists of hashes end to end in large blocks, up to a budget: no object per row.
 *
 * Bounds: a list lies inside one block, at the offset that was recorded when it was copied there.
 */
import { IntList } from './int-list.js';

const BLOCK_HASHES = 1 << 20;
const NOT_KEPT = -1;

/** Lists of hashes by the order of adding. */
export class ShingleArena {
  readonly #blocks: Uint32Array[] = [];
  readonly #block = new IntList();
  readonly #offset = new IntList();
  readonly #length = new IntList();
  #left: number;
  #end = 0;

  /** `hashesMax`: hashes kept in all; lists that come later are not kept. */
  constructor(hashesMax: number) {
    this.#left = hashesMax;
  }

  /** Copies a list, when it still fits. */
  add(hashes: Uint32Array): void {
    this.#length.push(hashes.length);
    if (hashes.length > this.#left) {
      this.#left = 0;
      this.#block.push(NOT_KEPT);
      this.#offset.push(0);
      return;
    }
    this.#left -= hashes.length;
    const last = this.#blocks.at(-1);
    if (last === undefined || this.#end + hashes.length > last.length) {
      const size = Math.max(Math.min(BLOCK_HASHES, hashes.length + this.#left), hashes.length);
      this.#blocks.push(new Uint32Array(size));
      this.#end = 0;
    }
    this.#block.push(this.#blocks.length - 1);
    this.#offset.push(this.#end);
    this.#blocks.at(-1)!.set(hashes, this.#end);
    this.#end += hashes.length;
  }

  /** A list that was added; undefined when it was not kept. */
  get(index: number): Uint32Array | undefined {
    const block = this.#block.at(index);
    if (block === NOT_KEPT) return undefined;
    const begin = this.#offset.at(index);
    return this.#blocks[block]!.subarray(begin, begin + this.#length.at(index));
  }
}
