/** Figures of `bench:tokenizer`: from turns to medians, ratios, targets, and the table. Pure. */
import type {
  BenchCandidate,
  BenchVocabulary,
} from '../../packages/data/test/tokenizer-candidates.js';
import { median } from './bench-report.js';
import type { PassReport, TokenizerTurnReport } from './bench-tokenizer-child.js';

/** What the project wants to reach against Hugging Face's Rust library on one core. */
export const TOKENIZER_TARGETS = { sustained: 8, cold: 5 } as const;

/** All turns of one candidate with one vocabulary, in order. */
export interface TokenizerTurns {
  readonly candidate: BenchCandidate;
  readonly vocabulary: BenchVocabulary;
  readonly turns: readonly TokenizerTurnReport[];
}

/** Speed of one candidate with one vocabulary: medians over the rounds. */
export interface TokenizerFigures {
  readonly load_ms: number;
  readonly cold_mb_per_s: number;
  readonly sustained_mb_per_s: number;
  readonly sustained_min: number;
  readonly sustained_max: number;
  readonly tokens_per_s: number;
  readonly peak_mb: number;
  /** Our speed over this one's; null for ourselves. */
  readonly cold_ratio: number | null;
  readonly sustained_ratio: number | null;
  /** The same by CPU time. */
  readonly cold_cpu_ratio: number | null;
  readonly sustained_cpu_ratio: number | null;
  /** Every id is ours; null for ourselves. */
  readonly same_ids: boolean | null;
}

/** The JSON line. */
export interface TokenizerBenchResult {
  readonly bench: 'tokenizer';
  /** Smallest sustained ratio to `tokenizers` over the vocabularies. */
  readonly ratio: number | null;
  readonly cold_ratio: number | null;
  /** Every id of every vocabulary is that of `tokenizers`. */
  readonly same_ids: boolean;
  readonly vocabularies: Readonly<
    Partial<Record<BenchVocabulary, Readonly<Partial<Record<BenchCandidate, TokenizerFigures>>>>>
  >;
  readonly targets: typeof TOKENIZER_TARGETS & { readonly met: boolean };
}

/** Makes the JSON line of all turns. */
export function summariseTokenizers(all: readonly TokenizerTurns[]): TokenizerBenchResult {
  const vocabularies: Record<string, Record<string, TokenizerFigures>> = {};
  for (const { candidate, vocabulary, turns } of all) {
    const ours = all.find((o) => o.candidate === 'tuneyard' && o.vocabulary === vocabulary);
    const byCandidate = vocabularies[vocabulary] ?? {};
    vocabularies[vocabulary] = byCandidate;
    byCandidate[candidate] = figuresOf(
      turns,
      candidate === 'tuneyard' ? null : (ours?.turns ?? null),
    );
  }
  const figures = Object.values(vocabularies);
  const least = (key: 'sustained_ratio' | 'cold_ratio'): number | null => {
    const ratios = figures.map(({ tokenizers }) => tokenizers?.[key] ?? null);
    return ratios.includes(null) || ratios.length === 0
      ? null
      : Math.min(...ratios.map((ratio) => ratio ?? 0));
  };
  const ratio = least('sustained_ratio');
  const coldRatio = least('cold_ratio');
  const sameIds = figures.every(({ tokenizers }) => tokenizers?.same_ids !== false);
  const met =
    sameIds &&
    (ratio ?? 0) >= TOKENIZER_TARGETS.sustained &&
    (coldRatio ?? 0) >= TOKENIZER_TARGETS.cold;
  return {
    bench: 'tokenizer',
    ratio,
    cold_ratio: coldRatio,
    same_ids: sameIds,
    vocabularies,
    targets: { ...TOKENIZER_TARGETS, met },
  };
}

function figuresOf(
  turns: readonly TokenizerTurnReport[],
  ours: readonly TokenizerTurnReport[] | null,
): TokenizerFigures {
  const rates = turns.map(({ sustained }) => megabytesPerSecond(sustained));
  const ratio = (of: (turn: TokenizerTurnReport) => number): number | null =>
    ours === null ? null : round(median(turns.map(of)) / median(ours.map(of)), 2);
  return {
    load_ms: round(median(turns.map(({ loadMs }) => loadMs)), 0),
    cold_mb_per_s: round(median(turns.map(({ cold }) => megabytesPerSecond(cold))), 2),
    sustained_mb_per_s: round(median(rates), 2),
    sustained_min: round(Math.min(...rates), 2),
    sustained_max: round(Math.max(...rates), 2),
    tokens_per_s: round(median(turns.map(({ sustained: s }) => (1000 * s.tokens) / s.wallMs)), 0),
    peak_mb: round(Math.max(...turns.map(({ peakRssMb }) => peakRssMb)), 0),
    cold_ratio: ratio(({ cold }) => cold.wallMs),
    sustained_ratio: ratio(({ sustained }) => sustained.wallMs),
    cold_cpu_ratio: ratio(({ cold }) => cold.cpuMs),
    sustained_cpu_ratio: ratio(({ sustained }) => sustained.cpuMs),
    same_ids: ours === null ? null : hasSameIds(turns, ours),
  };
}

function hasSameIds(
  turns: readonly TokenizerTurnReport[],
  ours: readonly TokenizerTurnReport[],
): boolean {
  const key = ({ cold, sustained }: TokenizerTurnReport): string =>
    [cold.tokens, cold.checksum, sustained.tokens, sustained.checksum].join();
  return new Set([...turns, ...ours].map(key)).size === 1;
}

function megabytesPerSecond({ bytes, wallMs }: PassReport): number {
  return bytes / 1000 / wallMs;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** The table for people, one block per vocabulary. */
export function formatTokenizerTable(result: TokenizerBenchResult): string {
  const head = [
    '',
    'load ms',
    'cold MB/s',
    'sustained MB/s [min–max]',
    'Mtokens/s',
    'peak MB',
    'ours × cold',
    'ours × sustained',
    'same ids',
  ];
  return Object.entries(result.vocabularies)
    .map(([vocabulary, candidates]) => {
      const rows = Object.entries(candidates).map(([name, f]) => [
        name,
        f.load_ms.toFixed(0),
        f.cold_mb_per_s.toFixed(1),
        `${f.sustained_mb_per_s.toFixed(1)} [${f.sustained_min.toFixed(1)}–${f.sustained_max.toFixed(1)}]`,
        (f.tokens_per_s / 1e6).toFixed(2),
        f.peak_mb.toFixed(0),
        f.cold_ratio?.toFixed(1) ?? '–',
        f.sustained_ratio?.toFixed(1) ?? '–',
        f.same_ids === null ? '–' : f.same_ids ? 'yes' : 'NO',
      ]);
      return [vocabulary, ...alignColumns([head, ...rows])].join('\n');
    })
    .join('\n\n');
}

function alignColumns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) =>
    Math.max(...rows.map((row) => (row[i] ?? '').length)),
  );
  return rows.map(
    (row) =>
      `  ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ')}`,
  );
}
