/**
 * Chooses the next token from a model's scores.
 *
 * Order of operations, by default as Hugging Face transformers: repetition, frequency and presence penalties,
 * temperature, top-k, top-p, min-p, draw. With `order: 'llama.cpp'` the temperature comes last, after the filters
 * have looked at the untempered distribution, as llama.cpp's default chain has it. Top-p renormalises over what
 * top-k left; of equal scores the lower id is preferred, so that the same seed gives the same text everywhere.
 */
import { defined, type Rng, TuneyardError } from '@tuneyard/core';
import { GENERATE_ERRORS } from './errors.js';
import {
  argmax,
  divide,
  exponentials,
  idsOfWeight,
  penaliseOccurrence,
  penaliseRepetition,
  possibleIds,
  prefixReaching,
  shift,
  sortByScore,
  topIds,
} from './kernels/candidates.js';

/** How a token is chosen. The defaults change nothing: a draw from the model's own distribution. */
export interface SamplingOptions {
  /** At least 0; 0 takes the most likely token. Default 1. */
  readonly temperature?: number | undefined;
  /** Keeps the k most likely tokens; 0 keeps all. Default 0. */
  readonly topK?: number | undefined;
  /** Keeps the fewest most likely tokens that reach this share of probability; above 0, up to 1. Default 1. */
  readonly topP?: number | undefined;
  /** Drops tokens below this share of the most likely token's probability; 0 to 1. Default 0. */
  readonly minP?: number | undefined;
  /** Divides positive and multiplies negative scores of tokens seen; above 0. Default 1. */
  readonly repetitionPenalty?: number | undefined;
  /** Subtracted from a token's score for each time it was seen. Default 0. */
  readonly frequencyPenalty?: number | undefined;
  /** Subtracted from a token's score when it was seen at all. Default 0. */
  readonly presencePenalty?: number | undefined;
  /** How many of the last tokens the penalties look at; null looks at all. Default null. */
  readonly penaltyWindow?: number | null | undefined;
  /** Default `transformers`. */
  readonly order?: 'transformers' | 'llama.cpp' | undefined;
}

/** Tokens that may be drawn, with their probabilities, which sum to 1. */
export interface TokenDistribution {
  readonly ids: Int32Array;
  readonly probabilities: Float64Array;
}

type Settings = {
  readonly [K in keyof Required<SamplingOptions>]: Exclude<SamplingOptions[K], undefined>;
};

const DEFAULTS: Settings = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  penaltyWindow: null,
  order: 'transformers',
};

/** What a choice depends on beside the scores. */
export interface SamplingContext {
  readonly rng: Rng;
  /** Ids of the prompt and the text so far, which the penalties look at. */
  readonly history: ArrayLike<number>;
}

/**
 * Chooses a token. `logits` holds one score per token of the vocabulary and is left as it is.
 *
 * A temperature of 0 draws no random number, any other draws exactly one.
 * Throws: `GENERATE_BAD_OPTION` naming the setting; `GENERATE_BAD_LOGITS` for a NaN or +infinity, or when every
 * score is -infinity.
 */
export function sampleToken(
  logits: Float32Array,
  options: SamplingOptions,
  context: SamplingContext,
): number {
  const settings = checkedSettings(options);
  if (settings.temperature === 0) return mostLikely(penalised(logits, context.history, settings));
  const { ids, probabilities } = distribution(logits, context.history, settings);
  // The smallest number keeps a draw of exactly 0 from choosing a token without probability.
  const mass = context.rng.next() + Number.MIN_VALUE;
  return defined(ids[prefixReaching(probabilities, mass) - 1], 'a token to draw');
}

/** The distribution that {@link sampleToken} draws from; all on one token at a temperature of 0. */
export function tokenDistribution(
  logits: Float32Array,
  options: SamplingOptions,
  history: ArrayLike<number> = [],
): TokenDistribution {
  const settings = checkedSettings(options);
  if (settings.temperature > 0) return distribution(logits, history, settings);
  const id = mostLikely(penalised(logits, history, settings));
  return { ids: Int32Array.of(id), probabilities: Float64Array.of(1) };
}

/** A token with the natural logarithm of its probability under the model's own distribution. */
export interface TokenLogProbability {
  readonly id: number;
  readonly logProbability: number;
}

/**
 * Log-probabilities of the given tokens, then of the `topK` most likely ones, most likely first.
 *
 * Throws: `GENERATE_BAD_LOGITS`.
 */
