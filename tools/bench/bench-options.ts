/** Command line of `npm run bench:train`. */
import { parseArgs } from 'node:util';
import { parseCount, parseName } from './parse-options.js';
import { isShapeName, type ShapeName } from './random-model.js';

/** Types of the frozen base weights that the bench knows. */
export const BASE_TYPES = ['bf16', 'q8_0', 'q4_K'] as const;
/** One of {@link BASE_TYPES}. */
export type BenchBase = (typeof BASE_TYPES)[number];

/** What a run of the bench does. */
export interface BenchOptions {
  /** Every candidate has one turn in every round. */
  readonly rounds: number;
  /** Timed steps in one turn. */
  readonly stepsPerTurn: number;
  /** Untimed steps before the first round. */
  readonly warmupSteps: number;
  readonly threads: readonly number[];
  readonly bases: readonly BenchBase[];
  readonly shape: ShapeName;
  readonly isQuick: boolean;
  /** Print the JSON line alone. */
  readonly isJsonOnly: boolean;
}

/** Text of `--help`. */
export const BENCH_USAGE = `Usage: npm run bench:train -- [options]

  --rounds N        rounds in which every candidate has one turn (5)
  --threads LIST    thread counts, each measured by itself (1,2)
  --base LIST       base weights: bf16, q8_0, q4_K (all)
  --quick           one round of one step: a smoke test, not a measurement
  --json            the JSON line alone
  --help            this text

PyTorch is found through TUNEYARD_ORACLE_PYTHON, else as python3.`;

/**
 * Parses the arguments after the script's name; null when help is asked for.
 *
 * Throws: an `Error` whose message names the option and what it may be.
 */
export function parseBenchOptions(args: readonly string[]): BenchOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '5' },
      threads: { type: 'string', default: '1,2' },
      base: { type: 'string', default: BASE_TYPES.join() },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      // For the bench's own test: a model that loads in a moment, without the baseline.
      shape: { type: 'string', default: '110m' },
    },
  });
  if (values.help) return null;
  const { shape, quick } = values;
  if (!isShapeName(shape)) throw new Error(`--shape ${shape}: allowed are 110m, tiny`);
  const rounds = parseCount('--rounds', values.rounds);
  return {
    rounds: quick ? 1 : rounds,
    stepsPerTurn: quick ? 1 : 3,
    warmupSteps: quick ? 1 : 3,
    threads: parseList('--threads', values.threads, (x) => parseCount('--threads', x)),
    bases: parseList('--base', values.base, (x) => parseName('--base', x, BASE_TYPES)),
    shape,
    isQuick: quick,
    isJsonOnly: values.json,
  };
}

function parseList<T>(option: string, text: string, parse: (item: string) => T): readonly T[] {
  const items = text.split(',').map((item) => parse(item.trim()));
  if (new Set(items).size < items.length) throw new Error(`${option} ${text}: an item twice`);
  return items;
}
