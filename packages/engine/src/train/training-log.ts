/**
 * `trainer_log.jsonl`: one JSON object per line, with the fields of LLaMA-Factory's log and some of our own.
 *
 * The lines of a resumed run equal those of an uninterrupted one but for {@link TIMING_FIELDS}.
 */
import { appendFile, open, rename } from 'node:fs/promises';
import { join } from 'node:path';

/** The log's file name in the output directory. */
export const TRAINING_LOG_FILE = 'trainer_log.jsonl';

/** Fields that depend on the speed of the machine. */
export const TIMING_FIELDS = [
  'elapsed_time',
  'remaining_time',
  'throughput',
  'tokens_per_second',
] as const;

/** One line. Training lines carry `loss`, evaluation lines `eval_loss`. */
export interface LogEntry {
  readonly current_steps: number;
  readonly total_steps: number;
  /** Mean over the steps since the last line of the step's mean loss per learned token, in nats. */
  readonly loss?: number;
  /** Mean loss per learned token of the validation rows; null when not finite. */
  readonly eval_loss?: number | null;
  readonly eval_perplexity?: number | null;
  /** The learning rate of the last update. */
  readonly lr?: number;
  /** Passes over the data, fractional. */
  readonly epoch: number;
  readonly percentage: number;
  /** `h:mm:ss`, with days in front as Python writes them. */
  readonly elapsed_time: string;
  readonly remaining_time: string;
  /** Tokens per second since the start of the run, evaluations included. */
  readonly throughput?: number;
  /** Tokens read so far, without padding. */
  readonly total_tokens?: number;
  /** Norm of the last step's gradient, before clipping. */
  readonly grad_norm?: number;
  /** Labels learned so far. */
  readonly learned_tokens?: number;
  /** Tokens per second of the steps since the last line, evaluations excluded. */
  readonly tokens_per_second?: number;
  /** Steps left out so far, when there are any. */
  readonly skipped_steps?: number;
}

/** Where a run is, for the fields that every line has. */
export interface LogPosition {
  readonly step: number;
  readonly totalSteps: number;
  readonly stepsPerEpoch: number;
  readonly elapsedMs: number;
}

/** The fields that every line has, split around those of its kind to keep the order of the reference. */
export function positionFields(
  position: LogPosition,
): Pick<LogEntry, 'epoch' | 'percentage' | 'elapsed_time' | 'remaining_time'> {
  const { step, totalSteps, stepsPerEpoch, elapsedMs } = position;
  const remainingMs = step === 0 ? 0 : (elapsedMs / step) * (totalSteps - step);
  return {
    epoch: roundTo(step / stepsPerEpoch, 4),
    percentage: roundTo((step / totalSteps) * 100, 2),
    elapsed_time: formatClock(elapsedMs),
    remaining_time: formatClock(remainingMs),
  };
}

/** Formats as Python prints a `timedelta` of whole seconds: 0:00:32, 11:05:00, 1 day, 2:03:04. */
export function formatClock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const days = Math.floor(seconds / 86_400);
  const two = (value: number): string => String(value).padStart(2, '0');
  const hours = Math.floor((seconds % 86_400) / 3600);
  const clock = `${hours}:${two(Math.floor((seconds % 3600) / 60))}:${two(seconds % 60)}`;
  if (days === 0) return clock;
  return `${days} day${days === 1 ? '' : 's'}, ${clock}`;
}

/** Rounds to a number of decimals; a value that is not finite passes through. */
export function roundTo(value: number, decimals: number): number {
  return Number.isFinite(value) ? Number(value.toFixed(decimals)) : value;
}

/** Appends one line. */
export async function appendLogEntry(outputDir: string, entry: LogEntry): Promise<void> {
  await appendFile(join(outputDir, TRAINING_LOG_FILE), `${JSON.stringify(entry)}\n`);
}

/** Replaces the whole log: an empty one for a fresh run, a checkpoint's history for a resumed run. */
export async function rewriteLog(outputDir: string, entries: readonly LogEntry[]): Promise<void> {
  const path = join(outputDir, TRAINING_LOG_FILE);
  const file = await open(`${path}.partial`, 'w');
  try {
    await file.writeFile(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.partial`, path);
}
