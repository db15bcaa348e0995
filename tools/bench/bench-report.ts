/** Figures of `bench:train`: from turns to medians, ratios, targets, and the table. Pure. */
import type { BenchBase } from './bench-options.js';
import { GEMM_STEP_FLOPS, GEMM_TYPES, type GemmType } from './gemm-shape.js';
import type { TurnReport } from './turn-protocol.js';

/** What the project wants to reach against PyTorch f32 on the same threads. */
export const TARGETS = { q8_0: 1.3, q4_K: 1.8, memory: 0.45 } as const;

/** All turns of one candidate at one thread count, in order. */
export interface CandidateTurns {
  readonly name: string;
  readonly threads: number;
  readonly turns: readonly TurnReport[];
}

/** Speed and memory of one trainer at one thread count. */
export interface TrainerFigures {
  readonly tokens_per_s: number;
  readonly tokens_per_s_min: number;
  readonly tokens_per_s_max: number;
  readonly peak_mb: number;
  /** Tokens/s over those of PyTorch f32; null without it. */
  readonly ratio: number | null;
  /** Peak memory over that of PyTorch f32; null without it. */
  readonly memory_ratio: number | null;
  /** Large products per second over what ggml reaches on a single one of the type; null for PyTorch. */
  readonly gemm_share: number | null;
  readonly loss: number | null;
}

type ByThreads<T> = Readonly<Record<string, T>>;
/** A trainer in the JSON line. */
export type TrainerName = BenchBase | 'torch_f32' | 'torch_bf16';

/** The JSON line. */
export type BenchResult = Readonly<Partial<Record<TrainerName, ByThreads<TrainerFigures>>>> & {
  readonly bench: 'train';
  /** Smallest ratio of q8_0 over the thread counts; null when it or PyTorch was not measured. */
  readonly ratio: number | null;
  /** Largest memory ratio of q8_0 and q4_K over the thread counts. */
  readonly memory_ratio: number | null;
  /** Units: GFLOP/s. */
  readonly gemm: ByThreads<Readonly<Partial<Record<GemmType, number>>>>;
  /** `met` is null when something that a target asks about was not measured. */
  readonly targets: typeof TARGETS & { readonly met: boolean | null };
};

/** Size of what was measured. */
export interface BenchWork {
  readonly tokensPerStep: number;
  readonly denseFlopsPerToken: number;
}

const TRAINERS: readonly TrainerName[] = ['bf16', 'q8_0', 'q4_K', 'torch_f32', 'torch_bf16'];

/** Middle value, or the mean of the two middle ones. `values` is not empty. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

/** Steps per second of each turn: all its steps over all its time. */
function stepRates(turns: readonly TurnReport[]): number[] {
  return turns.map(({ step_ms }) => (1000 * step_ms.length) / step_ms.reduce((a, b) => a + b, 0));
}

/** Makes the JSON line of all candidates. */
export function summarise(candidates: readonly CandidateTurns[], work: BenchWork): BenchResult {
  const threads = [...new Set(candidates.map((c) => c.threads))];
  const find = (name: string, t: number): CandidateTurns | undefined =>
    candidates.find((c) => c.name === name && c.threads === t);
  const gemm = Object.fromEntries(threads.map((t) => [t, gemmRates(t, find)]));
  const figures = TRAINERS.map((name): [TrainerName, Record<string, TrainerFigures>] => [
    name,
    Object.fromEntries(
      threads.flatMap((t) => {
        const own = find(name, t);
        if (own === undefined) return [];
        const rate = gemm[t]?.[name as GemmType];
        return [[t, trainerFigures(own, { work, baseline: find('torch_f32', t), gemmRate: rate })]];
      }),
    ),
  ]);
  const trainers: Partial<Record<TrainerName, Record<string, TrainerFigures>>> = Object.fromEntries(
    figures.filter(([, byThreads]) => Object.keys(byThreads).length > 0),
  );
  const ratios = (name: TrainerName, key: 'ratio' | 'memory_ratio'): (number | null)[] =>
    threads.map((t) => trainers[name]?.[t]?.[key] ?? null);
  const q8 = extreme(Math.min, ratios('q8_0', 'ratio'));
  const q4 = extreme(Math.min, ratios('q4_K', 'ratio'));
  const memory = extreme(Math.max, [
    ...ratios('q8_0', 'memory_ratio'),
    ...ratios('q4_K', 'memory_ratio'),
  ]);
  const met =
    q8 === null || q4 === null || memory === null
      ? null
      : q8 >= TARGETS.q8_0 && q4 >= TARGETS.q4_K && memory <= TARGETS.memory;
  return {
    bench: 'train',
    ratio: q8,
    ...trainers,
    gemm,
    memory_ratio: memory,
    targets: { ...TARGETS, met },
  };
}

