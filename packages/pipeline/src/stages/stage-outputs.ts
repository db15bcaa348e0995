/** Files that stages leave beside their main output, and the numbers in their metrics. */
import { z } from 'zod';

/** Loss over steps, written by `train` into its artifact. */
export const HISTORY_FILE = 'history.json';
/** Losses and answers, written by `evaluate`. */
export const EVALUATION_FILE = 'evaluation.json';

const point = z.object({ step: z.number(), loss: z.number() });

/** Content of {@link HISTORY_FILE}. */
export const historySchema = z.object({ train: z.array(point), heldOut: z.array(point) });

/** Content of {@link EVALUATION_FILE}. */
export const evaluationSchema = z.object({
  samples: z.array(
    z.object({
      row: z.int(),
      prompt: z.string(),
      expected: z.string(),
      answer: z.string(),
      isMatch: z.boolean(),
    }),
  ),
});

/** The loss history of a training. */
export type TrainHistory = z.output<typeof historySchema>;

/** The answers of an evaluation. */
export type EvaluationFile = z.output<typeof evaluationSchema>;

/** Metrics of `preprocess`. */
export interface PreprocessMetrics {
  /** Rows read, of both parts where the data is split. */
  readonly rows: number;
  readonly samples: number;
  readonly tokens: number;
  readonly learnedTokens: number;
  /** Tokens of the longest sample. */
  readonly longest: number;
  /** Rows by bucket: why they gave no sample, and `truncated`. */
  readonly buckets: { readonly [bucket: string]: number };
}

/** Metrics of `train`; losses are means over learned tokens, in nats. */
export interface TrainMetrics {
  readonly steps: number;
  readonly skippedSteps: number;
  readonly trainedParameters: number;
  /** Tokens read, without padding, and labels among them. */
  readonly tokens: number;
  readonly learnedTokens: number;
  readonly tokensPerSecond: number;
  /** Mean over all updates; null without one. */
  readonly trainLoss: number | null;
  readonly heldOutLossBefore: number | null;
  readonly heldOutLossAfter: number | null;
  readonly plannedMemoryBytes: number;
  readonly peakMemoryBytes: number;
}

/** Metrics of `evaluate`. */
export interface EvaluateMetrics {
  readonly loss: number;
  readonly perplexity: number;
  readonly learnedTokens: number;
  /** Answers that equal the expected one, and how many were asked; null when not asked. */
  readonly exactMatch: { readonly right: number; readonly asked: number } | null;
  /** 95 % interval of the share that is right. */
  readonly exactMatchInterval: { readonly low: number; readonly high: number } | null;
}
