/**
 * llama.cpp as a second opinion: loads a GGUF file and continues tokens greedily.
 *
 * Used to prove that an exported file means the same to llama.cpp as the model does to us. Its cache is
 * f32 and flash attention is off, so the two differ by rounding only.
 */
import { defined, TuneyardError } from '@tuneyard/core';
import { GGML_ERRORS } from './errors.js';
import { NativeHandle } from './handle.js';
import { freeTokens, loadLlama, pinTokens, type RawLlama } from './raw/llama-h.js';

/** A model file opened by llama.cpp with one sequence. */
export class LlamaModel implements Disposable {
  readonly #raw: RawLlama;
  readonly #model: NativeHandle;
  readonly #path: string;
  readonly #threads: number;
  /** Size of the vocabulary. */
  readonly vocabSize: number;

  /** Throws: `LLAMA_LOAD_FAILED`. */
  constructor(path: string, { threads }: { threads: number }) {
    this.#raw = loadLlama();
    this.#path = path;
    this.#threads = threads;
    const pointer = this.#raw.llama_model_load_from_file(path, this.#raw.modelOptions());
    this.#model = open('llama.cpp model', pointer, path, (p) => void this.#raw.llama_model_free(p));
    const vocab = this.#raw.llama_model_get_vocab(this.#model.pointer) as bigint;
    this.vocabSize = this.#raw.llama_vocab_n_tokens(vocab) as number;
  }

  /** Token ids as llama.cpp's own tokenizer makes them. */
  tokenize(text: string, options: { addSpecial: boolean; parseSpecial: boolean }): number[] {
    const bytes = Buffer.byteLength(text);
    const out = new Int32Array(bytes + 8);
    const vocab = this.#raw.llama_model_get_vocab(this.#model.pointer) as bigint;
    const { addSpecial, parseSpecial } = options;
    const count = this.#raw.llama_tokenize(
      vocab,
      text,
      bytes,
      out,
      out.length,
      addSpecial,
      parseSpecial,
    );
    return [...out.subarray(0, count as number)];
  }

  /**
   * Continues `ids` with the most likely token, `maxNewTokens` times or up to a stop token (included).
   *
   * Returns the new ids and, for each, the margin between the best and the second best score.
   * Throws: `LLAMA_DECODE_FAILED`.
   */
  async greedy(
    ids: readonly number[],
    { maxNewTokens, stopTokenIds }: { maxNewTokens: number; stopTokenIds: readonly number[] },
  ): Promise<{ ids: number[]; margins: number[] }> {
    const options = this.#raw.contextOptions({
      contextLength: ids.length + maxNewTokens + 8,
      threads: this.#threads,
    });
    const pointer = this.#raw.llama_init_from_model(this.#model.pointer, options);
    using context = open(
      'llama.cpp context',
      pointer,
      this.#path,
      (p) => void this.#raw.llama_free(p),
    );
    const out: number[] = [];
    const margins: number[] = [];
    let next: readonly number[] = ids;
    while (out.length < maxNewTokens) {
      const logits = await this.#decode(context.pointer, next);
      const { best, margin } = topMargin(logits);
      out.push(best);
      margins.push(margin);
      if (stopTokenIds.includes(best)) break;
      next = [best];
    }
    return { ids: out, margins };
  }

  close(): void {
    this.#model.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #decode(context: bigint, ids: readonly number[]): Promise<Float32Array> {
    const tokens = pinTokens(ids);
    try {
      const batch = this.#raw.llama_batch_get_one(tokens, ids.length);
      const status = await this.#raw.decodeAsync(context, batch);
      if (status !== 0) {
        throw new TuneyardError(
          GGML_ERRORS.LLAMA_DECODE_FAILED,
          `llama.cpp ended decoding ${ids.length} tokens of ${this.#path} with status ${status}`,
          { category: 'internal' },
        );
      }
      const logits = this.#raw.llama_get_logits_ith(context, -1) as bigint | null;
      return this.#raw.readFloats(defined(logits, 'logits'), this.vocabSize);
    } finally {
      freeTokens(tokens);
    }
  }
}

function open(
  what: string,
  pointer: unknown,
  path: string,
  free: (pointer: bigint) => void,
): NativeHandle {
  if (typeof pointer !== 'bigint' || pointer === 0n) {
    throw new TuneyardError(
      GGML_ERRORS.LLAMA_LOAD_FAILED,
      `llama.cpp could not open a ${what} for ${path}`,
      {
        category: 'invalid_input',
        details: { path },
      },
    );
  }
  return new NativeHandle(what, pointer, free);
}

function topMargin(logits: Float32Array): { best: number; margin: number } {
  let best = 0;
  let top = Number.NEGATIVE_INFINITY;
  let second = Number.NEGATIVE_INFINITY;
  for (const [i, x] of logits.entries()) {
    if (x > top) {
      second = top;
      top = x;
      best = i;
    } else if (x > second) second = x;
  }
  return { best, margin: top - second };
}
