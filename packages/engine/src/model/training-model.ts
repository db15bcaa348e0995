/**
 * What the trainer asks of a model: accumulate gradients, measure them, step, and hand its state over.
 *
 * The gradients are of the plain sum of losses over learned tokens. The trainer alone divides by the number
 * of learned tokens, so that micro-batches, accumulation and unequal lengths give the same step.
 */
import type { PackedRow } from '@tuneyard/data';

/** Loss of some rows, not yet divided by the number of tokens. */
export interface LossSum {
  /** Sum over learned tokens of -ln p(token). */
  readonly lossSum: number;
  readonly learnedTokens: number;
}

/** A tensor that the optimizer changes. */
export interface Trainable {
  readonly name: string;
  readonly shape: readonly number[];
  /** Weight decay applies: false for norms and biases. */
  readonly decay: boolean;
}

/** Everything that a resumed run needs of one trainable. */
export interface TrainableState {
  readonly name: string;
  readonly value: Float32Array;
  readonly firstMoment: Float32Array;
  readonly secondMoment: Float32Array;
}

/** One AdamW step with decoupled weight decay. */
export interface AdamWStep {
  /** 1 for the first update; decides the bias correction. */
  readonly step: number;
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** Multiplies the accumulated gradient: 1 / learned tokens times the clip coefficient. */
  readonly gradientScale: number;
}

/** A model under training. */
export interface TrainingModel {
  readonly trainables: readonly Trainable[];
  /** Runs forward and backward of one micro-batch and adds the gradient of `lossSum` to the accumulators. */
  accumulate(rows: readonly PackedRow[]): Promise<LossSum>;
  /** Runs the forward alone. */
  evaluate(rows: readonly PackedRow[]): Promise<LossSum>;
  /** L2 norm over all trainables of the accumulated, unscaled gradient. */
  gradientNorm(): Promise<number>;
  /** Applies AdamW to every trainable, then zeroes the accumulators. */
  update(step: AdamWStep): Promise<void>;
  zeroGradients(): Promise<void>;
  /** Copies the state of every trainable out, in the order of `trainables`. */
  readState(): Promise<readonly TrainableState[]>;
  /** Replaces the state of every trainable. */
  writeState(state: readonly TrainableState[]): Promise<void>;
  close(): void;
}
