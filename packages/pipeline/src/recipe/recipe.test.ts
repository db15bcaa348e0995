import { TuneyardError } from '@tuneyard/core';
import { describe, expect, it } from 'vitest';
import { formatRecipe, parseRecipe } from './read-recipe.js';
import { nearestName } from './recipe-faults.js';

const MINIMAL = `name: quick
model:
  model_name_or_path: ../model
data:
  train: a.jsonl
`;

function faultOf(text: string): TuneyardError {
  try {
    parseRecipe(text, 'dir/r.yaml');
  } catch (error) {
    if (error instanceof TuneyardError) return error;
    throw error;
  }
  throw new Error('the recipe was accepted');
}

describe('parseRecipe', () => {
  it('fills in the defaults of LLaMA-Factory and the Hugging Face trainer', () => {
    const recipe = parseRecipe(MINIMAL, 'dir/r.yaml');
    expect(recipe.data).toMatchObject({ train: ['a.jsonl'], cutoff_len: 2048, val_size: 0 });
    expect(recipe.train).toMatchObject({
      stage: 'sft',
      finetuning_type: 'lora',
      lora_rank: 8,
      learning_rate: 5e-5,
      num_train_epochs: 3,
      lr_scheduler_type: 'linear',
      per_device_train_batch_size: 8,
      adam_beta2: 0.999,
      max_grad_norm: 1,
    });
    expect(recipe.evaluate).toBeUndefined();
  });

  it('reads its own output again without change', () => {
    const recipe = parseRecipe(
      `${MINIMAL}  validation: [v.jsonl]\ntrain: { lora_target: [q_proj], max_steps: 5 }\nevaluate: {}\nexport: { gguf: [f16] }\n`,
      'dir/r.yaml',
    );
    const again = parseRecipe(formatRecipe(recipe), 'dir/r.yaml');
    expect({ ...again, text: '' }).toEqual({ ...recipe, text: '' });
  });

  it('names an unknown key, its place and the nearest known key', () => {
    const error = faultOf(`${MINIMAL}train:\n  lora_rnak: 8\n`);
    expect(error.code).toBe('RECIPE_UNKNOWN_KEY');
    expect(error.message).toBe(
      'dir/r.yaml:7:3: lora_rnak is not a key of train; the nearest known key is lora_rank',
    );
  });

  it('names an unknown section at the top level', () => {
    expect(faultOf(`${MINIMAL}evalute: {}\n`).message).toBe(
      'dir/r.yaml:6:1: evalute is not a key of a recipe; the nearest known key is evaluate',
    );
  });

  it.each([
    ['train: { learning_rate: fast }', 'RECIPE_WRONG_TYPE', '6:25', 'the text "fast"', 'a number'],
    ['train: { lora_rank: 1.5 }', 'RECIPE_WRONG_TYPE', '6:21', '1.5', 'a whole number'],
    ['train: { lora_rank: 0 }', 'RECIPE_BAD_VALUE', '6:21', '0', 'at least 1'],
    ['train: { learning_rate: 0 }', 'RECIPE_BAD_VALUE', '6:25', '0', 'more than 0'],
    ['train: { stage: dpo }', 'RECIPE_BAD_VALUE', '6:17', 'the text "dpo"', 'one of sft, pt'],
    ['train: { lora_target: 5 }', 'RECIPE_WRONG_TYPE', '6:23', '5', 'text or a list'],
    ['export: { gguf: [f16, q9] }', 'RECIPE_BAD_VALUE', '6:23', 'the text "q9"', 'one of f32, f16'],
    ['train: 5', 'RECIPE_WRONG_TYPE', '6:8', '5', 'a section of keys'],
  ])('refuses %s with what was found and what is allowed', (line, code, at, found, allowed) => {
    const error = faultOf(`${MINIMAL}${line}\n`);
    expect(error.code).toBe(code);
    expect(error.message).toContain(`dir/r.yaml:${at}: `);
    expect(error.message).toContain(`is ${found}; it must be ${allowed}`);
  });

  it('names a missing key', () => {
    const error = faultOf('name: x\nmodel: { base_type: auto }\ndata: { train: a.jsonl }\n');
    expect(error.code).toBe('RECIPE_MISSING_KEY');
    expect(error.message).toContain('model.model_name_or_path is missing; it must be text');
  });

  it('lists every fault, one line each', () => {
    const error = faultOf(`${MINIMAL}train: { lora_rank: 0, seed: -1, zzzz: 1 }\n`);
    expect(error.message.split('\n')).toHaveLength(3);
    expect(error.details['faults']).toHaveLength(3);
  });

  it('says where YAML is broken', () => {
    const error = faultOf('name: x\nmodel: [1, 2\n');
    expect(error.code).toBe('RECIPE_YAML_INVALID');
    expect(error.message).toMatch(/^dir\/r\.yaml:\d+:\d+: /);
    expect(faultOf('- a\n').code).toBe('RECIPE_YAML_INVALID');
    expect(faultOf('name: a\nname: b\n').code).toBe('RECIPE_YAML_INVALID');
    expect(faultOf('').code).toBe('RECIPE_YAML_INVALID');
  });

  it('counts a key without a value as not given', () => {
    expect(parseRecipe(`${MINIMAL}train:\n  seed:\n`, 'r.yaml').train.seed).toBe(42);
  });

  it('takes max_steps -1 as not set, as the Hugging Face trainer does', () => {
    expect(parseRecipe(`${MINIMAL}train: { max_steps: -1 }`, 'r.yaml').train.max_steps).toBe(
      undefined,
    );
  });

  it('does not let an alias grow the document without bound', () => {
    const rows = ['a: &a [x,x,x,x,x,x,x,x,x,x]'];
    for (let i = 0; i < 8; i++) {
      const from = String.fromCharCode(97 + i);
      const to = String.fromCharCode(98 + i);
      rows.push(`${to}: &${to} [${Array(10).fill(`*${from}`).join(',')}]`);
    }
    expect(faultOf(rows.join('\n')).code).toBe('RECIPE_YAML_INVALID');
  });
});

