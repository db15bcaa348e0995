/** The engine behind {@link Tokenizer}: runs a {@link TokenizerDefinition} on texts. */

import { type AddedTokenFinder, createFinder, type TextPart } from './added-tokens.js';
import { BpeModel, IdBuffer } from './bpe-model.js';
import { ByteStreamDecoder, tokenBytes } from './decoders.js';
import { type TokenizerDefinition, VIRTUAL_SYMBOL_BASE } from './definition.js';
import { normalize } from './normalizers.js';
import { preTokenize } from './pre-tokenizers.js';
import type { DecodeOptions, EncodeOptions, StreamDecoder, Tokenizer } from './tokenizer.js';

const LONE_SURROGATE = /\p{Surrogate}/gu;

/** Makes a tokenizer of a loaded definition. Cost: builds the merge table, about 0.1 s for 300 k merges. */
export function createTokenizer(definition: TokenizerDefinition): Tokenizer {
  return new BpeTokenizer(definition);
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
  readonly #model: BpeModel;
  readonly #tokens: readonly (string | undefined)[];
  readonly #ids: ReadonlyMap<string, number>;
  readonly #special: ReadonlySet<number>;
  readonly #rawFinder: AddedTokenFinder | null;
  readonly #normalizedFinder: AddedTokenFinder | null;
  readonly #bytes: (Uint8Array | undefined)[] = [];
  readonly #out = new IdBuffer();

  constructor(definition: TokenizerDefinition) {
    this.#definition = definition;
    this.origin = definition.origin;
    this.kind = definition.kind;
    this.bosTokenId = definition.bosTokenId;
    this.eosTokenId = definition.eosTokenId;
    this.unkTokenId = definition.unkTokenId;
    this.padTokenId = definition.padTokenId;
    this.addBos = has(definition.prefixIds, definition.bosTokenId);
    this.addEos = has(definition.suffixIds, definition.eosTokenId);
    const last = definition.preTokenizer.at(-1);
    this.#model = new BpeModel(definition.model, last?.type === 'byte-level');
    const vocabulary = collectTokens(definition);
    this.#tokens = vocabulary.tokens;
    this.#ids = vocabulary.ids;
    this.vocabSize = vocabulary.tokens.length;
    const added = definition.addedTokens;
    this.#special = new Set(added.filter((token) => token.special).map((token) => token.id));
    this.#rawFinder = createFinder(
      added.flatMap((token) =>
        token.normalizedContent === null ? [{ spelling: token.content, token }] : [],
      ),
    );
    this.#normalizedFinder = createFinder(
      added.flatMap((token) =>
        token.normalizedContent === null ? [] : [{ spelling: token.normalizedContent, token }],
      ),
    );
  }

  encode(text: string, options: EncodeOptions = {}): Int32Array {
    const { addSpecialTokens = true, parseSpecial = true } = options;
    const out = this.#out;
    out.clear();
    if (addSpecialTokens) {
      this.#definition.prefixIds.forEach((id) => {
        out.push(id);
      });
    }
    const wellFormed = text.replace(LONE_SURROGATE, '\ufffd');
    for (const part of splitBy(this.#rawFinder, wellFormed, parseSpecial)) {
      if (part.kind === 'token') {
        out.push(part.id);
      } else {
        this.#encodeStretch(part.text, part.start === 0, parseSpecial);
      }
    }
    if (addSpecialTokens) {
      this.#definition.suffixIds.forEach((id) => {
        out.push(id);
      });
    }
    return out.toArray();
  }

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const stream = this.streamDecoder(options);
    const pieces: string[] = [];
    for (let i = 0; i < ids.length; i++) {
      pieces.push(stream.push(ids[i] ?? -1));
    }
    pieces.push(stream.flush());
    return pieces.join('');
  }

  streamDecoder(options: DecodeOptions = {}): StreamDecoder {
    const skip = options.skipSpecialTokens ?? false;
    return new ByteStreamDecoder({
      decoder: this.#definition.decoder,
      tokenOf: (id) => (skip && this.#special.has(id) ? undefined : this.#tokens[id]),
      bytesOf: (id) => this.#bytesOf(id),
    });
  }

  idToToken(id: number): string | undefined {
    return this.#tokens[id];
  }

  tokenToId(token: string): number | undefined {
    return this.#ids.get(token);
  }

  isSpecial(id: number): boolean {
    return this.#special.has(id);
  }

  #encodeStretch(text: string, isStart: boolean, parseSpecial: boolean): void {
    const normalized = normalize(text, this.#definition.normalizer);
    for (const part of splitBy(this.#normalizedFinder, normalized, parseSpecial)) {
      if (part.kind === 'token') {
        this.#out.push(part.id);
        continue;
      }
      const starts = isStart && part.start === 0;
      for (const piece of preTokenize(part.text, this.#definition.preTokenizer, starts)) {
        this.#model.encode(piece, this.#out);
      }
    }
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

function splitBy(
  finder: AddedTokenFinder | null,
  text: string,
  parseSpecial: boolean,
): readonly TextPart[] {
  if (finder !== null) {
    return finder.split(text, parseSpecial);
  }
  return text === '' ? [] : [{ kind: 'text', text, start: 0 }];
}

function has(ids: readonly number[], id: number | null): boolean {
  return id !== null && ids.includes(id);
}

function collectTokens(definition: TokenizerDefinition): {
  readonly tokens: readonly (string | undefined)[];
  readonly ids: ReadonlyMap<string, number>;
} {
  const ids = new Map<string, number>();
  let size = 0;
  for (const [token, id] of definition.model.symbols) {
    if (id < VIRTUAL_SYMBOL_BASE) {
      ids.set(token, id);
      size = Math.max(size, id + 1);
    }
  }
  for (const { content, id } of definition.addedTokens) {
    ids.set(content, id);
    size = Math.max(size, id + 1);
  }
  const tokens = new Array<string | undefined>(size).fill(undefined);
  for (const [token, id] of ids) {
    tokens[id] = token;
  }
  return { tokens, ids };
}
