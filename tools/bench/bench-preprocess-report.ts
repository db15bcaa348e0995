/** Figures of `bench:preprocess`: from turns to medians, ratios, targets, and the table. Pure. */
import type {
  BenchCandidate,
  BenchVocabulary,
} from '../../packages/data/test/tokenizer-candidates.js';
import type { PreprocessTurnReport } from './bench-preprocess-child.js';
import { median } from './bench-report.js';

/** What the project wants to reach: against Hugging Face's Rust library on one core, and from one thread to two. */
export const PREPROCESS_TARGETS = { sustained: 8, cold: 5, scaling: 1.7, workerMb: 300 } as const;

/** Who runs, on how many threads of its own; 0 = the main one. */
export const PREPROCESS_CANDIDATES = {
  'tuneyard 0': { candidate: 'tuneyard', workers: 0 },
  'tuneyard 1': { candidate: 'tuneyard', workers: 1 },
  'tuneyard 2': { candidate: 'tuneyard', workers: 2 },
  tokenizers: { candidate: 'tokenizers', workers: 0 },
  tiktoken: { candidate: 'tiktoken', workers: 0 },
} as const satisfies { [name: string]: { candidate: BenchCandidate; workers: number } };

/** One of {@link PREPROCESS_CANDIDATES}. */
export type PreprocessCandidate = keyof typeof PREPROCESS_CANDIDATES;

/** All turns of one candidate with one vocabulary, in order. */
export interface PreprocessTurns {
  readonly candidate: PreprocessCandidate;
  readonly vocabulary: BenchVocabulary;
  readonly cold: readonly PreprocessTurnReport[];
  readonly long: readonly PreprocessTurnReport[];
}

/** Speed of one candidate with one vocabulary: medians over the rounds. */
export interface PreprocessFigures {
  readonly load_ms: number;
  readonly cold_mb_per_s: number;
  readonly sustained_mb_per_s: number;
  readonly sustained_tokens_per_s: number;
  /** Largest resident memory of the process, on the long file. */
  readonly peak_mb: number;
  /** The speed of `tuneyard 0` over this one's. */
  readonly cold_ratio: number;
  readonly sustained_ratio: number;
  /** The files of all candidates are equal. */
  readonly same_bytes: boolean;
}

/** Bytes of text in the two files. */
export interface FileBytes {
  readonly cold: number;
  readonly long: number;
}

type ByCandidate = Readonly<Partial<Record<PreprocessCandidate, PreprocessFigures>>>;

/** The JSON line. */
export interface PreprocessBenchResult {
  readonly bench: 'preprocess';
  /** Smallest sustained ratio to the loop over `tokenizers`, over the vocabularies. */
  readonly ratio: number;
  readonly cold_ratio: number;
  /** Smallest ratio of two threads to one. */
  readonly scaling: number;
  /** What a second thread adds to the process at most. */
  readonly worker_mb: number;
  readonly same_bytes: boolean;
  readonly vocabularies: Readonly<Partial<Record<BenchVocabulary, ByCandidate>>>;
  readonly targets: typeof PREPROCESS_TARGETS & { readonly met: boolean };
}

/** Makes the JSON line of all turns. */
export function summarisePreprocess(
  all: readonly PreprocessTurns[],
  bytes: FileBytes,
): PreprocessBenchResult {
  const vocabularies: Partial<Record<BenchVocabulary, ByCandidate>> = {};
  for (const vocabulary of new Set(all.map((turns) => turns.vocabulary))) {
    const rows = all.filter((turns) => turns.vocabulary === vocabulary);
    const ours = rows.find(({ candidate }) => candidate === 'tuneyard 0');
    vocabularies[vocabulary] = Object.fromEntries(
      rows.map((row) => [row.candidate, figuresOf(row, ours ?? row, bytes)]),
    );
  }
  const rows = Object.values(vocabularies);
  const least = (of: (row: ByCandidate) => number | undefined): number =>
    Math.min(...rows.map((row) => of(row) ?? 0));
  const ratio = least((row) => row.tokenizers?.sustained_ratio);
  const coldRatio = least((row) => row.tokenizers?.cold_ratio);
  const rate = (row: ByCandidate, name: PreprocessCandidate): number =>
    row[name]?.sustained_mb_per_s ?? 0;
  const scaling = round(
    least((row) => rate(row, 'tuneyard 2') / rate(row, 'tuneyard 1')),
    2,
  );
  const added = (row: ByCandidate): number =>
    (row['tuneyard 2']?.peak_mb ?? 0) - (row['tuneyard 1']?.peak_mb ?? 0);
  const workerMb = Math.max(...rows.map(added));
  const sameBytes = rows.every((row) => Object.values(row).every((f) => f.same_bytes));
  const { sustained, cold, scaling: scale, workerMb: limit } = PREPROCESS_TARGETS;
  const met =
    sameBytes && ratio >= sustained && coldRatio >= cold && scaling >= scale && workerMb <= limit;
  return {
    bench: 'preprocess',
    ratio,
    cold_ratio: coldRatio,
    scaling,
    worker_mb: workerMb,
    same_bytes: sameBytes,
    vocabularies,
    targets: { ...PREPROCESS_TARGETS, met },
  };
}

function figuresOf(
  turns: PreprocessTurns,
  ours: PreprocessTurns,
  bytes: FileBytes,
): PreprocessFigures {
  const cold = median(turns.cold.map(({ wallMs }) => wallMs));
  const between = betweenMs(turns);
  const tokens = (turns.long[0]?.tokens ?? 0) - (turns.cold[0]?.tokens ?? 0);
  return {
    load_ms: round(median(turns.cold.map(({ loadMs }) => loadMs)), 0),
    cold_mb_per_s: round(bytes.cold / 1000 / cold, 2),
    sustained_mb_per_s: round((bytes.long - bytes.cold) / 1000 / between, 2),
    sustained_tokens_per_s: round((1000 * tokens) / between, 0),
    peak_mb: round(Math.max(...turns.long.map(({ peakRssMb }) => peakRssMb)), 0),
    cold_ratio: round(cold / median(ours.cold.map(({ wallMs }) => wallMs)), 2),
    sustained_ratio: round(between / betweenMs(ours), 2),
    same_bytes: new Set([...turns.long, ...ours.long].map(({ digest }) => digest)).size === 1,
  };
}

/** Time for the text that the long file has and the short one has not. */
function betweenMs({ cold, long }: PreprocessTurns): number {
  return median(long.map(({ wallMs }) => wallMs)) - median(cold.map(({ wallMs }) => wallMs));
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** The table for people, one block per vocabulary. */
export function formatPreprocessTable(result: PreprocessBenchResult): string {
  const head = [
    '',
    'load ms',
    'cold MB/s',
    'sustained MB/s',
    'Mtokens/s',
    'peak MB',
    'cold ×',
    'sustained ×',
  ];
  const lines = Object.entries(result.vocabularies).flatMap(([vocabulary, candidates]) => [
    [vocabulary, ...head.slice(1)],
    ...Object.entries(candidates).map(([name, figures]) => [
      name,
      String(figures.load_ms),
      figures.cold_mb_per_s.toFixed(1),
      figures.sustained_mb_per_s.toFixed(1),
      (figures.sustained_tokens_per_s / 1e6).toFixed(2),
      String(figures.peak_mb),
      figures.cold_ratio.toFixed(2),
      figures.sustained_ratio.toFixed(2),
    ]),
  ]);
  const widths = head.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join('  '),
    )
    .join('\n');
}