describe('rules between keys', () => {
  it.each([
    ['train: { finetuning_type: full, adapter_name_or_path: a }', 'RECIPE_ADAPTER_NEEDS_LORA'],
    ['train: { finetuning_type: full, lora_rank: 4 }', 'RECIPE_LORA_OPTION_WITHOUT_LORA'],
    ['train: { lora_dropout: 0.1 }', 'RECIPE_LORA_DROPOUT_UNSUPPORTED'],
    ['train: { warmup_ratio: 0.1, warmup_steps: 5 }', 'RECIPE_WARMUP_TWICE'],
    ['train: { finetuning_type: full }\nexport: { peft: true }', 'RECIPE_PEFT_NEEDS_LORA'],
    ['  val_size: 0.1\n  validation: v.jsonl', 'RECIPE_VALIDATION_TWICE'],
    ['  val_size: 1.5', 'RECIPE_BAD_VALUE'],
    ['evaluate: {}', 'RECIPE_EVALUATE_NEEDS_VALIDATION'],
    ['train: { eval_steps: 5 }', 'RECIPE_EVALUATE_NEEDS_VALIDATION'],
    ['  mask_history: true\n  train_on_prompt: true', 'RECIPE_MASK_CONTRADICTION'],
    ['  neat_packing: true\ntrain: { stage: pt }', 'RECIPE_SFT_ONLY_OPTION'],
    ['  mask_history: true\ntrain: { stage: pt }', 'RECIPE_SFT_ONLY_OPTION'],
  ])('refuses %s', (lines, code) => {
    const error = faultOf(`${MINIMAL}${lines}\n`);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(/^dir\/r\.yaml:\d+:\d+: /);
  });

  it('refuses a quantized base that is to be trained, and takes it frozen', () => {
    const quantized = MINIMAL.replace('../model', '../model\n  base_type: q4_K');
    expect(faultOf(`${quantized}train: { finetuning_type: full }`).code).toBe(
      'RECIPE_QUANTIZED_NEEDS_LORA',
    );
    expect(parseRecipe(quantized, 'r.yaml').model.base_type).toBe('q4_K');
  });

  it('takes a zero warm-up beside another one', () => {
    const recipe = parseRecipe(`${MINIMAL}train: { warmup_ratio: 0.1, warmup_steps: 0 }`, 'r.yaml');
    expect(recipe.train.warmup_ratio).toBe(0.1);
  });
});

describe('nearestName', () => {
  it('stays silent when nothing is close', () => {
    expect(nearestName('frobnicate', ['seed', 'lora_rank'])).toBeNull();
    expect(nearestName('Seed', ['seed', 'lora_rank'])).toBe('seed');
  });
});
