/** The modules that the dense decoder families share, named as Hugging Face and GGUF name them. */
import type { BiasFlag, LayerModule, ModelSizes } from './family.js';

type Shape = (sizes: ModelSizes) => readonly number[];

const queryRows = (s: ModelSizes): number => s.numAttentionHeads * s.headDim;
const keyRows = (s: ModelSizes): number => s.numKeyValueHeads * s.headDim;

function linear(
  names: { path: string; gguf: string },
  shape: Shape,
  bias: BiasFlag,
  rotary: 'query' | 'key' | null = null,
): LayerModule {
  const module = names.path.slice(names.path.lastIndexOf('.') + 1);
  return { module, ...names, role: 'linear', shape, bias, rotary };
}

function norm(
  names: { path: string; gguf: string },
  size: (sizes: ModelSizes) => number,
): LayerModule {
  const module = names.path.slice(names.path.lastIndexOf('.') + 1);
  const shape: Shape = (sizes) => [size(sizes)];
  return { module, ...names, role: 'norm', shape, bias: null, rotary: null };
}

/** The four attention projections. */
export const ATTENTION: readonly LayerModule[] = [
  linear(
    { path: 'self_attn.q_proj', gguf: 'attn_q' },
    (s) => [queryRows(s), s.hiddenSize],
    'attentionQkvBias',
    'query',
  ),
  linear(
    { path: 'self_attn.k_proj', gguf: 'attn_k' },
    (s) => [keyRows(s), s.hiddenSize],
    'attentionQkvBias',
    'key',
  ),
  linear(
    { path: 'self_attn.v_proj', gguf: 'attn_v' },
    (s) => [keyRows(s), s.hiddenSize],
    'attentionQkvBias',
  ),
  linear(
    { path: 'self_attn.o_proj', gguf: 'attn_output' },
    (s) => [s.hiddenSize, queryRows(s)],
    'attentionOutputBias',
  ),
];

/** RMS norms over single query and key heads (Qwen3). */
export const HEAD_NORMS: readonly LayerModule[] = [
  norm({ path: 'self_attn.q_norm', gguf: 'attn_q_norm' }, (s) => s.headDim),
  norm({ path: 'self_attn.k_norm', gguf: 'attn_k_norm' }, (s) => s.headDim),
];

/** The gated feed-forward. */
export const GATED_MLP: readonly LayerModule[] = [
  linear(
    { path: 'mlp.gate_proj', gguf: 'ffn_gate' },
    (s) => [s.intermediateSize, s.hiddenSize],
    'mlpBias',
  ),
  linear(
    { path: 'mlp.up_proj', gguf: 'ffn_up' },
    (s) => [s.intermediateSize, s.hiddenSize],
    'mlpBias',
  ),
  linear(
    { path: 'mlp.down_proj', gguf: 'ffn_down' },
    (s) => [s.hiddenSize, s.intermediateSize],
    'mlpBias',
  ),
];

/** The two norms of a pre-norm layer. */
export const LAYER_NORMS: readonly LayerModule[] = [
  norm({ path: 'input_layernorm', gguf: 'attn_norm' }, (s) => s.hiddenSize),
  norm({ path: 'post_attention_layernorm', gguf: 'ffn_norm' }, (s) => s.hiddenSize),
];
