/** Loss and perplexity of a model over held-out rows. */
import { defined, TuneyardError, throwIfAborted } from '@tuneyard/core';
import type { PackedRow } from '@tuneyard/data';
import type { TrainingModel } from '../model/training-model.js';
import { EVALUATE_ERRORS } from './errors.js';

/** How far an evaluation is. */
export interface EvaluationProgress {
  readonly rowsDone: number;
  readonly rows: number;
}

/** Cancellation and progress. */
export interface EvaluateOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: EvaluationProgress) => void) | undefined;
}

/** Result of an evaluation. */
export interface LossEvaluation {
  /** Mean of -ln p over all learned tokens, in nats; every token counts alike, whatever its row. */
  readonly loss: number;
  /** e to the loss. */
  readonly perplexity: number;
  readonly learnedTokens: number;
  readonly rows: number;
}

/**
 * Measures the mean loss per learned token.
 *
 * Batches hold rows of similar length, longest first: least padding, and memory runs out at once or never. The
 * order is a function of the lengths, so the same rows give the same number.
 * Throws: `EVALUATE_NO_LEARNED_TOKENS`; `CANCELLED` between two batches.
 */
export async function evaluateLoss(
  model: Pick<TrainingModel, 'evaluate'>,
  rows: readonly PackedRow[],
  batchSize: number,
  options: EvaluateOptions = {},
): Promise<LossEvaluation> {
  const order = rows.map((_, row) => row);
  const lengthOf = (row: number): number => defined(rows[row], 'row').ids.length;
  order.sort((a, b) => lengthOf(b) - lengthOf(a));
  let lossSum = 0;
  let learnedTokens = 0;
  for (let begin = 0; begin < order.length; begin += batchSize) {
    throwIfAborted(options.signal);
    const batch = order.slice(begin, begin + batchSize).map((row) => defined(rows[row], 'row'));
    const part = await model.evaluate(batch);
    lossSum += part.lossSum;
    learnedTokens += part.learnedTokens;
    options.onProgress?.({ rowsDone: begin + batch.length, rows: rows.length });
  }
  if (learnedTokens === 0) {
    throw new TuneyardError(
      EVALUATE_ERRORS.EVALUATE_NO_LEARNED_TOKENS,
      `None of the ${rows.length} evaluated rows has a token to learn`,
      { hint: 'Check that the samples have answers and that cutoff_len does not cut them off.' },
    );
  }
  const loss = lossSum / learnedTokens;
  return { loss, perplexity: Math.exp(loss), learnedTokens, rows: rows.length };
}
