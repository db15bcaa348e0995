/**
 * The order in which rows of several data sets are read.
 *
 * The orders are those of Hugging Face `datasets`: `concatenate_datasets`, and `interleave_datasets` with
 * `first_exhausted` (under) or `all_exhausted` (over), which is what LLaMA-Factory's `mix_strategy` means. A plan holds
 * counts and a seed, never a list of rows; rows are walked as runs, so millions of them cost no memory. There is no
 * shuffle buffer (`buffer_size`): it exists where the number of rows is not known, and here it always is.
 * Checked against: datasets 3.6.0 and 5.2.0.
 */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import { countDraws, sourceOfDraw } from './kernels/draw-sources.js';
import { createNumpyGenerator } from './numpy-generator.js';

/** How data sets are mixed, as LLaMA-Factory names it. */
export const MIX_STRATEGIES = ['concat', 'interleave_under', 'interleave_over'] as const;

/** One of {@link MIX_STRATEGIES}. */
export type MixStrategy = (typeof MIX_STRATEGIES)[number];

/** What {@link planMixing} mixes. */
export interface MixOptions {
  /** Rows of each data set. */
  readonly counts: readonly number[];
  /**
   * `concat`: one after the other. `interleave_under`: in turn, until the first has no more rows.
   * `interleave_over`: in turn, until every row of every one was read; shorter ones begin again.
   */
  readonly strategy: MixStrategy;
  /** Share of each data set, sum 1; null or left out = taken strictly in turn. Only for interleaving. */
  readonly probabilities?: readonly number[] | null;
  /** A whole number from 0; matters with probabilities only. */
  readonly seed: number;
}

/** Neighbouring rows of one data set, [begin, end), 0-based. */
export interface MixRun {
  /** Index into `counts`. */
  readonly dataset: number;
  readonly begin: number;
  readonly end: number;
}

/** One row of one data set, 0-based. */
export interface MixRow {
  /** Index into `counts`. */
  readonly dataset: number;
  readonly row: number;
}

/** An order of rows; walks of it give row after row, or runs of rows, any number of times. */
export interface MixPlan extends Iterable<MixRow> {
  /** Rows in all, repeated ones included. */
  readonly rows: number;
  /** Rows taken of each data set, repeated ones included. */
  readonly taken: readonly number[];
  /** The same rows, neighbouring ones together. */
  runs(): Iterable<MixRun>;
}

/** Largest mix. Above it a probability is a mistake: `interleave_over` waits for the rarest row. */
const MAX_ROWS = 2 ** 32;

/** Draws made at a time. */
const DRAW_BLOCK = 4096;

/**
 * Plans the order of rows.
 *
 * Cost: with probabilities one draw a row here and one in every walk; otherwise none.
 * Throws: `DATA_BAD_OPTION` for probabilities that do not fit, an empty data set where rows are taken in turn, or a
 * mix of more than 2^32 rows.
 */
export function planMixing(options: MixOptions): MixPlan {
  const { counts, strategy, probabilities = null } = options;
  for (const [i, count] of counts.entries()) {
    if (!(Number.isSafeInteger(count) && count >= 0)) {
      throw badMix(`data set ${i + 1} has ${count} rows; a count is a whole number from 0`);
    }
  }
  if (strategy === 'concat') {
    if (probabilities !== null) {
      const hint = 'Set mix_strategy to interleave_under or interleave_over, or leave them out.';
      throw badMix('probabilities are for interleaving; mix_strategy is concat', hint);
    }
    return planOf(counts, () => concatenated(counts));
  }
  checkNotEmpty(counts, probabilities);
  if (probabilities !== null) return weightedPlan({ ...options, probabilities });
  const isUnder = strategy === 'interleave_under';
  const rounds = counts.length === 0 ? 0 : isUnder ? Math.min(...counts) : Math.max(...counts);
  checkRows(rounds * counts.length);
  return planOf(
    counts.map(() => rounds),
    () => inTurn(counts, rounds),
  );
}

function planOf(taken: readonly number[], runs: () => Iterable<MixRun>): MixPlan {
  return { rows: sum(taken), taken, runs, [Symbol.iterator]: () => rowsOfRuns(runs()) };
}

function* rowsOfRuns(runs: Iterable<MixRun>): Generator<MixRow, void, undefined> {
  for (const { dataset, begin, end } of runs) {
    for (let row = begin; row < end; row++) yield { dataset, row };
  }
}

function* concatenated(counts: readonly number[]): Generator<MixRun, void, undefined> {
  for (const [dataset, count] of counts.entries()) {
    if (count > 0) yield { dataset, begin: 0, end: count };
  }
}

