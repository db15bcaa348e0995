/**
 * Measures how fast the machine multiplies: ggml's product of a 2048 × 768 weight of one type with 512
 * columns of f32. One step is several products.
 *
 * Arguments: a JSON object {type, threads, warmupSteps}.
 */
import { createRng, type GgmlTypeName } from '@tuneyard/core';
import {
  CpuBackend,
  Graph,
  GraphAllocator,
  ggmlCodec,
  repackableTypes,
  TensorContext,
  writeTensor,
} from '@tuneyard/ggml';
import { GEMM_SHAPE } from './gemm-shape.js';
import { serveTurns } from './turn-protocol.js';

interface GemmChildOptions {
  readonly type: GgmlTypeName;
  readonly threads: number;
  readonly warmupSteps: number;
}

async function main({ type, threads, warmupSteps }: GemmChildOptions): Promise<void> {
  const { inputs, outputs, columns, repeats } = GEMM_SHAPE;
  const rng = createRng(1);
  const gaussian = (n: number): Float32Array =>
    Float32Array.from({ length: n }, () => rng.nextGaussian());
  using backend = new CpuBackend(threads);
  using weights = new TensorContext({ maxTensors: 1 });
  using activations = new TensorContext({ maxTensors: 1 });
  const weight = weights.leaf('weight', type, [inputs, outputs]);
  const input = activations.leaf('input', 'f32', [inputs, columns]);
  const isRepacked = repackableTypes().has(type);
  using _weights = isRepacked ? backend.allocateRepacked(weights) : backend.allocate(weights);
  using _activations = backend.allocate(activations);
  writeTensor(weight, ggmlCodec.fromF32(type, gaussian(inputs * outputs), inputs));
  writeTensor(input, gaussian(inputs * columns));
  const nodes = 2 * repeats + 2;
  using context = new TensorContext({ maxTensors: nodes, graphNodes: nodes });
  const graph = new Graph(context, nodes);
  // All in one graph, as in a training step: each graph starts and ends its threads.
  for (let i = 0; i < repeats; i++) graph.add(context.output(context.mulMat(weight, input)));
  using allocator = new GraphAllocator(backend);
  allocator.allocate(graph);
  const runStep = async (): Promise<undefined> => {
    await backend.compute(graph);
  };
  for (let i = 0; i < warmupSteps; i++) await runStep();
  await serveTurns({ is_repacked: isRepacked }, runStep);
}

await main(JSON.parse(process.argv[2] ?? '{}') as GemmChildOptions);
