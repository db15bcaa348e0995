/**
 * Fits a tokenizer to a named template, as LLaMA-Factory does when it opens one: stop words become special tokens,
 * and the first of them may take the place of EOS.
 *
 * Stop words that the vocabulary lacks get new ids only on demand, because a model without rows for them cannot
 * learn them. Source: LLaMA-Factory v0.9.3, `Template.fix_special_tokens`.
 */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import type { Slot, TemplateSpec } from '../templates/index.js';
import { turnSlots } from '../templates/slots/slot-spec.js';
import {
  createTokenizer,
  loadTokenizerDefinition,
  type Tokenizer,
  type TokenizerDefinition,
} from '../tokenizer/index.js';

/** A tokenizer that fits a template. */
export interface SlotTokens {
  readonly tokenizer: Tokenizer;
  readonly eosTokenId: number;
  /** EOS and every stop word. */
  readonly stopTokenIds: readonly number[];
  /** Stop words that were given ids beyond the vocabulary, in the order of their ids. */
  readonly addedTokens: readonly string[];
}

/** Options of {@link fitTokens}. */
export interface FitOptions {
  readonly tokenizer: Tokenizer;
  /** Where the tokenizer came from; read again when it has to change. */
  readonly modelPath: string;
  /** Ends answers where neither tokenizer nor template names a token for that. */
  readonly fallbackEos: () => number;
  /** True: stop words that the vocabulary lacks get new ids at its end. */
  readonly resizeVocab: boolean;
}

/**
 * Fits a tokenizer to a template.
 *
 * Throws: `DATA_TEMPLATE_MISMATCH` when a token that the template needs is not in the vocabulary; whatever
 * `fallbackEos` and the loader of the tokenizer throw.
 */
export async function fitTokens(spec: TemplateSpec, options: FitOptions): Promise<SlotTokens> {
  const words = spec.stopWords ?? [];
  checkTokenSlots(spec, options.tokenizer);
  const missing = words.filter((word) => options.tokenizer.tokenToId(word) === undefined);
  const added = options.resizeVocab ? missing : [];
  if (!options.resizeVocab) checkMissing(spec, missing, options.tokenizer);
  const tokenizer = await withStopWords(spec, added, options);
  const first = words[0];
  const replaced =
    spec.replaceEos === true && first !== undefined ? tokenizer.tokenToId(first) : undefined;
  const eosTokenId = replaced ?? tokenizer.eosTokenId ?? options.fallbackEos();
  const stops = words.flatMap((word) => tokenizer.tokenToId(word) ?? []);
  const stopTokenIds = [...new Set([eosTokenId, ...stops])];
  return { tokenizer, eosTokenId, stopTokenIds, addedTokens: added };
}

function slotsOf(spec: TemplateSpec): readonly Slot[] {
  return Object.values(turnSlots(spec)).flat();
}

function checkTokenSlots(spec: TemplateSpec, tokenizer: Tokenizer): void {
  for (const slot of slotsOf(spec)) {
    if (typeof slot === 'string' || !('token' in slot)) continue;
    if (tokenizer.tokenToId(slot.token) === undefined) throw mismatch(spec, slot.token, tokenizer);
  }
}

/** A stop word that no turn is written with may be missing: it could only come from the data. */
function checkMissing(spec: TemplateSpec, missing: readonly string[], tokenizer: Tokenizer): void {
  const written = slotsOf(spec).filter((slot) => typeof slot === 'string');
  for (const word of missing) {
    if (written.some((text) => text.includes(word))) throw mismatch(spec, word, tokenizer);
  }
}

function mismatch(spec: TemplateSpec, token: string, tokenizer: Tokenizer): TuneyardError {
  return new TuneyardError(
    DATA_ERRORS.DATA_TEMPLATE_MISMATCH,
    `Template '${spec.name}' writes ${JSON.stringify(token)}, which ${tokenizer.origin} does not have as one token`,
    {
      details: { template: spec.name, token, tokenizer: tokenizer.origin },
      hint: "Use template: auto for the model's own, or template: plain for a base model; tuneyard data templates --model suggests one.",
    },
  );
}

/** The same tokenizer when every stop word is a plain special token already. */
async function withStopWords(
  spec: TemplateSpec,
  added: readonly string[],
  { tokenizer, modelPath }: FitOptions,
): Promise<Tokenizer> {
  // A word that is EOS already keeps its flags; any other one loses them when it is made a special token.
  const words = (spec.stopWords ?? []).filter((word, i) => {
    const isEos = i === 0 && spec.replaceEos === true;
    return !isEos || tokenizer.tokenToId(word) !== tokenizer.eosTokenId;
  });
  const ids = words.flatMap((content): (readonly [string, number])[] => {
    const id = tokenizer.tokenToId(content);
    if (id !== undefined) return [[content, id]];
    return added.includes(content) ? [[content, tokenizer.vocabSize + added.indexOf(content)]] : [];
  });
  if (ids.every(([word, id]) => isPlainSpecial(word, id, tokenizer))) return tokenizer;
  const definition = await loadTokenizerDefinition(modelPath);
  return createTokenizer(withSpecialTokens(definition, new Map(ids)));
}

/** True for a special token that takes no blanks beside it and is found inside words. */
function isPlainSpecial(word: string, id: number, tokenizer: Tokenizer): boolean {
  if (!tokenizer.isSpecial(id)) return false;
  const apart = tokenizer.encode(`${word} ${word}`, { addSpecialTokens: false });
  const inside = tokenizer.encode(`a${word}a`, { addSpecialTokens: false });
  return apart.length > 2 && inside.includes(id);
}

function withSpecialTokens(
  definition: TokenizerDefinition,
  ids: ReadonlyMap<string, number>,
): TokenizerDefinition {
  const others = definition.addedTokens.filter((token) => !ids.has(token.content));
  const plain = { special: true, singleWord: false, lstrip: false, rstrip: false };
  const made = [...ids].map(([content, id]) => ({
    id,
    content,
    ...plain,
    normalizedContent: null,
  }));
  return { ...definition, addedTokens: [...others, ...made] };
}
