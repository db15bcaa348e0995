/**
 * The plain engine: runs a definition step by step on strings.
 *
 * It takes every definition and is the measure for the byte engine, which runs the usual ones.
 */

import { TextDecoder } from 'node:util';
import { type AddedTokenFinder, createFinder, type TextPart } from './added-tokens.js';
import { BpeModel } from './bpe-model.js';
import type { TokenizerDefinition } from './definition.js';
import type { IdBuffer } from './id-buffer.js';
import { normalize } from './normalizers.js';
import { preTokenize } from './pre-tokenizers.js';
import type { TextEngine } from './text-engine.js';

const LONE_SURROGATE = /\p{Surrogate}/gu;

/** Runs any {@link TokenizerDefinition}. */
export class StringEncoder implements TextEngine {
  readonly #definition: TokenizerDefinition;
  readonly #model: BpeModel;
  readonly #rawFinder: AddedTokenFinder | null;
  readonly #normalizedFinder: AddedTokenFinder | null;
  readonly #utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(definition: TokenizerDefinition) {
    this.#definition = definition;
    const last = definition.preTokenizer.at(-1);
    this.#model = new BpeModel(definition.model, last?.type === 'byte-level');
    const added = definition.addedTokens;
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

  encodeText(text: string, parseSpecial: boolean, out: IdBuffer): void {
    const wellFormed = text.replace(LONE_SURROGATE, '\ufffd');
    for (const part of splitBy(this.#rawFinder, wellFormed, parseSpecial)) {
      if (part.kind === 'token') {
        out.push(part.id);
      } else {
        this.#encodeStretch(part, parseSpecial, out);
      }
    }
  }

  encodeBytes(bytes: Uint8Array, parseSpecial: boolean, out: IdBuffer): void {
    this.encodeText(this.#utf8.decode(bytes), parseSpecial, out);
  }

  #encodeStretch(
    stretch: Extract<TextPart, { kind: 'text' }>,
    parseSpecial: boolean,
    out: IdBuffer,
  ): void {
    const normalized = normalize(stretch.text, this.#definition.normalizer);
    for (const part of splitBy(this.#normalizedFinder, normalized, parseSpecial)) {
      if (part.kind === 'token') {
        out.push(part.id);
        continue;
      }
      const starts = stretch.start === 0 && part.start === 0;
      for (const piece of preTokenize(part.text, this.#definition.preTokenizer, starts)) {
        this.#model.encode(piece, out);
      }
    }
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
