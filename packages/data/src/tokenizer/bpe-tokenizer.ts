/** The engine behind {@link Tokenizer}: runs a {@link TokenizerDefinition} on texts. */

import { ByteStreamDecoder, decodeAll, type TokenSource, tokenBytes } from './decoders.js';
import { type TokenizerDefinition, VIRTUAL_SYMBOL_BASE } from './definition.js';
import { createByteEncoder } from './fast/byte-encoder.js';
import { IdBuffer } from './id-buffer.js';
import { StringEncoder } from './string-encoder.js';
import type { TextEngine } from './text-engine.js';
import type { DecodeOptions, EncodeOptions, StreamDecoder, Tokenizer } from './tokenizer.js';

/** Choices that change speed and memory, never ids. */
export interface TokenizerTuning {
  /**
   * Default `auto`: bytes and tables where the definition allows it. `strings` runs every definition
   * step by step; it is slow, and the measure that the other one is tested against.
   */
  readonly engine?: 'auto' | 'strings';
  /**
   * How many pieces are remembered, in slots of each of two generations; rounded up to a power of two
   * from 64. Default 2^20, which takes up to 120 MB once as many different pieces have been met, and
   * little before that.
   */
  readonly cacheSlots?: number;
}

/** Makes a tokenizer of a loaded definition. Cost: builds its tables, about 0.1 s for 300 k merges. */
export function createTokenizer(
  definition: TokenizerDefinition,
  tuning: TokenizerTuning = {},
): Tokenizer {
  const fast =
    tuning.engine === 'strings' ? null : createByteEncoder(definition, tuning.cacheSlots);
  return new BpeTokenizer(definition, fast ?? new StringEncoder(definition));
}

class BpeTokenizer implements Tokenizer {
  readonly origin: string;
  readonly kind: Tokenizer['kind'];
  readonly vocabSize: number;
  readonly bosTokenId: number | null;
  readonly eosTokenId: number | null;
  readonly unkTokenId: number | null;
  readonly padTokenId: number | null;
  readonly addBos: boolean;
  readonly addEos: boolean;
  readonly #definition: TokenizerDefinition;
  readonly #engine: TextEngine;
  readonly #tokens: readonly (string | undefined)[];
  readonly #addedIds: ReadonlyMap<string, number>;
  readonly #special: ReadonlySet<number>;
  readonly #bytes: (Uint8Array | undefined)[] = [];
  readonly #out = new IdBuffer();

  constructor(definition: TokenizerDefinition, engine: TextEngine) {
    this.#definition = definition;
    this.#engine = engine;
    this.origin = definition.origin;
    this.kind = definition.kind;
    this.bosTokenId = definition.bosTokenId;
    this.eosTokenId = definition.eosTokenId;
    this.unkTokenId = definition.unkTokenId;
    this.padTokenId = definition.padTokenId;
    this.addBos = has(definition.prefixIds, definition.bosTokenId);
    this.addEos = has(definition.suffixIds, definition.eosTokenId);
    const added = definition.addedTokens;
    this.#addedIds = new Map(added.map(({ content, id }) => [content, id]));
    this.#tokens = collectTokens(definition, this.#addedIds);
    this.vocabSize = this.#tokens.length;
    this.#special = new Set(added.filter((token) => token.special).map((token) => token.id));
  }

  encode(text: string, options: EncodeOptions = {}): Int32Array {
    return this.#collect(options, (parseSpecial) => {
      this.#engine.encodeText(text, parseSpecial, this.#out);
    });
  }

  encodeBytes(bytes: Uint8Array, options: EncodeOptions = {}): Int32Array {
    return this.#collect(options, (parseSpecial) => {
      this.#engine.encodeBytes(bytes, parseSpecial, this.#out);
    });
  }

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    return decodeAll(ids, this.#source(options));
  }

  streamDecoder(options: DecodeOptions = {}): StreamDecoder {
    return new ByteStreamDecoder(this.#source(options));
  }

  idToToken(id: number): string | undefined {
    return this.#tokens[id];
  }

  tokenToId(token: string): number | undefined {
    const id = this.#addedIds.get(token) ?? this.#definition.model.symbols.get(token);
    return id === undefined || id >= VIRTUAL_SYMBOL_BASE ? undefined : id;
  }

  isSpecial(id: number): boolean {
    return this.#special.has(id);
  }

  #collect(options: EncodeOptions, encode: (parseSpecial: boolean) => void): Int32Array {
    const { addSpecialTokens = true, parseSpecial = true } = options;
    const out = this.#out;
    out.clear();
    if (addSpecialTokens) {
      pushAll(out, this.#definition.prefixIds);
    }
    encode(parseSpecial);
    if (addSpecialTokens) {
      pushAll(out, this.#definition.suffixIds);
    }
    return out.toArray();
  }

  #source(options: DecodeOptions): TokenSource {
    const skip = options.skipSpecialTokens ?? false;
    return {
      decoder: this.#definition.decoder,
      tokenOf: (id) => (skip && this.#special.has(id) ? undefined : this.#tokens[id]),
      bytesOf: (id) => this.#bytesOf(id),
    };
  }

  #bytesOf(id: number): Uint8Array {
    const cached = this.#bytes[id];
    if (cached !== undefined) {
      return cached;
    }
    const bytes = tokenBytes(this.#tokens[id] ?? '', this.#definition.decoder);
    this.#bytes[id] = bytes;
    return bytes;
  }
}

function pushAll(out: IdBuffer, ids: readonly number[]): void {
  for (const id of ids) {
    out.push(id);
  }
}

function has(ids: readonly number[], id: number | null): boolean {
  return id !== null && ids.includes(id);
}

/** Token texts by id; undefined for ids without a token. */
function collectTokens(
  definition: TokenizerDefinition,
  addedIds: ReadonlyMap<string, number>,
): readonly (string | undefined)[] {
  const tokens: (string | undefined)[] = [];
  for (const [token, id] of definition.model.symbols) {
    if (id < VIRTUAL_SYMBOL_BASE) {
      while (tokens.length <= id) {
        tokens.push(undefined);
      }
      if (addedIds.size === 0 || !addedIds.has(token)) {
        tokens[id] = token;
      }
    }
  }
  for (const [content, id] of addedIds) {
    while (tokens.length <= id) {
      tokens.push(undefined);
    }
    tokens[id] = content;
  }
  return tokens;
}
