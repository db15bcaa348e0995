/**
 * The shape of a recipe.
 *
 * Keys keep the spelling that users know from LLaMA-Factory, here and in the YAML: the recipe is a wire
 * type. Defaults are those of LLaMA-Factory and the Hugging Face trainer, so that a setting that is left
 * out means the same in both; those that only shape the display are our own.
 */
import path from 'node:path';
import { z } from 'zod';

const count = z.int().min(1);
const fraction = z.number().min(0).max(1);
const pathText = z.string().min(1);
const oneOrMany = z
  .union([pathText, z.array(pathText).min(1)])
  .transform((value) => (typeof value === 'string' ? [value] : value));

/** A list, or as LLaMA-Factory writes it: `0.7,0.3`. */
const probabilities = z
  .union([z.string().transform((text) => text.split(',').map(Number)), z.array(z.number())])
  .pipe(z.array(fraction).min(1));

const model = z.strictObject({
  /** Directory in Hugging Face form, or a GGUF file. */
  model_name_or_path: pathText,
  /** Element type of the frozen base while training; `auto` keeps what is stored. */
  base_type: z.enum(['auto', 'f32', 'bf16', 'q8_0', 'q4_K']).default('auto'),
});

const data = z.strictObject({
  /** Files, folders, or names registered in `dataset_info.json` of `dataset_dir`. Exclusive with `tokenized_path`. */
  train: oneOrMany.optional(),
  /** Prefix or directory of data that `tuneyard preprocess`, Megatron's or MindSpeed-LLM's tools have prepared. */
  tokenized_path: pathText.optional(),
  /** The same for held-out data. */
  tokenized_validation_path: pathText.optional(),
  /** Held-out files or names; exclusive with `val_size`. */
  validation: oneOrMany.optional(),
  /** Samples to hold out of `train`: a count, or a share in (0, 1). 0 = none. */
  val_size: z.number().min(0).default(0),
  dataset_dir: pathText.optional(),
  formatting: z.enum(['auto', 'alpaca', 'sharegpt']).default('auto'),
  /** A named chat template, or `auto` for the model's own. */
  template: z.string().min(1).default('auto'),
  /** How records are read; left out = by their form. `tuneyard data handlers` lists them. */
  handler_name: z.string().min(1).optional(),
  default_system: z.string().optional(),
  /** How a named template writes tools and calls; left out = its own way. */
  tool_format: z.enum(['default', 'glm4', 'llama3', 'mistral', 'qwen']).optional(),
  /** Reasoning templates: true learns empty thoughts, false takes thoughts out, null keeps what is there. */
  enable_thinking: z.boolean().nullable().optional(),
  /** Longest sample, in tokens. */
  cutoff_len: z.int().min(2).default(2048),
  /** What happens to a sample that is longer than `cutoff_len`. */
  overlength: z.enum(['drop', 'truncate', 'error']).default('truncate'),
  packing: z.boolean().optional(),
  neat_packing: z.boolean().default(false),
  mask_history: z.boolean().default(false),
  train_on_prompt: z.boolean().default(false),
  /** At most this many samples of each data set. */
  max_samples: count.optional(),
  /** Order of several data sets. */
  mix_strategy: z.enum(['concat', 'interleave_under', 'interleave_over']).default('concat'),
  /** Shares of the data sets, sum 1. */
  interleave_probs: probabilities.optional(),
  /** Leave out rows whose tokens equal those of an earlier row. */
  drop_duplicates: z.boolean().default(false),
  /** Findings of the data doctor that do not stop training: their codes, or `all`. */
  ignore_findings: z.union([z.literal('all'), z.array(z.string().min(1))]).default([]),
  preprocessing_num_workers: count.optional(),
});

