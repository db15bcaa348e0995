/** A Llama-shaped model of random weights that exists in memory only, made one tensor at a time. */
import { createRng, defined } from '@tuneyard/core';
import { type ModelSource, parameterTable, parseModelConfig } from '@tuneyard/weights';

/** A model shape and the length of the sequence it is trained on. */
export interface BenchShape {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly vocabSize: number;
  readonly seqLength: number;
}

/** `110m`: 134M parameters, of which 110M are multiplied (85M in blocks, 25M in the head). */
export const BENCH_SHAPES = {
  '110m': {
    hiddenSize: 768,
    intermediateSize: 2048,
    numHiddenLayers: 12,
    numAttentionHeads: 12,
    vocabSize: 32_000,
    seqLength: 512,
  },
  tiny: {
    hiddenSize: 256,
    intermediateSize: 512,
    numHiddenLayers: 2,
    numAttentionHeads: 4,
    vocabSize: 512,
    seqLength: 64,
  },
} as const satisfies Record<string, BenchShape>;

/** Name of a shape. */
export type ShapeName = keyof typeof BENCH_SHAPES;

/** True for the name of a shape. */
export function isShapeName(text: string): text is ShapeName {
  return Object.hasOwn(BENCH_SHAPES, text);
}

/**
 * Operations of the large products for one trained token: 2 per weight forward and 2 backward (dX; frozen
 * weights have no dW). Attention, adapters and norms are left out.
 */
export function denseFlopsPerToken(shape: BenchShape): number {
  const { hiddenSize: C, intermediateSize: F, numHiddenLayers: L, vocabSize: V } = shape;
  return 4 * (L * (4 * C * C + 3 * C * F) + V * C);
}

const POOL_ELEMENTS = 1 << 20;

/** The model as a source of f32 tensors: normal with deviation 1/sqrt(inputs), norms all one. */
export function randomModel(shape: BenchShape, seed: number): ModelSource {
  const config = parseModelConfig(
    {
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      hidden_size: shape.hiddenSize,
      intermediate_size: shape.intermediateSize,
      num_hidden_layers: shape.numHiddenLayers,
      num_attention_heads: shape.numAttentionHeads,
      num_key_value_heads: shape.numAttentionHeads,
      vocab_size: shape.vocabSize,
      rms_norm_eps: 1e-5,
      rope_theta: 10_000,
      max_position_embeddings: shape.seqLength,
      tie_word_embeddings: false,
    },
    'random model',
  );
  const parameters = parameterTable(config).map((spec) => ({
    ...spec,
    type: 'f32' as const,
    byteLength: 4 * spec.shape.reduce((a, b) => a * b, 1),
  }));
  const rng = createRng(seed);
  // Sampling each of 134M values takes longer than the measurement; windows into a pool do as well.
  const pool = Float32Array.from({ length: POOL_ELEMENTS }, () => rng.nextGaussian());
  const read = (name: string): Promise<Uint8Array> => {
    const p = defined(
      parameters.find((x) => x.name === name),
      name,
    );
    const values = new Float32Array(p.byteLength / 4);
    if (p.role === 'norm') values.fill(1);
    else fillFromPool(values, { pool, start: rng.nextInt(POOL_ELEMENTS), inputs: p.shape[1] ?? 1 });
    return Promise.resolve(new Uint8Array(values.buffer));
  };
  return {
    kind: 'hf',
    path: 'random model',
    config,
    parameters,
    ignoredTensors: [],
    generationConfig: null,
    files: [],
    read,
    close: () => Promise.resolve(),
  };
}

/** Takes values from a window that shifts at every wrap, so that no two rows are equal. */
function fillFromPool(
  values: Float32Array,
  { pool, start, inputs }: { pool: Float32Array; start: number; inputs: number },
): void {
  const scale = 1 / Math.sqrt(inputs);
  for (let i = 0; i < values.length; i++) {
    const shift = Math.floor(i / POOL_ELEMENTS) * 7919;
    values[i] = (pool[(start + i + shift) % POOL_ELEMENTS] ?? 0) * scale;
  }
}
