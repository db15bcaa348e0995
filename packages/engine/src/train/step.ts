/**
 * One optimizer step: accumulate over micro-batches, normalise, clip, update.
 *
 * The gradient of a step is that of the mean loss over all its learned tokens, so splitting a batch into more
 * or fewer micro-batches of whatever lengths gives the same step. A step whose loss or gradient is not finite
 * leaves the weights and the moments untouched.
 */
import type { PackedRow } from '@tuneyard/data';
import type { AdamWStep, TrainingModel } from '../model/training-model.js';
import type { TrainingSettings } from './settings.js';

/** Why a step changed nothing. */
export type SkipReason = 'non_finite_loss' | 'non_finite_gradient' | 'no_learned_tokens';

/** What a step did. */
export interface StepOutcome {
  /** Mean loss per learned token; null when the step was skipped. */
  readonly loss: number | null;
  /** L2 norm of the gradient of that mean, before clipping; null when the step was skipped. */
  readonly gradNorm: number | null;
  readonly skipped: SkipReason | null;
  /** Tokens read, without padding. */
  readonly tokens: number;
  readonly learnedTokens: number;
}

/** Data and numbers of one step. */
export interface StepInput {
  readonly microBatches: readonly (readonly PackedRow[])[];
  /** Updates before this one; the bias correction counts from here. */
  readonly updates: number;
  readonly learningRate: number;
  readonly settings: Pick<
    TrainingSettings,
    'adamBeta1' | 'adamBeta2' | 'adamEpsilon' | 'weightDecay' | 'maxGradNorm'
  >;
}

/** Runs one step on the model. Mutates: the model, unless the step is skipped. */
export async function runStep(model: TrainingModel, input: StepInput): Promise<StepOutcome> {
  const sums = await accumulateAll(model, input.microBatches);
  const { tokens, learnedTokens } = sums;
  const skip = async (skipped: SkipReason): Promise<StepOutcome> => {
    await model.zeroGradients();
    return { loss: null, gradNorm: null, skipped, tokens, learnedTokens };
  };
  if (learnedTokens === 0) return skip('no_learned_tokens');
  const loss = sums.lossSum / learnedTokens;
  if (!Number.isFinite(loss)) return skip('non_finite_loss');
  const gradNorm = (await model.gradientNorm()) / learnedTokens;
  if (!Number.isFinite(gradNorm)) return skip('non_finite_gradient');
  await model.update(adamStep(input, gradNorm, learnedTokens));
  return { loss, gradNorm, skipped: null, tokens, learnedTokens };
}

/**
 * Factor that brings a gradient of the given norm within the limit; 1 when it is within or the limit is 0.
 *
 * Source: `torch.nn.utils.clip_grad_norm_`, whose 1e-6 in the denominator is kept.
 */
export function clipCoefficient(gradNorm: number, maxGradNorm: number): number {
  return maxGradNorm === 0 ? 1 : Math.min(1, maxGradNorm / (gradNorm + 1e-6));
}

async function accumulateAll(
  model: TrainingModel,
  microBatches: StepInput['microBatches'],
): Promise<{ lossSum: number; tokens: number; learnedTokens: number }> {
  const sums = { lossSum: 0, tokens: 0, learnedTokens: 0 };
  for (const rows of microBatches) {
    const part = await model.accumulate(rows);
    sums.lossSum += part.lossSum;
    sums.learnedTokens += part.learnedTokens;
    for (const row of rows) sums.tokens += row.ids.length;
  }
  return sums;
}

function adamStep(input: StepInput, gradNorm: number, learnedTokens: number): AdamWStep {
  const { settings } = input;
  return {
    step: input.updates + 1,
    learningRate: input.learningRate,
    beta1: settings.adamBeta1,
    beta2: settings.adamBeta2,
    eps: settings.adamEpsilon,
    weightDecay: settings.weightDecay,
    gradientScale: clipCoefficient(gradNorm, settings.maxGradNorm) / learnedTokens,
  };
}