const train = z.strictObject({
  stage: z.enum(['sft', 'pt']).default('sft'),
  finetuning_type: z.enum(['lora', 'full']).default('lora'),
  lora_rank: count.default(8),
  /** Default: twice the rank. */
  lora_alpha: z.number().positive().optional(),
  lora_dropout: fraction.default(0),
  /** `all` linear layers, or module names such as `q_proj`. */
  lora_target: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).default('all'),
  use_rslora: z.boolean().default(false),
  /** An adapter to go on with. */
  adapter_name_or_path: pathText.optional(),
  per_device_train_batch_size: count.default(8),
  gradient_accumulation_steps: count.default(1),
  learning_rate: z.number().positive().default(5e-5),
  num_train_epochs: z.number().positive().default(3),
  /** Overrides `num_train_epochs`; -1 = not set. */
  max_steps: z
    .union([z.literal(-1), count])
    .optional()
    .transform((value) => (value === -1 ? undefined : value)),
  lr_scheduler_type: z
    .enum(['cosine', 'linear', 'constant', 'constant_with_warmup'])
    .default('linear'),
  warmup_ratio: fraction.optional(),
  warmup_steps: z.int().min(0).optional(),
  weight_decay: z.number().min(0).default(0),
  /** 0 = no clipping. */
  max_grad_norm: z.number().min(0).default(1),
  adam_beta1: z.number().min(0).lt(1).default(0.9),
  adam_beta2: z.number().min(0).lt(1).default(0.999),
  adam_epsilon: z.number().positive().default(1e-8),
  seed: z.int().min(0).default(42),
  /** Steps between points of the loss curve; default: a hundredth of the run. */
  logging_steps: count.optional(),
  /** Steps between held-out losses; default: a tenth of the run. */
  eval_steps: count.optional(),
  /** Steps between checkpoints; default: a tenth of the run. */
  save_steps: count.optional(),
  save_total_limit: count.default(2),
  /** Default: one per physical core. */
  threads: count.optional(),
  /** Recomputes activations to save memory; default: when the memory plan asks for it. */
  gradient_checkpointing: z.boolean().optional(),
});

const evaluate = z.strictObject({
  /** Compare generated answers with the held-out ones. */
  exact_match: z.boolean().default(true),
  max_new_tokens: count.default(128),
  /** Held-out samples to generate for. */
  samples: count.default(64),
  batch_size: count.default(8),
});

const merge = z.strictObject({ dtype: z.enum(['f32', 'f16', 'bf16']).default('bf16') });

/** Element types that a GGUF export can have. */
export const GGUF_EXPORT_TYPES = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0', 'q4_K'] as const;

const exportSection = z.strictObject({
  gguf: z.array(z.enum(GGUF_EXPORT_TYPES)).default([]),
  peft: z.boolean().optional(),
  /** Check that llama.cpp continues prompts from the exported file as our engine does. */
  verify: z.boolean().default(true),
});

/** Megatron form of the weights; names of arguments as Megatron spells them. */
const megatron = z.strictObject({
  tensor_model_parallel_size: count.default(1),
  pipeline_model_parallel_size: count.default(1),
  expert_model_parallel_size: count.default(1),
  num_layers_per_virtual_pipeline_stage: count.optional(),
  /** Layers of each pipeline stage. */
  num_layer_list: z.array(count).optional(),
  noop_layers: z.array(z.int().min(0)).default([]),
  /** Names of parameters. */
  transformer_impl: z
    .enum(['local', 'transformer_engine', 'legacy', 'ascendspeed'])
    .default('local'),
  moe_grouped_gemm: z.boolean().default(false),
  /** Pads the vocabulary with copies of its last row; left out = not padded. */
  make_vocab_size_divisible_by: count.optional(),
  /** Convert the base model, to be shared by every training in this layout. */
  base: z.boolean().default(true),
  /** Convert the trained weights. */
  result: z.boolean().default(false),
  /** Read the files back and compare. */
  verify: z.boolean().default(true),
});

const report = z.strictObject({ title: z.string().min(1).optional() });

/** The schema of a recipe's YAML. */
export const recipeSchema = z.strictObject({
  name: z
    .string()
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
      'letters, digits, dot, dash or underscore, at most 64',
    ),
  model,
  data,
  train: train.prefault({}),
  evaluate: evaluate.optional(),
  merge: merge.optional(),
  export: exportSection.optional(),
  megatron: megatron.optional(),
  report: report.prefault({}),
});

/** A recipe's content with defaults filled in. */
export type RecipeBody = z.output<typeof recipeSchema>;

/** A checked recipe. Paths inside are still as written; {@link resolveRecipePath} makes them absolute. */
export interface Recipe extends RecipeBody {
  /** Absolute path of the file it came from; relative paths start at its directory. */
  readonly file: string;
  /** The text as read, for the record of a run. */
  readonly text: string;
}

/** The absolute form of a path in a recipe. */
export function resolveRecipePath(recipe: Pick<Recipe, 'file'>, relative: string): string {
  return path.resolve(path.dirname(recipe.file), relative);
}
