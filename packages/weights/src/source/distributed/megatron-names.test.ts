import { describe, expect, it } from 'vitest';
import {
  canonicalMegatronName,
  isMegatronState,
  looksLikeMegatron,
  parseMegatronKey,
} from './megatron-names.js';

describe('keys of Megatron', () => {
  it.each([
    ['embedding.word_embeddings.weight', 'embedding.word_embeddings.weight', [], 0],
    ['module.decoder.final_layernorm.weight', 'decoder.final_layernorm.weight', [], 0],
    [
      'decoder.layers.self_attention.linear_qkv.layer_norm_weight',
      'decoder.layers.{layer}.input_layernorm.weight',
      ['layer'],
      0,
    ],
    [
      'model.decoder.layers.12.mlp.linear_fc1.layer_norm_bias',
      'decoder.layers.12.pre_mlp_layernorm.bias',
      [],
      0,
    ],
    ['decoder.layers.3.mlp.linear_fc1.weight_v', 'decoder.layers.3.mlp.linear_fc1.weight', [], 1],
    [
      'decoder.layers.mlp.experts.experts.linear_fc1.weight',
      'decoder.layers.{layer}.mlp.experts.local_experts.{expert}.linear_fc1.weight',
      ['layer', 'expert'],
      0,
    ],
    [
      'decoder.layers.3.mlp.experts.experts.linear_fc2.weight',
      'decoder.layers.3.mlp.experts.local_experts.{expert}.linear_fc2.weight',
      ['expert'],
      0,
    ],
    [
      'decoder.layers.3.mlp.experts.experts.17.linear_fc1.weight_w',
      'decoder.layers.3.mlp.experts.local_experts.17.linear_fc1.weight',
      [],
      0,
    ],
    [
      'decoder.layers.self_attention.linear_kv_down_proj.weight',
      'decoder.layers.{layer}.self_attention.linear_qkv.weight',
      ['layer'],
      1,
    ],
  ])('say which parameters they are: %s', (key, name, stacked, part) => {
    expect(parseMegatronKey(key)).toEqual({ name, stacked, part });
  });

  it('of both specifications are one', () => {
    const canonical = canonicalMegatronName('decoder.layers.0.mlp.experts.linear_fc1.weight7');
    expect(canonical).toBe('decoder.layers.0.mlp.experts.local_experts.7.linear_fc1.weight');
  });

  it('of state are told from parameters', () => {
    expect(isMegatronState('optimizer.state.exp_avg.decoder.layers.mlp.linear_fc1.weight')).toBe(
      true,
    );
    expect(isMegatronState('chained_0.optimizer.state.exp_avg.x')).toBe(true);
    expect(isMegatronState('decoder.layers.0.mlp.linear_fc1._extra_state')).toBe(true);
    expect(isMegatronState('decoder.layers.0.mlp.linear_fc1.weight')).toBe(false);
  });

  it('tell a Megatron model from one of Hugging Face', () => {
    expect(looksLikeMegatron(['step', 'module.decoder.layers.mlp.linear_fc2.weight'])).toBe(true);
    expect(looksLikeMegatron(['model.model.layers.0.mlp.up_proj.weight'])).toBe(false);
  });
});
