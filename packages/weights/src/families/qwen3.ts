import { ATTENTION, GATED_MLP, HEAD_NORMS, LAYER_NORMS } from './decoder-modules.js';
import type { Family } from './family.js';

/**
 * Qwen 3 (dense): norms over query and key heads, an own head dim.
 *
 * Source: transformers `configuration_qwen3.py` and `modeling_qwen3.py`.
 */
export const QWEN3: Family = {
  name: 'qwen3',
  architecture: 'Qwen3ForCausalLM',
  modelType: 'qwen3',
  ggufArchitecture: 'qwen3',
  ggufInterleavesRotary: false,
  ggufOptionalBiases: false,
  qkNorm: true,
  slidingWindow: 'switched',
  biases: { qkv: 'config', output: 'config', mlp: 'never' },
  defaults: {
    numKeyValueHeads: 32,
    headDim: 128,
    maxPositionEmbeddings: 32_768,
    rmsNormEps: 1e-6,
    ropeTheta: 10_000,
    slidingWindow: 4096,
    bosTokenId: null,
    eosTokenId: null,
  },
  layer: [...ATTENTION, ...HEAD_NORMS, ...GATED_MLP, ...LAYER_NORMS],
};
