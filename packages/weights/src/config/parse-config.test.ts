import { TuneyardError } from '@tuneyard/core';
import { describe, expect, it } from 'vitest';
import { modelConfigToHf, synthesizeHfConfig } from './config-to-hf.js';
import { parameterTable } from './parameter-table.js';
import { parseModelConfig } from './parse-config.js';

// Fields as in the published configurations of the models named; numbers are facts about those models.
const LLAMA3_1B = {
  architectures: ['LlamaForCausalLM'],
  attention_bias: false,
  bos_token_id: 128000,
  eos_token_id: [128001, 128008, 128009],
  head_dim: 64,
  hidden_act: 'silu',
  hidden_size: 2048,
  intermediate_size: 8192,
  max_position_embeddings: 131072,
  mlp_bias: false,
  model_type: 'llama',
  num_attention_heads: 32,
  num_hidden_layers: 16,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-5,
  rope_scaling: {
    factor: 32,
    high_freq_factor: 4,
    low_freq_factor: 1,
    original_max_position_embeddings: 8192,
    rope_type: 'llama3',
  },
  rope_theta: 500000,
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  vocab_size: 128256,
};
const LLAMA2_7B = {
  architectures: ['LlamaForCausalLM'],
  hidden_size: 4096,
  intermediate_size: 11008,
  num_attention_heads: 32,
  num_hidden_layers: 32,
  pad_token_id: -1,
  rms_norm_eps: 1e-5,
  torch_dtype: 'float16',
  vocab_size: 32000,
};
const SMOLLM2_135M = {
  architectures: ['LlamaForCausalLM'],
  bos_token_id: 1,
  eos_token_id: 2,
  hidden_size: 576,
  intermediate_size: 1536,
  max_position_embeddings: 8192,
  model_type: 'llama',
  num_attention_heads: 9,
  num_hidden_layers: 30,
  num_key_value_heads: 3,
  pad_token_id: 2,
  rope_interleaved: false,
  rope_theta: 100000,
  tie_word_embeddings: true,
  vocab_size: 49152,
};
const MISTRAL_7B = {
  architectures: ['MistralForCausalLM'],
  hidden_size: 4096,
  intermediate_size: 14336,
  max_position_embeddings: 32768,
  model_type: 'mistral',
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  sliding_window: 4096,
  vocab_size: 32000,
};
const QWEN2_05B = {
  architectures: ['Qwen2ForCausalLM'],
  bos_token_id: 151643,
  eos_token_id: 151645,
  hidden_size: 896,
  intermediate_size: 4864,
  max_position_embeddings: 32768,
  max_window_layers: 21,
  model_type: 'qwen2',
  num_attention_heads: 14,
  num_hidden_layers: 24,
  num_key_value_heads: 2,
  rope_theta: 1000000,
  sliding_window: 32768,
  tie_word_embeddings: true,
  use_sliding_window: false,
  vocab_size: 151936,
};
const QWEN3_8B = {
  architectures: ['Qwen3ForCausalLM'],
  attention_bias: false,
  head_dim: 128,
  hidden_size: 4096,
  intermediate_size: 12288,
  max_position_embeddings: 40960,
  model_type: 'qwen3',
  num_attention_heads: 32,
  num_hidden_layers: 36,
  num_key_value_heads: 8,
  rope_theta: 1000000,
  vocab_size: 151936,
};

function countParameters(raw: Record<string, unknown>): number {
  return parameterTable(parseModelConfig(raw, 'config.json')).reduce(
    (sum, { shape }) => sum + shape.reduce((n, d) => n * d, 1),
    0,
  );
}

function errorOf(raw: unknown): TuneyardError {
  try {
    parseModelConfig(raw, 'config.json');
  } catch (error) {
    if (error instanceof TuneyardError) return error;
  }
  throw new Error('nothing was thrown');
}

