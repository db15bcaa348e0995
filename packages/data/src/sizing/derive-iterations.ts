/** How long a training run is: from counted samples, batch size and epochs to steps. */
import { formatCount, TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';

/** What {@link deriveIterations} reckons with. */
export interface IterationInput {
  /** Samples of one pass over the data: rows that were kept, or packed rows. */
  readonly samples: number;
  /** What was counted, for the text. Default `samples`. */
  readonly unit?: 'samples' | 'packed rows';
  /** Samples per optimizer step over all devices. */
  readonly globalBatchSize: number;
  /** Passes over the data; may be a fraction. */
  readonly epochs: number;
  /**
   * `whole`: whole batches of each pass, ⌊SN / GBS⌋ · EPOCH, as the shell arithmetic of Megatron scripts has it; the rest
   * of a pass is not seen in it. `all`: ⌈SN · EPOCH / GBS⌉, every sample is seen. Default `whole`.
   */
  readonly rounding?: 'whole' | 'all';
}

/** A number of steps with its derivation. */
export interface IterationPlan {
  /** Optimizer steps: TRAIN_ITERS. */
  readonly trainIters: number;
  /** Samples that the steps take. */
  readonly samplesSeen: number;
  /** Samples that the epochs ask for. */
  readonly samplesAsked: number;
  /** The derivation, one sentence a line. */
  readonly text: readonly string[];
}

/**
 * Derives steps.
 *
 * Throws: `DATA_BAD_OPTION` for numbers out of range, or when there is less than one batch to train on.
 * Source: `TRAIN_ITERS = SN / GBS * EPOCH`, the rule of MindSpeed-LLM and ModelLink scripts.
 */
export function deriveIterations(input: IterationInput): IterationPlan {
  const { samples, globalBatchSize, epochs, rounding = 'whole', unit = 'samples' } = input;
  checkWhole('GBS', globalBatchSize);
  checkWhole('SN', samples);
  if (!(epochs > 0 && Number.isFinite(epochs))) {
    throw badSize(`EPOCH is ${epochs}; expected a number above 0`);
  }
  const whole = Math.floor(Math.floor(samples / globalBatchSize) * epochs);
  const asked = samples * epochs;
  // A product such as 0.1 · 30 is a hair above 3; a hair is not a step.
  const all = Math.ceil(asked / globalBatchSize - 1e-9);
  const trainIters = rounding === 'whole' ? whole : all;
  if (trainIters < 1) {
    throw badSize(
      `${formatCount(samples)} ${unit} give no whole batch of ${formatCount(globalBatchSize)}`,
      `Set GBS to ${formatCount(samples)} or less, raise EPOCH, or add data.`,
    );
  }
  const samplesSeen = trainIters * globalBatchSize;
  const formula = rounding === 'whole' ? '⌊SN / GBS⌋ · EPOCH' : '⌈SN · EPOCH / GBS⌉';
  const numbers =
    rounding === 'whole'
      ? `⌊${formatCount(samples)} / ${formatCount(globalBatchSize)}⌋ · ${epochs}`
      : `⌈${formatCount(samples)} · ${epochs} / ${formatCount(globalBatchSize)}⌉`;
  return {
    trainIters,
    samplesSeen,
    samplesAsked: asked,
    text: [
      `SN = ${formatCount(samples)} ${unit}, counted`,
      `TRAIN_ITERS = ${formula} = ${numbers} = ${formatCount(trainIters)}`,
      restOf({ samplesSeen, asked, globalBatchSize, all }),
    ],
  };
}

interface Rest {
  readonly samplesSeen: number;
  readonly asked: number;
  readonly globalBatchSize: number;
  /** Steps after which every sample was seen. */
  readonly all: number;
}

function restOf({ samplesSeen, asked, globalBatchSize, all }: Rest): string {
  const left = Math.round(asked - samplesSeen);
  const steps = `steps of ${formatCount(globalBatchSize)} take ${formatCount(samplesSeen)}`;
  if (left === 0) return `The ${steps} samples: every one, in every epoch.`;
  if (left < 0) return `The ${steps} samples, ${formatCount(-left)} of them from a further epoch.`;
  return `The ${steps} samples and leave ${formatCount(left)} out; ${formatCount(all)} steps take all.`;
}

function checkWhole(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 1) return;
  throw badSize(`${name} is ${value}; expected a whole number from 1`);
}

function badSize(what: string, hint?: string): TuneyardError {
  return new TuneyardError(DATA_ERRORS.DATA_BAD_OPTION, what, {
    ...(hint === undefined ? {} : { hint }),
  });
}