function gemmRates(
  threads: number,
  find: (name: string, threads: number) => CandidateTurns | undefined,
): Partial<Record<GemmType, number>> {
  return Object.fromEntries(
    GEMM_TYPES.flatMap((type) => {
      const turns = find(`gemm_${type}`, threads)?.turns;
      return turns === undefined
        ? []
        : [[type, round((GEMM_STEP_FLOPS / 1e9) * median(stepRates(turns)), 1)]];
    }),
  );
}

function trainerFigures(
  { turns }: CandidateTurns,
  parts: {
    work: BenchWork;
    baseline: CandidateTurns | undefined;
    gemmRate: number | undefined;
  },
): TrainerFigures {
  const { work, baseline, gemmRate } = parts;
  const rates = stepRates(turns).map((rate) => rate * work.tokensPerStep);
  const rate = median(rates);
  const peak = peakMb(turns);
  const last = turns.at(-1)?.loss;
  return {
    tokens_per_s: round(rate, 1),
    tokens_per_s_min: round(Math.min(...rates), 1),
    tokens_per_s_max: round(Math.max(...rates), 1),
    peak_mb: Math.round(peak),
    ratio: baseline
      ? round(rate / (median(stepRates(baseline.turns)) * work.tokensPerStep), 3)
      : null,
    memory_ratio: baseline ? round(peak / peakMb(baseline.turns), 3) : null,
    gemm_share: gemmRate ? round((rate * work.denseFlopsPerToken) / (gemmRate * 1e9), 3) : null,
    loss: last === undefined ? null : round(last, 4),
  };
}

function peakMb(turns: readonly TurnReport[]): number {
  return Math.max(...turns.map((turn) => turn.peak_rss_mb));
}

/** Null when one of the values is missing: a target is judged on all thread counts or not at all. */
function extreme(
  pick: (...values: number[]) => number,
  values: readonly (number | null)[],
): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === values.length && known.length > 0 ? pick(...known) : null;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** The table for people, one block per thread count. */
export function formatTable(result: BenchResult): string {
  return Object.entries(result.gemm)
    .map(([threads, rates]) => {
      const rows = TRAINERS.flatMap((name) => {
        const figures = result[name]?.[threads];
        return figures === undefined ? [] : [tableRow(name, figures)];
      });
      const gemm = Object.entries(rates).map(([type, rate]) => `${type} ${rate.toFixed(0)}`);
      return [
        `${threads} ${threads === '1' ? 'thread' : 'threads'}`,
        ...alignColumns([TABLE_HEAD, ...rows]),
        `  ggml product 2048 × 768 × 512, GFLOP/s: ${gemm.join(', ')}`,
      ].join('\n');
    })
    .join('\n\n');
}

const TABLE_HEAD = ['', 'tokens/s [min–max]', 'peak MB', '× torch f32', 'memory ×', 'of GEMM'];

function tableRow(name: string, f: TrainerFigures): string[] {
  const orDash = (value: number | null): string => (value === null ? '–' : value.toFixed(2));
  const range = `[${f.tokens_per_s_min.toFixed(0)}–${f.tokens_per_s_max.toFixed(0)}]`;
  return [
    name.replace('_f32', ' f32').replace('_bf16', ' bf16'),
    `${f.tokens_per_s.toFixed(0)} ${range}`,
    String(f.peak_mb),
    orDash(f.ratio),
    orDash(f.memory_ratio),
    orDash(f.gemm_share),
  ];
}

function alignColumns(rows: readonly (readonly string[])[]): string[] {
  const widths = TABLE_HEAD.map((_, c) => Math.max(...rows.map((row) => row[c]?.length ?? 0)));
  return rows.map(
    (row) =>
      `  ${row.map((cell, c) => (c === 0 ? cell.padEnd(widths[c] ?? 0) : cell.padStart(widths[c] ?? 0))).join('  ')}`,
  );
}

/** What the targets ask for and what came out, in words. */
export function formatVerdict({ targets, ratio, memory_ratio, ...rest }: BenchResult): string {
  const q4 = Object.values(rest.q4_K ?? {}).map((f) => f.ratio);
  const q4Ratio = extreme(Math.min, q4);
  const say = (value: number | null): string =>
    value === null ? 'not measured' : value.toFixed(2);
  const verdict = { true: 'met', false: 'missed', null: 'not judged' }[String(targets.met)];
  return [
    `Targets ${verdict} (against PyTorch f32, worst over the thread counts):`,
    `  q8_0 at least ${targets.q8_0} × its speed: ${say(ratio)}`,
    `  q4_K at least ${targets.q4_K} × its speed: ${say(q4Ratio)}`,
    `  both at most ${targets.memory} × its memory: ${say(memory_ratio)}`,
  ].join('\n');
}
