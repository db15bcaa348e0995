import { readFileSync } from 'node:fs';
import { TuneyardError } from '@tuneyard/core';
import { describe, expect, it } from 'vitest';
import type { AdapterConfig } from './adapter.js';
import { matchAdapter } from './match-adapter.js';
import { moduleRank, moduleScale } from './module-pattern.js';
import { parsePeftConfig, peftConfigObject, requirePlainLora } from './peft-config.js';

const CONFIG: AdapterConfig = {
  rank: 8,
  alpha: 16,
  rslora: false,
  dropout: 0.05,
  targetModules: ['k_proj', 'q_proj'],
  baseModel: 'some/base',
  rankPattern: { 'layers.0.self_attn.q_proj': 4 },
  alphaPattern: { '^model.layers.[01].self_attn.k_proj': 32 },
};

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof TuneyardError) return `${error.code} ${error.message}`;
  }
  return 'nothing was thrown';
}

describe('adapter_config.json', () => {
  it('comes back from what is written', () => {
    expect(parsePeftConfig(peftConfigObject(CONFIG), 'a').config).toEqual(CONFIG);
  });

  it.each(['plain', 'rslora', 'patterns'])('is what PEFT itself saves: %s', (name) => {
    const path = new URL(`../../test/fixtures/peft/${name}/adapter_config.json`, import.meta.url);
    const saved = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    const { config } = parsePeftConfig(saved, name);
    expect(peftConfigObject(config)).toEqual({ ...saved, peft_version: null });
  });

  it('carries the keys that PEFT writes, target modules sorted', () => {
    const object = peftConfigObject({ ...CONFIG, targetModules: ['v_proj', 'q_proj'] });
    expect(object).toMatchObject({
      peft_type: 'LORA',
      task_type: 'CAUSAL_LM',
      bias: 'none',
      fan_in_fan_out: false,
      inference_mode: true,
      init_lora_weights: true,
      lora_alpha: 16,
      lora_dropout: 0.05,
      modules_to_save: null,
      layers_to_transform: null,
      layers_pattern: null,
      r: 8,
      revision: null,
      target_modules: ['q_proj', 'v_proj'],
      use_dora: false,
      use_rslora: false,
    });
    expect(Object.keys(object)).toEqual(Object.keys(object).sort());
  });

  it('takes PEFT defaults for absent fields', () => {
    const { config } = parsePeftConfig({ peft_type: 'LORA', target_modules: 'all-linear' }, 'a');
    expect(config).toMatchObject({ rank: 8, alpha: 8, rslora: false, dropout: 0, baseModel: null });
  });

  it.each([
    ['peft_type', { peft_type: 'IA3' }],
    ['fan_in_fan_out', { fan_in_fan_out: true }],
    ['init_lora_weights', { init_lora_weights: 'pissa_niter_16' }],
    ['trainable_token_indices', { trainable_token_indices: [1] }],
    ['target_parameters', { target_parameters: ['mlp.experts.down_proj'] }],
  ])('refuses by name what nothing here computes: %s', (field, fields) => {
    const thrown = codeOf(() => parsePeftConfig({ ...peftConfigObject(CONFIG), ...fields }, 'a'));
    expect(thrown).toContain('WEIGHTS_ADAPTER_UNSUPPORTED');
    expect(thrown).toContain(`a: ${field}`);
  });

  it.each([
    ['bias', { bias: 'all' }],
    ['use_dora', { use_dora: true }],
    ['modules_to_save', { modules_to_save: ['lm_head'] }],
    ['lora_bias', { lora_bias: true }],
  ])('reads what merging knows, and refuses it by name as plain LoRA: %s', (field, fields) => {
    const raw = { ...peftConfigObject(CONFIG), ...fields };
    expect(parsePeftConfig(raw, 'a').config).toEqual(CONFIG);
    const thrown = codeOf(() => requirePlainLora(raw, 'a'));
    expect(thrown).toContain('WEIGHTS_ADAPTER_UNSUPPORTED');
    expect(thrown).toContain(`a: ${field}`);
  });

  it.each([
    ['bias', { bias: 'some' }],
    ['modules_to_save', { modules_to_save: 'lm_head' }],
    ['r', { r: 0 }],
    ['r', { r: 1e6 }],
    ['lora_alpha', { lora_alpha: 'x' }],
    ['lora_dropout', { lora_dropout: 1 }],
    ['target_modules', { target_modules: [1] }],
    ['rank_pattern.q_proj', { rank_pattern: { q_proj: 0.5 } }],
    ['alpha_pattern', { alpha_pattern: [] }],
  ])('refuses a bad %s', (field, fields) => {
    const thrown = codeOf(() => parsePeftConfig({ ...peftConfigObject(CONFIG), ...fields }, 'a'));
    expect(thrown).toContain('WEIGHTS_ADAPTER_CONFIG');
    expect(thrown).toContain(`a: ${field}`);
  });
});