export function logProbabilities(
  logits: Float32Array,
  wanted: { readonly ids?: ArrayLike<number>; readonly topK?: number },
): { readonly given: readonly number[]; readonly top: readonly TokenLogProbability[] } {
  const scores = Float64Array.from(logits);
  shift(scores, -scoreAt(scores, mostLikely(scores)));
  const logTotal = Math.log(exponentials(possibleIds(scores), scores).total);
  const of = (id: number): number => scoreAt(scores, id) - logTotal;
  const top = topIds(scores, wanted.topK ?? 0);
  sortByScore(top, scores);
  return {
    given: Array.from(wanted.ids ?? [], of),
    top: Array.from(top, (id) => ({ id, logProbability: of(id) })),
  };
}

function distribution(
  logits: Float32Array,
  history: ArrayLike<number>,
  settings: Settings,
): TokenDistribution {
  const scores = penalised(logits, history, settings);
  shift(scores, -scoreAt(scores, mostLikely(scores)));
  const { temperature, order } = settings;
  if (order === 'transformers') divide(scores, temperature);
  const ids = filtered(scores, settings);
  if (order === 'llama.cpp') divide(scores, temperature);
  const { weights, total } = exponentials(ids, scores);
  divide(weights, total);
  return { ids, probabilities: weights };
}

function penalised(
  logits: Float32Array,
  history: ArrayLike<number>,
  settings: Settings,
): Float64Array {
  const scores = Float64Array.from(logits);
  const { repetitionPenalty, frequencyPenalty, presencePenalty, penaltyWindow } = settings;
  const begin = Math.max(0, history.length - (penaltyWindow ?? history.length));
  if (repetitionPenalty !== 1) penaliseRepetition(scores, history, begin, repetitionPenalty);
  if (frequencyPenalty !== 0 || presencePenalty !== 0) {
    const penalties = { frequency: frequencyPenalty, presence: presencePenalty };
    penaliseOccurrence(scores, history, begin, penalties);
  }
  return scores;
}

/** Scores are shifted so that the greatest is 0. */
function filtered(scores: Float64Array, settings: Settings): Int32Array {
  const { topK, topP, minP } = settings;
  let ids = topK > 0 ? topIds(scores, topK) : possibleIds(scores);
  if (topP < 1) ids = nucleus(ids, scores, topP);
  if (minP > 0) ids = idsOfWeight(ids, exponentials(ids, scores).weights, minP);
  return ids;
}

/**
 * The fewest most likely ids that together reach `topP`.
 *
 * Tokens below (1 - topP) / n of probability have, all together, less than what may be left out, so only
 * the others are sorted: a few hundred instead of a whole vocabulary.
 */
function nucleus(ids: Int32Array, scores: Float64Array, topP: number): Int32Array {
  const { weights, total } = exponentials(ids, scores);
  const likely = idsOfWeight(ids, weights, ((1 - topP) * total) / ids.length);
  sortByScore(likely, scores);
  const sorted = exponentials(likely, scores).weights;
  return likely.subarray(0, prefixReaching(sorted, topP * total));
}

function mostLikely(scores: Float64Array): number {
  const id = argmax(scores);
  if (id >= 0) return id;
  throw new TuneyardError(
    GENERATE_ERRORS.GENERATE_BAD_LOGITS,
    `The ${scores.length} scores of the next token hold a NaN or an infinity, or rule every token out`,
    {
      category: 'internal',
      hint: 'The weights are damaged, or the training that made them diverged.',
    },
  );
}

function scoreAt(scores: Float64Array, id: number): number {
  return scores[id] ?? Number.NEGATIVE_INFINITY;
}

function checkedSettings(options: SamplingOptions): Settings {
  const given = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  );
  const settings: Settings = { ...DEFAULTS, ...given };
  const { penaltyWindow } = settings;
  const isWhole = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
  check('temperature', settings.temperature, 'at least 0', (v) => v >= 0);
  check('top_k', settings.topK, 'a whole number of at least 0', isWhole);
  check('top_p', settings.topP, 'above 0 and at most 1', (v) => v > 0 && v <= 1);
  check('min_p', settings.minP, 'between 0 and 1', (v) => v >= 0 && v <= 1);
  check('repetition_penalty', settings.repetitionPenalty, 'above 0', (v) => v > 0);
  check('frequency_penalty', settings.frequencyPenalty, 'a number', () => true);
  check('presence_penalty', settings.presencePenalty, 'a number', () => true);
  if (penaltyWindow !== null) {
    check('penalty_window', penaltyWindow, 'a whole number of at least 0', isWhole);
  }
  return settings;
}

function check(
  name: string,
  value: number,
  allowed: string,
  isAllowed: (value: number) => boolean,
): void {
  if (Number.isFinite(value) && isAllowed(value)) return;
  throw new TuneyardError(
    GENERATE_ERRORS.GENERATE_BAD_OPTION,
    `${name} is ${value}; it must be ${allowed}`,
    { details: { option: name, value: String(value) } },
  );
}