function* inTurn(counts: readonly number[], rounds: number): Generator<MixRun, void, undefined> {
  for (let round = 0; round < rounds; round++) {
    for (const [dataset, count] of counts.entries()) {
      const begin = round % count;
      yield { dataset, begin, end: begin + 1 };
    }
  }
}

interface WeightedMix extends MixOptions {
  readonly probabilities: readonly number[];
}

function weightedPlan(mix: WeightedMix): MixPlan {
  const cdf = cumulated(mix);
  const counts = Float64Array.from(mix.counts);
  const expected = mix.counts.map((count, i) => {
    const probability = mix.probabilities[i] ?? 0;
    return count / (probability > 0 ? probability : 1);
  });
  const isOver = mix.strategy === 'interleave_over';
  if (isOver) {
    const never = mix.probabilities.indexOf(0);
    if (never >= 0)
      throw badMix(`data set ${never + 1} has probability 0, so it is never read through`);
    checkRows(Math.max(...expected));
  }
  const wanted = isOver ? counts.length : 1;
  const taken = new Float64Array(counts.length);
  const progress = { finished: 0, wanted };
  const random = createNumpyGenerator(mix.seed);
  const draws = new Float64Array(DRAW_BLOCK);
  let rows = 0;
  while (progress.finished < wanted) {
    random.fillRandom(draws);
    rows += countDraws(draws, cdf, counts, taken, progress);
    checkRows(rows);
  }
  return planOf([...taken], () => drawnRuns(mix, cdf, rows));
}

/** Walks the draws again; neighbouring draws of one data set become one run. */
function* drawnRuns(
  mix: WeightedMix,
  cdf: Float64Array,
  rows: number,
): Generator<MixRun, void, undefined> {
  const random = createNumpyGenerator(mix.seed);
  const draws = new Float64Array(DRAW_BLOCK);
  const next = mix.counts.map(() => 0);
  let run = { dataset: -1, begin: 0, end: 0 };
  for (let at = 0; at < rows; at++) {
    if (at % DRAW_BLOCK === 0) random.fillRandom(draws);
    const dataset = sourceOfDraw(cdf, draws[at % DRAW_BLOCK] ?? 0);
    const row = (next[dataset] ?? 0) % (mix.counts[dataset] ?? 1);
    next[dataset] = row + 1;
    if (dataset === run.dataset && row === run.end) run.end++;
    else {
      if (run.end > run.begin) yield run;
      run = { dataset, begin: row, end: row + 1 };
    }
  }
  if (run.end > run.begin) yield run;
}

/** Sums of probabilities as `numpy.random.Generator.choice` makes and checks them. */
function cumulated({ counts, probabilities }: WeightedMix): Float64Array {
  const given = probabilities.join(', ');
  if (probabilities.length !== counts.length) {
    throw badMix(`${probabilities.length} probabilities (${given}) for ${counts.length} data sets`);
  }
  if (!probabilities.every((value) => value >= 0)) {
    throw badMix(`the probabilities ${given} are not all numbers from 0 to 1`);
  }
  const total = sum(probabilities);
  if (!(Math.abs(total - 1) <= 1.4901161193847656e-8)) {
    const scaled = probabilities.map((value) => Number((value / total).toPrecision(6))).join(', ');
    const hint = total > 0 && total < Infinity ? `In the same ratio: ${scaled}.` : undefined;
    throw badMix(`the probabilities ${given} sum to ${total}, not 1`, hint);
  }
  const cdf = new Float64Array(counts.length);
  let reached = 0;
  for (const [i, value] of probabilities.entries()) {
    reached += value;
    cdf[i] = reached;
  }
  return cdf.map((value) => value / reached);
}

function checkNotEmpty(counts: readonly number[], probabilities: readonly number[] | null): void {
  const empty = counts.findIndex((count, i) => count === 0 && (probabilities?.[i] ?? 1) > 0);
  if (empty < 0) return;
  throw badMix(`data set ${empty + 1} has no rows, so none can be taken from it in turn`);
}

function checkRows(rows: number): void {
  if (rows <= MAX_ROWS) return;
  const about = rows.toExponential(1);
  throw badMix(
    `interleaving until every row was read takes about ${about} rows; at most 2^32 are planned`,
    'Raise the smallest probability, or use interleave_under.',
  );
}

function badMix(what: string, hint?: string): TuneyardError {
  return new TuneyardError(DATA_ERRORS.DATA_BAD_OPTION, `Cannot mix data sets: ${what}`, {
    ...(hint === undefined ? {} : { hint }),
  });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
