/** Figures of `bench:convert`: from turns to medians, ratios, targets, and the table. Pure. */
import type { ConvertTurnReport } from './bench-convert-child.js';
import { median } from './bench-report.js';

/** What the project wants to reach: against torch, against a plain copy, and resident at most. */
export const CONVERT_TARGETS = { ratio: 4, copy_ratio: 0.75, peak_mb: 250 } as const;

/** Conversions that the bench runs, with the types of source and target. */
export const CONVERT_CASES = {
  'to-megatron': { what: 'to-megatron', from: 'BF16', dtype: null },
  'to-hf': { what: 'to-hf', from: 'BF16', dtype: null },
  cast: { what: 'to-megatron', from: 'F32', dtype: 'BF16' },
} as const;

/** One of {@link CONVERT_CASES}. */
export type ConvertCase = keyof typeof CONVERT_CASES;

/** Who runs. */
export type ConvertCandidate = 'tuneyard' | 'torch' | 'copy' | 'copies';

/** All turns of one case, in order; torch may be missing. */
export interface ConvertTurns {
  readonly name: ConvertCase;
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly turns: Readonly<Partial<Record<ConvertCandidate, readonly ConvertTurnReport[]>>>;
  /** Outputs of both were compared; null when they were not. */
  readonly isSame: boolean | null;
}

/** Figures of one case. */
export interface ConvertFigures {
  readonly read_gb: number;
  readonly write_gb: number;
  readonly tuneyard_s: number;
  readonly torch_s: number | null;
  /** A plain loop of read and write. */
  readonly copy_s: number | null;
  /** As many such loops at once as the conversion has threads. */
  readonly copies_s: number | null;
  /** Bytes written by ours per second. */
  readonly gb_per_s: number;
  /** Median time of torch over that of ours. */
  readonly ratio: number | null;
  /** Best time of torch over that of ours. */
  readonly best_ratio: number | null;
  /** Median time of the plain copy over that of ours: 1 is as fast as copying. */
  readonly copy_ratio: number | null;
  /** The same for the loops at once. */
  readonly copies_ratio: number | null;
  readonly peak_mb: number;
  readonly torch_peak_mb: number | null;
  readonly same_tensors: boolean | null;
}

/** The JSON line. */
export interface ConvertBenchResult {
  readonly bench: 'convert';
  /** Smallest over the cases; null without torch. */
  readonly ratio: number | null;
  readonly copy_ratio: number | null;
  /** Largest over the cases. */
  readonly peak_mb: number;
  readonly rounds: number;
  /** Every output was on the disk before the clock stopped. */
  readonly durable: boolean;
  readonly cases: Readonly<Partial<Record<ConvertCase, ConvertFigures>>>;
  readonly targets: typeof CONVERT_TARGETS & { readonly met: boolean };
}

/** Makes the JSON line of all turns. */
export function summariseConvert(
  all: readonly ConvertTurns[],
  { rounds, isDurable }: { readonly rounds: number; readonly isDurable: boolean },
): ConvertBenchResult {
  const figures = all.map((turns) => [turns.name, figuresOf(turns)] as const);
  const least = (of: (figures: ConvertFigures) => number | null): number | null => {
    const values = figures.map(([, own]) => of(own)).filter((value) => value !== null);
    return values.length === 0 ? null : Math.min(...values);
  };
  const ratio = least((own) => own.ratio);
  const copyRatio = least((own) => own.copy_ratio);
  const peakMb = Math.max(...figures.map(([, own]) => own.peak_mb));
  const isSame = figures.every(([, own]) => own.same_tensors !== false);
  const met =
    isSame &&
    (ratio ?? 0) >= CONVERT_TARGETS.ratio &&
    (copyRatio ?? 0) >= CONVERT_TARGETS.copy_ratio &&
    peakMb <= CONVERT_TARGETS.peak_mb;
  return {
    bench: 'convert',
    ratio,
    copy_ratio: copyRatio,
    peak_mb: peakMb,
    rounds,
    durable: isDurable,
    cases: Object.fromEntries(figures),
    targets: { ...CONVERT_TARGETS, met },
  };
}

function figuresOf({ readBytes, writeBytes, turns, isSame }: ConvertTurns): ConvertFigures {
  const seconds = (candidate: ConvertCandidate): number | null => {
    const own = turns[candidate] ?? [];
    return own.length === 0 ? null : median(own.map(({ wallMs }) => wallMs)) / 1000;
  };
  const best = (candidate: ConvertCandidate): number | null => {
    const own = turns[candidate] ?? [];
    return own.length === 0 ? null : Math.min(...own.map(({ wallMs }) => wallMs));
  };
  const peak = (candidate: ConvertCandidate): number | null => {
    const own = turns[candidate] ?? [];
    return own.length === 0 ? null : Math.max(...own.map(({ peakRssMb }) => peakRssMb));
  };
  const [ours, torch, copy] = [seconds('tuneyard') ?? 0, seconds('torch'), seconds('copy')];
  const over = (a: number | null, b: number | null): number | null =>
    a === null || b === null ? null : round(a / b, 2);
  return {
    read_gb: round(readBytes / 1e9, 2),
    write_gb: round(writeBytes / 1e9, 2),
    tuneyard_s: round(ours, 3),
    torch_s: torch === null ? null : round(torch, 3),
    copy_s: copy === null ? null : round(copy, 3),
    copies_s: over(seconds('copies'), 1),
    gb_per_s: round(writeBytes / 1e9 / ours, 2),
    ratio: over(torch, ours),
    best_ratio: over(best('torch'), best('tuneyard')),
    copy_ratio: over(copy, ours),
    copies_ratio: over(seconds('copies'), ours),
    peak_mb: round(peak('tuneyard') ?? 0, 0),
    torch_peak_mb: torch === null ? null : round(peak('torch') ?? 0, 0),
    same_tensors: isSame,
  };
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** The table for people. */
export function formatConvertTable({ cases }: ConvertBenchResult): string {
  const head = [
    '',
    'GB',
    'ours s',
    'torch s',
    'copy s',
    'torch ×',
    'copy ×',
    'copies ×',
    'MB',
    'torch MB',
  ];
  const text = (value: number | null, digits: number): string => value?.toFixed(digits) ?? '–';
  const lines = Object.entries(cases).map(([name, own]) => [
    name,
    `${own.read_gb}→${own.write_gb}`,
    text(own.tuneyard_s, 2),
    text(own.torch_s, 2),
    text(own.copy_s, 2),
    text(own.ratio, 2),
    text(own.copy_ratio, 2),
    text(own.copies_ratio, 2),
    text(own.peak_mb, 0),
    text(own.torch_peak_mb, 0),
  ]);
  const rows = [head, ...lines];
  const widths = head.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map((row) => row.map((cell, i) => cell.padStart(widths[i] ?? 0)).join('  '))
    .join('\n');
}