describe('rank and scale by module', () => {
  it('take the first pattern that matches the end of the path', () => {
    expect(moduleRank(CONFIG, 'model.layers.0.self_attn.q_proj')).toBe(4);
    expect(moduleRank(CONFIG, 'model.layers.10.self_attn.q_proj')).toBe(8);
    expect(moduleScale(CONFIG, 'model.layers.0.self_attn.q_proj')).toBe(16 / 4);
    expect(moduleScale(CONFIG, 'model.layers.2.self_attn.k_proj')).toBe(2);
  });

  it('divide by the root of the rank when rank-stabilized', () => {
    const module = 'model.layers.5.self_attn.q_proj';
    expect(moduleScale({ ...CONFIG, rslora: true }, module)).toBeCloseTo(16 / Math.sqrt(8), 12);
  });

  it("reads the spellings of Python's expressions", () => {
    const module = 'model.layers.5.self_attn.q_proj';
    for (const pattern of [
      '(?P<layer>5)\\.self_attn.q_proj',
      'layers.5.*\\Z',
      '\\Amodel.*q_proj',
    ]) {
      expect(moduleRank({ ...CONFIG, rankPattern: { [pattern]: 3 } }, module)).toBe(3);
    }
    const elsewhere = { ...CONFIG, rankPattern: { 'layers.5': 3, '5.self_attn': 3, proj: 3 } };
    expect(moduleRank(elsewhere, module)).toBe(CONFIG.rank);
  });

  it('refuse patterns that do not compile or could run for ever', () => {
    for (const pattern of ['(', '(a+)+', 'x'.repeat(600)]) {
      const config = { ...CONFIG, rankPattern: { [pattern]: 4 } };
      expect(codeOf(() => moduleRank(config, 'm'))).toContain('WEIGHTS_ADAPTER_CONFIG');
    }
  });
});

describe('matchAdapter', () => {
  const base = {
    path: 'base',
    config: { tieWordEmbeddings: true },
    parameters: [
      { name: 'l.q_proj.weight', shape: [6, 4], role: 'linear', layer: 0, module: 'q_proj' },
      { name: 'l.norm.weight', shape: [4], role: 'norm', layer: 0, module: 'norm' },
    ],
  } as const;
  const pair = {
    module: 'l.q_proj',
    a: new Float32Array(8),
    b: new Float32Array(12),
    rank: 2,
    inFeatures: 4,
    outFeatures: 6,
  };

  it('maps parameter names to pairs', () => {
    expect([...matchAdapter(base, { pairs: [pair] }).keys()]).toEqual(['l.q_proj.weight']);
  });

  it.each([
    ['does not exist', [{ ...pair, module: 'l.v_proj' }]],
    ['shares its matrix', [{ ...pair, module: 'lm_head' }]],
    ['not a linear module', [{ ...pair, module: 'l.norm' }]],
    ['trained on [6, 5]', [{ ...pair, inFeatures: 5 }]],
    ['adapted twice', [pair, pair]],
  ])('refuses a pair that %s', (what, pairs) => {
    const thrown = codeOf(() => matchAdapter(base, { pairs }));
    expect(thrown).toContain('WEIGHTS_ADAPTER_MISMATCH');
    expect(thrown).toContain(what);
  });
});