describe('parseModelConfig', () => {
  it('counts as many parameters as the publishers of each family state', () => {
    expect(countParameters(LLAMA3_1B)).toBe(1_235_814_400);
    expect(countParameters(LLAMA2_7B)).toBe(6_738_415_616);
    expect(countParameters(SMOLLM2_135M)).toBe(134_515_008);
    expect(countParameters(MISTRAL_7B)).toBe(7_241_732_096);
    expect(countParameters(QWEN2_05B)).toBe(494_032_768);
    expect(countParameters(QWEN3_8B)).toBe(8_190_735_360);
  });

  it('fills absent fields with the defaults of each family', () => {
    const llama = parseModelConfig(LLAMA2_7B, 'c');
    expect(llama).toMatchObject({
      family: 'llama',
      numKeyValueHeads: 32,
      headDim: 128,
      ropeTheta: 10000,
      maxPositionEmbeddings: 2048,
      tieWordEmbeddings: false,
      attentionQkvBias: false,
      bosTokenId: 1,
      eosTokenIds: [2],
      padTokenId: null,
      torchDtype: 'f16',
      slidingWindow: null,
    });
    expect(parseModelConfig(QWEN2_05B, 'c')).toMatchObject({
      attentionQkvBias: true,
      attentionOutputBias: false,
      slidingWindow: null,
      headDim: 64,
      rmsNormEps: 1e-6,
    });
    const { head_dim: _, ...noHeadDim } = QWEN3_8B;
    expect(parseModelConfig(noHeadDim, 'c')).toMatchObject({ headDim: 128, qkNorm: true });
    expect(parseModelConfig(MISTRAL_7B, 'c').slidingWindow).toBe(4096);
    expect(parseModelConfig({ ...MISTRAL_7B, sliding_window: null }, 'c').slidingWindow).toBeNull();
  });

  it('reads the new rope_parameters as the old rope fields', () => {
    const { rope_scaling, rope_theta, ...rest } = LLAMA3_1B;
    const renewed = { ...rest, rope_parameters: { ...rope_scaling, rope_theta } };
    const { raw: _a, ...old } = parseModelConfig(LLAMA3_1B, 'c');
    const { raw: _b, ...fresh } = parseModelConfig(renewed, 'c');
    expect(fresh).toEqual(old);
    expect(fresh.ropeScaling).toMatchObject({ type: 'llama3', factor: 32 });
  });

  it('reads single and listed end tokens alike, without repeats', () => {
    expect(parseModelConfig(LLAMA3_1B, 'c').eosTokenIds).toEqual([128001, 128008, 128009]);
    expect(parseModelConfig({ ...LLAMA3_1B, eos_token_id: 7 }, 'c').eosTokenIds).toEqual([7]);
    expect(parseModelConfig({ ...LLAMA3_1B, eos_token_id: null }, 'c').eosTokenIds).toEqual([]);
    expect(parseModelConfig({ ...LLAMA3_1B, eos_token_id: [3, 3] }, 'c').eosTokenIds).toEqual([3]);
  });

  it('finds the family by model_type when no class is listed', () => {
    const { architectures: _, ...rest } = QWEN3_8B;
    expect(parseModelConfig(rest, 'c').architecture).toBe('Qwen3ForCausalLM');
  });

  it('applies attention_bias to all four projections of Llama and Qwen3 and mlp_bias to Llama', () => {
    const names = (raw: Record<string, unknown>): string[] =>
      parameterTable(parseModelConfig(raw, 'c'))
        .filter((p) => p.role === 'bias' && p.layer === 0)
        .map((p) => p.module);
    const attention = ['q_proj', 'k_proj', 'v_proj', 'o_proj'];
    expect(names({ ...LLAMA2_7B, attention_bias: true, mlp_bias: true })).toEqual([
      ...attention,
      'gate_proj',
      'up_proj',
      'down_proj',
    ]);
    expect(names({ ...QWEN3_8B, attention_bias: true, mlp_bias: true })).toEqual(attention);
    expect(names(QWEN2_05B)).toEqual(['q_proj', 'k_proj', 'v_proj']);
    expect(names({ ...MISTRAL_7B, attention_bias: true })).toEqual([]);
  });

  it('refuses an unknown architecture with the list of known ones', () => {
    const error = errorOf({ ...LLAMA2_7B, architectures: ['GPTNeoXForCausalLM'] });
    expect(error.code).toBe('WEIGHTS_UNKNOWN_ARCHITECTURE');
    for (const known of ['Llama', 'Mistral', 'Qwen2', 'Qwen3']) {
      expect(error.message).toContain(`${known}ForCausalLM`);
    }
    expect(errorOf({ ...LLAMA2_7B, architectures: undefined }).code).toBe(
      'WEIGHTS_UNKNOWN_ARCHITECTURE',
    );
  });

  it('names the field and the allowed values of every bad number', () => {
    const bad: [Record<string, unknown>, string][] = [
      [{ hidden_size: 0 }, 'hidden_size'],
      [{ hidden_size: 64.5 }, 'hidden_size'],
      [{ num_hidden_layers: '32' }, 'num_hidden_layers'],
      [{ vocab_size: 2 ** 40 }, 'vocab_size'],
      [{ num_key_value_heads: 5 }, 'num_key_value_heads'],
      [{ hidden_size: 4100, num_attention_heads: 32 }, 'hidden_size'],
      [{ head_dim: 127 }, 'head_dim'],
      [{ rms_norm_eps: 0 }, 'rms_norm_eps'],
      [{ rope_theta: -1 }, 'rope_theta'],
      [{ tie_word_embeddings: 'yes' }, 'tie_word_embeddings'],
      [{ eos_token_id: 32000 }, 'eos_token_id'],
      [{ bos_token_id: -2 }, 'bos_token_id'],
      [{ torch_dtype: 'int8' }, 'torch_dtype'],
      [{ rope_scaling: [] }, 'rope_scaling'],
      [{ rope_scaling: { type: 'linear', factor: Number.NaN } }, 'rope_scaling.factor'],
      [{ max_position_embeddings: null, intermediate_size: null }, 'intermediate_size'],
    ];
    for (const [fields, field] of bad) {
      const error = errorOf({ ...LLAMA2_7B, ...fields });
      expect(error.code, field).toBe('WEIGHTS_CONFIG_FIELD');
      expect(error.message).toContain(`config.json: ${field}`);
    }
    expect(errorOf([]).code).toBe('WEIGHTS_JSON_INVALID');
  });

  it('refuses by name what would be computed wrongly', () => {
    const unsupported: [Record<string, unknown>, string][] = [
      [{ hidden_act: 'gelu' }, 'gelu'],
      [{ rope_scaling: { rope_type: 'dynamic', factor: 2 } }, 'dynamic'],
      [{ rope_scaling: { type: 'longrope' } }, 'longrope'],
      [{ partial_rotary_factor: 0.5 }, 'partial_rotary_factor'],
      [{ quantization_config: { quant_method: 'gptq', bits: 4 } }, 'gptq'],
      [{ rope_parameters: { full_attention: { rope_type: 'default' } } }, 'layer type'],
    ];
    for (const [fields, word] of unsupported) {
      const error = errorOf({ ...LLAMA2_7B, ...fields });
      expect(error.code, word).toBe('WEIGHTS_UNSUPPORTED_FEATURE');
      expect(error.message).toContain(word);
    }
  });

  it('keeps a window that holds on every layer, drops one that does nothing, refuses a mixture', () => {
    const windowed = { ...QWEN2_05B, use_sliding_window: true, sliding_window: 4096 };
    const windowOf = (fields: Record<string, unknown>): number | null =>
      parseModelConfig({ ...windowed, ...fields }, 'c').slidingWindow;
    expect(windowOf({ max_window_layers: 0 })).toBe(4096);
    expect(windowOf({ max_window_layers: 24 })).toBeNull();
    expect(windowOf({ sliding_window: 32768 })).toBeNull();
    expect(windowOf({ layer_types: Array(24).fill('full_attention') })).toBeNull();
    expect(errorOf(windowed).code).toBe('WEIGHTS_UNSUPPORTED_FEATURE');
    expect(errorOf({ ...windowed, layer_types: ['full_attention'] }).code).toBe(
      'WEIGHTS_CONFIG_FIELD',
    );
  });
});

