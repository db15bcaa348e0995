import { TuneyardError } from '@tuneyard/core';
import { TEMPLATE_NAMES } from '@tuneyard/data';
import { describe, expect, it } from 'vitest';
import { importLlamaFactory, isLlamaFactory } from './import-llama-factory.js';
import { LLAMA_FACTORY_KEYS } from './llama-factory-keys.js';

/** The shape of the LoRA example that LLaMA-Factory's users start from. */
const EXAMPLE = `### model
model_name_or_path: models/tiny
trust_remote_code: true

### method
stage: sft
do_train: true
finetuning_type: lora
lora_rank: 16
lora_target: q_proj,v_proj

### dataset
dataset: identity,alpaca_en_demo
template: llama3
cutoff_len: 1024
max_samples: 1000
overwrite_cache: true
preprocessing_num_workers: 16
dataloader_num_workers: 4

### output
output_dir: saves/tiny/lora/sft
logging_steps: 10
save_steps: 500
plot_loss: true
overwrite_output_dir: true
save_only_model: false
report_to: none

### train
per_device_train_batch_size: 1
gradient_accumulation_steps: 8
learning_rate: 1.0e-4
num_train_epochs: 3.0
lr_scheduler_type: cosine
warmup_ratio: 0.1
bf16: true
ddp_timeout: 180000000
resume_from_checkpoint: null

### eval
val_size: 0.1
per_device_eval_batch_size: 1
eval_strategy: steps
eval_steps: 500
`;

const BASE = 'model_name_or_path: m\ndataset: a\n';

function faultOf(text: string): TuneyardError {
  try {
    importLlamaFactory(text, 'x.yaml');
  } catch (error) {
    if (error instanceof TuneyardError) return error;
    throw error;
  }
  throw new Error('the YAML was accepted');
}

