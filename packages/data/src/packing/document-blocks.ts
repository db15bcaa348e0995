/**
 * Packing of raw text: documents, each ended by its end-of-text token, are joined and cut into blocks of one length
 * without regard to where they end. What is left at the end is too short for a block and is dropped.
 *
 * Source: LLaMA-Factory v0.9.3, `processor/pretrain.py`. It joins 1000 documents at a time; call `end` as often to get
 * its blocks exactly.
 */

/** Options of {@link DocumentBlocks}. */
export interface DocumentBlockOptions {
  /** Tokens of a block. */
  readonly blockLength: number;
  /** Takes the place of the first token of every block where the tokenizer adds one to texts; null = it adds none. */
  readonly bosTokenId: number | null;
}

/** Cuts a stream of documents into blocks. */
export class DocumentBlocks {
  readonly #blockLength: number;
  readonly #bosTokenId: number | null;
  /** The block being filled. */
  readonly #open: Int32Array;
  #filled = 0;

  constructor({ blockLength, bosTokenId }: DocumentBlockOptions) {
    this.#blockLength = blockLength;
    this.#bosTokenId = bosTokenId;
    this.#open = new Int32Array(blockLength);
  }

  /** Adds tokens of one or more documents; gives the blocks that are now whole, end to end. */
  push(tokens: Int32Array): Int32Array {
    const length = this.#blockLength;
    const whole = Math.floor((this.#filled + tokens.length) / length) * length;
    const blocks = new Int32Array(whole);
    if (whole === 0) {
      this.#open.set(tokens, this.#filled);
      this.#filled += tokens.length;
      return blocks;
    }
    const taken = whole - this.#filled;
    blocks.set(this.#open.subarray(0, this.#filled));
    blocks.set(tokens.subarray(0, taken), this.#filled);
    this.#open.set(tokens.subarray(taken));
    this.#filled = tokens.length - taken;
    if (this.#bosTokenId !== null) {
      for (let at = 0; at < whole; at += length) blocks[at] = this.#bosTokenId;
    }
    return blocks;
  }

  /** Drops what does not fill a block; returns how many tokens that are. */
  end(): number {
    const dropped = this.#filled;
    this.#filled = 0;
    return dropped;
  }
}