describe('modelConfigToHf', () => {
  const all = { LLAMA3_1B, LLAMA2_7B, SMOLLM2_135M, MISTRAL_7B, QWEN2_05B, QWEN3_8B };

  it('changes nothing but the element type of a configuration that was read', () => {
    const config = parseModelConfig(LLAMA3_1B, 'c');
    expect(modelConfigToHf({ ...config, torchDtype: 'f32' })).toEqual({
      ...LLAMA3_1B,
      torch_dtype: 'float32',
    });
    const { torch_dtype: _, ...rest } = LLAMA3_1B;
    const renewed = parseModelConfig({ ...rest, dtype: 'float16' }, 'c');
    expect(modelConfigToHf({ ...renewed, torchDtype: 'bf16' })).toEqual({
      ...rest,
      dtype: 'bfloat16',
    });
  });

  it.each(Object.entries(all))(
    'synthesizes a config.json that means the same: %s',
    (_name, raw) => {
      const { raw: _raw, ...config } = parseModelConfig(raw, 'c');
      const { raw: _again, ...back } = parseModelConfig(synthesizeHfConfig(config), 'c');
      expect(back).toEqual(config);
    },
  );

  it('keeps yarn settings through a synthesized config.json', () => {
    const raw = {
      ...QWEN3_8B,
      rope_scaling: {
        rope_type: 'yarn',
        factor: 4,
        original_max_position_embeddings: 32768,
        attention_factor: 1.2,
        mscale: 0.7,
        mscale_all_dim: 0.9,
        beta_fast: 16,
        beta_slow: 2,
        truncate: false,
      },
    };
    const { raw: _raw, ...config } = parseModelConfig(raw, 'c');
    const { raw: _again, ...back } = parseModelConfig(synthesizeHfConfig(config), 'c');
    expect(back).toEqual(config);
  });
});

describe('parameterTable', () => {
  it('lists names in the order of the Hugging Face state dict', () => {
    const names = parameterTable(parseModelConfig(QWEN3_8B, 'c')).map((p) => p.name);
    expect(names.slice(0, 12)).toEqual([
      'model.embed_tokens.weight',
      'model.layers.0.self_attn.q_proj.weight',
      'model.layers.0.self_attn.k_proj.weight',
      'model.layers.0.self_attn.v_proj.weight',
      'model.layers.0.self_attn.o_proj.weight',
      'model.layers.0.self_attn.q_norm.weight',
      'model.layers.0.self_attn.k_norm.weight',
      'model.layers.0.mlp.gate_proj.weight',
      'model.layers.0.mlp.up_proj.weight',
      'model.layers.0.mlp.down_proj.weight',
      'model.layers.0.input_layernorm.weight',
      'model.layers.0.post_attention_layernorm.weight',
    ]);
    expect(names.slice(-2)).toEqual(['model.norm.weight', 'lm_head.weight']);
  });

  it('has no head when embeddings are tied', () => {
    const table = parameterTable(parseModelConfig(SMOLLM2_135M, 'c'));
    expect(table.some((p) => p.role === 'head')).toBe(false);
  });
});
