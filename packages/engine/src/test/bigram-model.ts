/**
 * A model of two tensors in plain TypeScript, for tests of what surrounds a model.
 *
 * Softmax regression of a token on the one before it, logits = weight[previous] + bias, with exact gradients
 * summed in double precision and AdamW as torch computes it. State is f32, as in the real model.
 */
import type { PackedRow } from '@tuneyard/data';
import type {
  AdamWStep,
  LossSum,
  Trainable,
  TrainableState,
  TrainingModel,
} from '../model/training-model.js';

interface Tensor extends Trainable {
  value: Float32Array;
  firstMoment: Float32Array;
  secondMoment: Float32Array;
  readonly gradient: Float64Array;
}

/** Bigram softmax regression over a vocabulary of the given size, all weights zero at first. */
export class BigramModel implements TrainingModel {
  readonly trainables: readonly Trainable[];
  readonly #weight: Tensor;
  readonly #bias: Tensor;
  readonly #vocabSize: number;
  /** Steps of AdamW seen, in order. */
  readonly steps: AdamWStep[] = [];
  /** Number of the accumulate call, from 1, whose loss comes back as it is here; for faults. */
  readonly faults = new Map<number, number>();
  accumulateCalls = 0;
  evaluateCalls = 0;
  isClosed = false;

  constructor(vocabSize: number) {
    this.#vocabSize = vocabSize;
    this.#weight = tensor('weight', [vocabSize, vocabSize], true);
    this.#bias = tensor('bias', [vocabSize], false);
    this.trainables = [this.#weight, this.#bias].map(({ name, shape, decay }) => ({
      name,
      shape,
      decay,
    }));
  }

  accumulate(rows: readonly PackedRow[]): Promise<LossSum> {
    const fault = this.faults.get(++this.accumulateCalls);
    const sum = this.#run(rows, true);
    return Promise.resolve(fault === undefined ? sum : { ...sum, lossSum: fault });
  }

  evaluate(rows: readonly PackedRow[]): Promise<LossSum> {
    this.evaluateCalls++;
    return Promise.resolve(this.#run(rows, false));
  }

  gradientNorm(): Promise<number> {
    let squares = 0;
    for (const { gradient } of this.#tensors()) for (const g of gradient) squares += g * g;
    return Promise.resolve(Math.sqrt(squares));
  }

  update(step: AdamWStep): Promise<void> {
    this.steps.push(step);
    for (const t of this.#tensors()) {
      const decay = 1 - step.learningRate * (t.decay ? step.weightDecay : 0);
      const correction1 = 1 - step.beta1 ** step.step;
      const correction2 = Math.sqrt(1 - step.beta2 ** step.step);
      for (let i = 0; i < t.value.length; i++) {
        const g = t.gradient[i]! * step.gradientScale;
        t.firstMoment[i] = step.beta1 * t.firstMoment[i]! + (1 - step.beta1) * g;
        t.secondMoment[i] = step.beta2 * t.secondMoment[i]! + (1 - step.beta2) * g * g;
        const denominator = Math.sqrt(t.secondMoment[i]!) / correction2 + step.eps;
        const change = (step.learningRate / correction1) * (t.firstMoment[i]! / denominator);
        t.value[i] = t.value[i]! * decay - change;
      }
    }
    return this.zeroGradients();
  }

  zeroGradients(): Promise<void> {
    for (const { gradient } of this.#tensors()) gradient.fill(0);
    return Promise.resolve();
  }

  readState(): Promise<readonly TrainableState[]> {
    return Promise.resolve(
      this.#tensors().map((t) => ({
        name: t.name,
        value: t.value.slice(),
        firstMoment: t.firstMoment.slice(),
        secondMoment: t.secondMoment.slice(),
      })),
    );
  }

  writeState(state: readonly TrainableState[]): Promise<void> {
    for (const [i, t] of this.#tensors().entries()) {
      t.value = state[i]!.value.slice();
      t.firstMoment = state[i]!.firstMoment.slice();
      t.secondMoment = state[i]!.secondMoment.slice();
    }
    return Promise.resolve();
  }

  close(): void {
    this.isClosed = true;
  }

  /** Probabilities of the token after `previous`. */
  predict(previous: number): Float64Array {
    const V = this.#vocabSize;
    const logits = Float64Array.from(
      { length: V },
      (_, v) => this.#weight.value[previous * V + v]! + this.#bias.value[v]!,
    );
    const max = logits.reduce((a, b) => Math.max(a, b));
    const exps = logits.map((x) => Math.exp(x - max));
    const total = exps.reduce((a, b) => a + b);
    return exps.map((x) => x / total);
  }

  #tensors(): readonly Tensor[] {
    return [this.#weight, this.#bias];
  }

  #run(rows: readonly PackedRow[], isLearning: boolean): LossSum {
    const V = this.#vocabSize;
    let lossSum = 0;
    let learnedTokens = 0;
    for (const { ids, learned } of rows) {
      for (let t = 1; t < ids.length; t++) {
        if (learned[t] === 0) continue;
        const previous = ids[t - 1]!;
        const p = this.predict(previous);
        lossSum -= Math.log(p[ids[t]!]!);
        learnedTokens++;
        if (!isLearning) continue;
        for (let v = 0; v < V; v++) {
          const g = p[v]! - (v === ids[t] ? 1 : 0);
          this.#weight.gradient[previous * V + v]! += g;
          this.#bias.gradient[v]! += g;
        }
      }
    }
    return { lossSum, learnedTokens };
  }
}

/** Rows of unequal lengths with some unlearned tokens; a function of the seed alone. */
export function bigramRows(count: number, vocabSize: number, seed: number): PackedRow[] {
  let s = seed;
  const next = (bound: number): number => {
    s = (Math.imul(s, 1103515245) + 12345) >>> 0;
    return (s >>> 8) % bound;
  };
  return Array.from({ length: count }, () => {
    const length = 3 + next(12);
    const prompt = 1 + next(length - 2);
    const ids = new Int32Array(length);
    ids[0] = next(vocabSize);
    for (let t = 1; t < length; t++) {
      ids[t] = next(4) === 0 ? next(vocabSize) : (ids[t - 1]! * 3 + 1) % vocabSize;
    }
    const learned = Uint8Array.from(ids, (_, t) => Number(t >= prompt));
    return { ids, learned, segmentLengths: [length] };
  });
}

function tensor(name: string, shape: readonly number[], decay: boolean): Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  const zeros = (): Float32Array => new Float32Array(size);
  return {
    name,
    shape,
    decay,
    value: zeros(),
    firstMoment: zeros(),
    secondMoment: zeros(),
    gradient: new Float64Array(size),
  };
}
