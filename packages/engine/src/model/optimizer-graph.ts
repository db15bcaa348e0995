/** AdamW over every trained tensor, and the norm of their gradients, as two ggml graphs. */
import {
  type CpuBackend,
  Graph,
  GraphAllocator,
  readTensor,
  type Tensor,
  type TensorBuffer,
  TensorContext,
  writeTensor,
  zeroTensor,
} from '@tuneyard/ggml';
import type { TrainedTensor } from './place-weights.js';
import type { AdamWStep } from './training-model.js';

// Sum over up to 16 replicas, square, sum, scale and step.
const NODES_PER_TENSOR = 24;

/** Owns the update graphs of one set of trained tensors. */
export class OptimizerGraph implements Disposable {
  readonly #backend: CpuBackend;
  readonly #trained: readonly TrainedTensor[];
  readonly #leaves = new TensorContext({ maxTensors: 8 });
  readonly #buffer: TensorBuffer;
  readonly #gradientScale: Tensor;
  readonly #withDecay: Tensor;
  readonly #withoutDecay: Tensor;
  readonly #update: BuiltGraph;
  readonly #norm: BuiltGraph & { readonly sums: readonly Tensor[] };

  constructor(trained: readonly TrainedTensor[], backend: CpuBackend) {
    this.#backend = backend;
    this.#trained = trained;
    this.#gradientScale = this.#leaves.leaf('gradient.scale', 'f32', [1]);
    this.#withDecay = this.#leaves.leaf('adamw.decay', 'f32', [7]);
    this.#withoutDecay = this.#leaves.leaf('adamw.plain', 'f32', [7]);
    this.#buffer = backend.allocate(this.#leaves);
    this.#update = this.#buildUpdate();
    this.#norm = this.#buildNorm();
  }

  /** Square root of the sum of squares of all accumulated gradients. */
  async gradientNorm(): Promise<number> {
    this.#norm.allocator.allocate(this.#norm.graph);
    await this.#backend.compute(this.#norm.graph);
    const one = new Float32Array(1);
    const total = this.#norm.sums.reduce((sum, t) => sum + (readTensor(t, one)[0] ?? 0), 0);
    return Math.sqrt(total);
  }

  /** One AdamW step on all tensors; then the accumulators are zero again. */
  async update(step: AdamWStep, gradientScale: number): Promise<void> {
    const parameters = (weightDecay: number): Float32Array =>
      Float32Array.of(
        step.learningRate,
        step.beta1,
        step.beta2,
        step.eps,
        weightDecay,
        1 / (1 - step.beta1 ** step.step),
        1 / (1 - step.beta2 ** step.step),
      );
    writeTensor(this.#withDecay, parameters(step.weightDecay));
    writeTensor(this.#withoutDecay, parameters(0));
    writeTensor(this.#gradientScale, Float32Array.of(gradientScale));
    this.#update.allocator.allocate(this.#update.graph);
    await this.#backend.compute(this.#update.graph);
    this.zeroGradients();
  }

  zeroGradients(): void {
    for (const t of this.#trained) {
      for (const gradient of t.gradients) zeroTensor(gradient);
    }
  }

  [Symbol.dispose](): void {
    for (const built of [this.#update, this.#norm]) {
      built.allocator.close();
      built.ctx.close();
    }
    this.#buffer.close();
    this.#leaves.close();
  }

  #buildUpdate(): BuiltGraph {
    const built = emptyGraph(this.#backend, this.#trained.length * NODES_PER_TENSOR + 16);
    const { ctx, graph } = built;
    for (const t of this.#trained) {
      const scaled = ctx.mul(totalGradient(ctx, t), this.#gradientScale);
      const parameters = t.decay ? this.#withDecay : this.#withoutDecay;
      graph.add(ctx.adamW(t.value, scaled, t.firstMoment, t.secondMoment, parameters));
    }
    return built;
  }

  #buildNorm(): BuiltGraph & { readonly sums: readonly Tensor[] } {
    const built = emptyGraph(this.#backend, this.#trained.length * NODES_PER_TENSOR + 16);
    const sums = this.#trained.map((t) => {
      const sum = built.ctx.output(built.ctx.sum(built.ctx.sqr(totalGradient(built.ctx, t))));
      built.graph.add(sum);
      return sum;
    });
    return { ...built, sums };
  }
}

/** Replicas are always added in the same order, so the same run gives the same bytes. */
function totalGradient(ctx: TensorContext, t: TrainedTensor): Tensor {
  return t.gradients.reduce((sum, gradient) => ctx.add(sum, gradient));
}

interface BuiltGraph {
  readonly ctx: TensorContext;
  readonly graph: Graph;
  readonly allocator: GraphAllocator;
}

function emptyGraph(backend: CpuBackend, nodes: number): BuiltGraph {
  const ctx = new TensorContext({ maxTensors: nodes * 2, graphNodes: nodes });
  return { ctx, graph: new Graph(ctx, nodes), allocator: new GraphAllocator(backend) };
}