describe('importLlamaFactory', () => {
  it('translates the usual LoRA example', () => {
    const { recipe } = importLlamaFactory(EXAMPLE, '/home/me/lf/tiny-lora.yaml');
    expect(recipe).toMatchObject({
      name: 'tiny-lora',
      file: '/home/me/lf/tiny-lora.yaml',
      model: { model_name_or_path: '/home/me/lf/models/tiny', base_type: 'auto' },
      data: {
        train: ['identity', 'alpaca_en_demo'],
        dataset_dir: '/home/me/lf/data',
        template: 'llama3',
        cutoff_len: 1024,
        max_samples: 1000,
        val_size: 0.1,
        preprocessing_num_workers: 16,
      },
      train: {
        stage: 'sft',
        finetuning_type: 'lora',
        lora_rank: 16,
        lora_target: ['q_proj', 'v_proj'],
        per_device_train_batch_size: 1,
        gradient_accumulation_steps: 8,
        learning_rate: 1e-4,
        num_train_epochs: 3,
        lr_scheduler_type: 'cosine',
        warmup_ratio: 0.1,
        logging_steps: 10,
        save_steps: 500,
        eval_steps: 500,
      },
    });
  });

  it('gives a reason and a place for every key that it leaves out', () => {
    const { notes } = importLlamaFactory(EXAMPLE, 'x.yaml');
    expect(notes.map((note) => note.key)).toEqual([
      'trust_remote_code',
      'do_train',
      'overwrite_cache',
      'dataloader_num_workers',
      'output_dir',
      'plot_loss',
      'overwrite_output_dir',
      'save_only_model',
      'report_to',
      'bf16',
      'ddp_timeout',
      'per_device_eval_batch_size',
      'eval_strategy',
    ]);
    expect(notes.every((note) => note.message.length > 5)).toBe(true);
    expect(notes.find((note) => note.key === 'bf16')?.where).toBe(
      `x.yaml:${EXAMPLE.split('\n').indexOf('bf16: true') + 1}:1`,
    );
  });

  it('holds the base as q4_K or q8_0 for 4 and 8 bits, and says so', () => {
    const four = importLlamaFactory(`${BASE}quantization_bit: 4\n`, 'x.yaml');
    expect(four.recipe.model.base_type).toBe('q4_K');
    expect(four.notes).toMatchObject([
      { key: 'quantization_bit', effect: 'translated', message: expect.stringContaining('q4_K') },
    ]);
    expect(
      importLlamaFactory(`${BASE}quantization_bit: 8\n`, 'x.yaml').recipe.model.base_type,
    ).toBe('q8_0');
    expect(faultOf(`${BASE}quantization_bit: 3\n`).code).toBe('RECIPE_UNSUPPORTED_KEY');
  });

  it.each([
    ['stage: dpo', 'preference stages'],
    ['finetuning_type: freeze', 'freeze'],
    ['use_dora: true', 'DoRA'],
    ['loraplus_lr_ratio: 16.0', 'LoRA+'],
    ['pissa_init: true', 'PiSSA'],
    ['resize_vocab: true', 'vocabulary'],
    ['rope_scaling: linear', 'config.json'],
    ['streaming: true', 'read whole'],
    ['use_galore: true', 'AdamW'],
    ['optim: adafactor', 'AdamW'],
    ['do_train: false', 'always trains'],
    ['resume_from_checkpoint: saves/checkpoint-5', 'goes on by itself'],
    ['adapter_name_or_path: a,b', 'one adapter'],
    ['train_from_scratch: true', 'given weights'],
  ])('refuses %s and says why', (line, why) => {
    const error = faultOf(`${BASE}${line}\n`);
    expect(error.code).toBe('RECIPE_UNSUPPORTED_KEY');
    expect(error.message).toContain(`x.yaml:3:1: ${line.split(':')[0]}`);
    expect(error.message).toContain(why);
  });

  it.each(['use_dora: false', 'resize_vocab: false', 'rope_scaling: null'])(
    'takes %s, which turns the feature off',
    (line) => {
      expect(() => importLlamaFactory(`${BASE}${line}\n`, 'x.yaml')).not.toThrow();
    },
  );

  it('names the nearest known key for a slip', () => {
    const error = faultOf(`${BASE}lora_rnk: 8\n`);
    expect(error.code).toBe('RECIPE_UNKNOWN_KEY');
    expect(error.message).toBe(
      'x.yaml:3:1: lora_rnk is not a key of LLaMA-Factory; the nearest known key is lora_rank',
    );
  });

  it('points at the flat key when a translated value is wrong', () => {
    const error = faultOf(`${BASE}learning_rate: fast\n`);
    expect(error.code).toBe('RECIPE_WRONG_TYPE');
    expect(error.message).toContain('x.yaml:3:16: train.learning_rate is the text "fast"');
    expect(faultOf(`${BASE}lora_dropout: 0.1\n`).code).toBe('RECIPE_LORA_DROPOUT_UNSUPPORTED');
  });

  it('takes settings of data as they are', () => {
    const lines = 'template: qwen3\nmix_strategy: interleave_under\ninterleave_probs: 0.7,0.3\n';
    const { recipe } = importLlamaFactory(`${BASE}${lines}enable_thinking: false\n`, 'x.yaml');
    expect(recipe.data).toMatchObject({
      template: 'qwen3',
      mix_strategy: 'interleave_under',
      interleave_probs: [0.7, 0.3],
      enable_thinking: false,
    });
    expect(TEMPLATE_NAMES).toContain('qwen3');
  });

  it('asks for a data set', () => {
    expect(faultOf('model_name_or_path: m\n').code).toBe('RECIPE_MISSING_KEY');
  });

  it('drops eval_steps when nothing is held out, as the trainer does', () => {
    const { recipe, notes } = importLlamaFactory(`${BASE}eval_steps: 5\n`, 'x.yaml');
    expect(recipe.train.eval_steps).toBeUndefined();
    expect(notes.map((note) => note.key)).toEqual(['eval_steps']);
  });

  it('classifies every argument that the reference lists', () => {
    const listed =
      'model_name_or_path adapter_name_or_path template output_dir stage finetuning_type lora_target ' +
      'loraplus_lr_ratio per_device_train_batch_size gradient_accumulation_steps num_train_epochs ' +
      'cutoff_len dataset dataset_dir packing deepspeed preprocessing_num_workers train_from_scratch ' +
      'do_train disable_gradient_checkpointing flash_attn eval_dataset media_dir train_on_prompt ' +
      'mask_history streaming max_steps buffer_size mix_strategy interleave_probs overwrite_cache ' +
      'preprocessing_batch_size max_samples ignore_pad_token_for_loss val_size neat_packing ' +
      'tool_format default_system enable_thinking tokenized_path lora_rank lora_alpha lora_dropout ' +
      'additional_target use_rslora use_dora pissa_init create_new_adapter freeze_trainable_layers ' +
      'freeze_trainable_modules freeze_extra_modules use_llama_pro pref_beta pref_loss pref_ftx ' +
      'dpo_label_smoothing simpo_gamma kto_chosen_weight kto_rejected_weight ppo_epochs reward_model ' +
      'ref_model use_galore use_apollo use_badam use_adam_mini use_muon pure_bf16 ' +
      'freeze_vision_tower freeze_multi_modal_projector freeze_language_model plot_loss ' +
      'include_effective_tokens_per_second compute_accuracy early_stopping_steps resize_vocab ' +
      'add_tokens add_special_tokens rope_scaling quantization_bit quantization_method ' +
      'quantization_type double_quantization image_max_pixels image_min_pixels video_max_pixels ' +
      'video_min_pixels video_fps video_maxlen audio_sampling_rate trust_remote_code export_dir ' +
      'export_size export_device export_legacy_format learning_rate lr_scheduler_type warmup_ratio ' +
      'weight_decay max_grad_norm bf16 logging_steps save_steps save_total_limit ' +
      'overwrite_output_dir resume_from_checkpoint ddp_timeout report_to predict_with_generate';
    const missing = listed.split(' ').filter((key) => !LLAMA_FACTORY_KEYS.has(key));
    expect(missing).toEqual([]);
  });

  it('tells a flat YAML from a recipe', () => {
    expect(isLlamaFactory({ model_name_or_path: 'm', stage: 'sft' })).toBe(true);
    expect(isLlamaFactory({ model: {}, train: {}, model_name_or_path: 'm' })).toBe(false);
    expect(isLlamaFactory({ name: 'x' })).toBe(false);
  });
});
