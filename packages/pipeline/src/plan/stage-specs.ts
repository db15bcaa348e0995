/**
 * From a recipe to the stages that it asks for, before anything is known about the workspace.
 *
 * Pure. What decides a stage's output goes to `parameters` under its recipe name; what only decides how
 * fast or how chatty it is goes to `settings`.
 */
import type { JsonValue } from '@tuneyard/core';
import type { Facts } from '../executor/run-event.js';
import { type Recipe, resolveRecipePath } from '../recipe/recipe.js';
import type { StageKind } from './run-plan.js';

/** Which files of a path count for its fingerprint. */
export type PathRole = 'model' | 'tokenizer' | 'tokens' | 'all';

/** An input before it is fingerprinted. */
export type SpecInput =
  | { readonly from: 'stage'; readonly stageId: string }
  | { readonly from: 'path'; readonly path: string; readonly files: PathRole };

/** A stage before it is fingerprinted. */
export interface StageSpec {
  readonly id: string;
  readonly kind: StageKind;
  readonly title: string;
  readonly version: number;
  readonly artifactKind: string | null;
  readonly inputs: { readonly [role: string]: SpecInput };
  readonly parameters: Facts;
  readonly settings: Facts;
}

/** A data set of the recipe, found. */
export interface RecipeDataset {
  readonly path: string;
  /** Name, form, columns, tags and limit: what decides how its rows are read. */
  readonly description: Facts;
}

/** The data sets of both roles; `validation` is empty when nothing is held out by name. */
export interface RecipeDatasets {
  readonly train: readonly RecipeDataset[];
  readonly validation: readonly RecipeDataset[];
}

/** Versions of the stages' code: raise one when its output changes for the same input. */
const VERSIONS: { readonly [K in StageKind]: number } = {
  preprocess: 2,
  convert: 1,
  train: 1,
  evaluate: 1,
  merge: 1,
  'export-peft': 1,
  'export-gguf': 1,
  report: 1,
};

/** The stages of a recipe in the order in which they run; every input comes from an earlier one. */
export function stageSpecs(recipe: Recipe, datasets: RecipeDatasets): readonly StageSpec[] {
  const context: Context = {
    recipe,
    model: path(recipe, recipe.model.model_name_or_path, 'model'),
    train: tokens(recipe, recipe.data.tokenized_path) ?? fromStage('preprocess-train'),
    validation:
      tokens(recipe, recipe.data.tokenized_validation_path) ??
      (datasets.validation.length > 0 || recipe.data.val_size > 0
        ? fromStage('preprocess-validation')
        : null),
  };
  const work = [
    ...preprocessSpecs(context, datasets),
    ...convertSpecs(context, 'base'),
    ...evaluateSpecs(context, 'before'),
    trainSpec(context),
    ...evaluateSpecs(context, 'after'),
    ...resultSpecs(context),
    ...convertSpecs(context, 'result'),
  ];
  return [...work, reportSpec(work)];
}

interface Context {
  readonly recipe: Recipe;
  readonly model: SpecInput;
  /** Tokens to train on. */
  readonly train: SpecInput;
  /** Held-out tokens; null = none. */
  readonly validation: SpecInput | null;
}

function preprocessSpecs(context: Context, datasets: RecipeDatasets): StageSpec[] {
  const { data, train, model } = context.recipe;
  const isSplit = data.val_size > 0;
  const spec = (part: 'train' | 'validation', sets: readonly RecipeDataset[]): StageSpec => ({
    id: `preprocess-${part}`,
    kind: 'preprocess',
    title: part === 'train' ? 'Tokenize training data' : 'Tokenize held-out data',
    version: VERSIONS.preprocess,
    artifactKind: 'tokens',
    inputs: {
      tokenizer: path(context.recipe, model.model_name_or_path, 'tokenizer'),
      ...Object.fromEntries(
        sets.map((set, i) => [`data${i}`, { from: 'path', path: set.path, files: 'all' } as const]),
      ),
    },
    parameters: present({
      'train.stage': train.stage,
      'data.datasets': sets.map((set) => set.description),
      'data.template': data.template,
      'data.handler_name': data.handler_name,
      'data.default_system': data.default_system,
      'data.tool_format': data.tool_format,
      'data.enable_thinking': data.enable_thinking,
      'data.cutoff_len': data.cutoff_len,
      'data.overlength': data.overlength,
      'data.mask_history': data.mask_history,
      'data.train_on_prompt': data.train_on_prompt,
      'data.drop_duplicates': data.drop_duplicates ? true : undefined,
      'data.mix_strategy': data.mix_strategy,
      'data.interleave_probs': data.interleave_probs,
      'data.val_size': isSplit ? data.val_size : undefined,
      part: isSplit ? part : undefined,
      'train.seed': isDrawn(data, sets) ? train.seed : undefined,
    }),
    settings: present({ 'data.preprocessing_num_workers': data.preprocessing_num_workers }),
  });
  const specs = context.train.from === 'stage' ? [spec('train', datasets.train)] : [];
  if (context.validation?.from === 'stage') {
    specs.push(spec('validation', isSplit ? datasets.train : datasets.validation));
  }
  return specs;
}

/** True when the seed decides what is written: samples held out, shares, rows drawn from a data set. */
function isDrawn(data: Recipe['data'], sets: readonly RecipeDataset[]): boolean {
  const drawsRows = sets.some(({ description }) => description['numSamples'] != null);
  return data.val_size > 0 || data.interleave_probs !== undefined || drawsRows;
}

/** The Megatron form of the base, which no setting of the training changes, or of the trained weights. */
function convertSpecs(context: Context, what: 'base' | 'result'): StageSpec[] {
  const { megatron, train } = context.recipe;
  if (megatron === undefined || !megatron[what]) return [];
  const multiple = megatron.make_vocab_size_divisible_by;
  const layout = present({
    spec: megatron.transformer_impl,
    tensorParallel: megatron.tensor_model_parallel_size,
    pipelineParallel: megatron.pipeline_model_parallel_size,
    expertParallel: megatron.expert_model_parallel_size,
    layersPerVirtualStage: megatron.num_layers_per_virtual_pipeline_stage,
    numLayerList: megatron.num_layer_list,
    noopLayers: megatron.noop_layers,
    groupedGemm: megatron.moe_grouped_gemm,
    vocabularyPadding: multiple === undefined ? undefined : 'last_row',
    vocabularyDivisibleBy: multiple,
  });
  return [
    {
      id: what === 'base' ? 'convert-base' : 'export-megatron',
      kind: 'convert',
      title: what === 'base' ? 'Convert the base to Megatron' : 'Export to Megatron',
      version: VERSIONS.convert,
      artifactKind: 'megatron',
      inputs: { model: what === 'base' ? context.model : fromStage('merge') },
      parameters: { 'megatron.layout': layout },
      settings: present({ 'megatron.verify': megatron.verify, 'train.threads': train.threads }),
    },
  ];
}

function trainSpec(context: Context): StageSpec {
  const { data, train, model } = context.recipe;
  const isLora = train.finetuning_type === 'lora';
  return {
    id: 'train',
    kind: 'train',
    title: isLora ? 'Train LoRA adapter' : 'Train all weights',
    version: VERSIONS.train,
    artifactKind: isLora ? 'adapter' : 'model',
    inputs: {
      model: context.model,
      train: context.train,
      ...(context.validation === null ? {} : { validation: context.validation }),
      ...startAdapter(context),
    },
    parameters: present({
      'model.base_type': model.base_type,
      'data.cutoff_len': data.cutoff_len,
      'data.packing': isPacked(context.recipe),
      'train.finetuning_type': train.finetuning_type,
      ...(isLora ? loraParameters(context.recipe) : {}),
      'train.per_device_train_batch_size': train.per_device_train_batch_size,
      'train.gradient_accumulation_steps': train.gradient_accumulation_steps,
      'train.learning_rate': train.learning_rate,
      'train.num_train_epochs': train.max_steps === undefined ? train.num_train_epochs : undefined,
      'train.max_steps': train.max_steps,
      'train.lr_scheduler_type': train.lr_scheduler_type,
      'train.warmup_ratio': train.warmup_ratio,
      'train.warmup_steps': train.warmup_steps,
      'train.weight_decay': train.weight_decay,
      'train.max_grad_norm': train.max_grad_norm,
      'train.adam_beta1': train.adam_beta1,
      'train.adam_beta2': train.adam_beta2,
      'train.adam_epsilon': train.adam_epsilon,
      'train.seed': train.seed,
    }),
    settings: present({
      'data.ignore_findings': data.ignore_findings,
      'train.threads': train.threads,
      'train.logging_steps': train.logging_steps,
      'train.eval_steps': train.eval_steps,
      'train.save_steps': train.save_steps,
      'train.save_total_limit': train.save_total_limit,
      'train.gradient_checkpointing': train.gradient_checkpointing,
    }),
  };
}

function loraParameters({ train }: Recipe): { [key: string]: JsonValue } {
  return {
    'train.lora_rank': train.lora_rank,
    'train.lora_alpha': train.lora_alpha ?? 2 * train.lora_rank,
    'train.lora_target':
      typeof train.lora_target === 'string' ? train.lora_target : [...train.lora_target].sort(),
    'train.use_rslora': train.use_rslora,
  };
}

/** Raw text is packed unless told otherwise, as LLaMA-Factory does. */
function isPacked({ data, train }: Recipe): boolean {
  return data.neat_packing || (data.packing ?? train.stage === 'pt');
}

function evaluateSpecs(context: Context, when: 'before' | 'after'): StageSpec[] {
  const { evaluate, model, train } = context.recipe;
  if (evaluate === undefined || context.validation === null) return [];
  const trained = fromStage('train');
  const isLora = train.finetuning_type === 'lora';
  const after = isLora ? { model: context.model, adapter: trained } : { model: trained };
  const inputs = when === 'after' ? after : { model: context.model, ...startAdapter(context) };
  return [
    {
      id: `evaluate-${when}`,
      kind: 'evaluate',
      title: when === 'before' ? 'Evaluate the base model' : 'Evaluate the trained model',
      version: VERSIONS.evaluate,
      artifactKind: 'evaluation',
      inputs: { ...inputs, validation: context.validation },
      parameters: {
        'model.base_type': model.base_type,
        'evaluate.exact_match': evaluate.exact_match,
        ...(evaluate.exact_match
          ? {
              'evaluate.max_new_tokens': evaluate.max_new_tokens,
              'evaluate.samples': evaluate.samples,
            }
          : {}),
      },
      settings: present({
        'train.threads': train.threads,
        'evaluate.batch_size': evaluate.batch_size,
      }),
    },
  ];
}

/** What is made of the trained weights: merged model, PEFT directory, GGUF files. */
function resultSpecs(context: Context): StageSpec[] {
  const { recipe } = context;
  const specs: StageSpec[] = [];
  const ggufTypes = recipe.export?.gguf ?? [];
  const isMerged = recipe.merge !== undefined || recipe.megatron?.result === true;
  if (isMerged || ggufTypes.length > 0) specs.push(mergeSpec(context));
  if (recipe.export?.peft === true) {
    specs.push({
      id: 'export-peft',
      kind: 'export-peft',
      title: 'Export the adapter for PEFT',
      version: VERSIONS['export-peft'],
      artifactKind: 'peft',
      inputs: { adapter: fromStage('train') },
      parameters: {},
      settings: { base: recipe.model.model_name_or_path },
    });
  }
  for (const type of new Set(ggufTypes)) {
    specs.push({
      id: `export-gguf-${type}`,
      kind: 'export-gguf',
      title: `Export GGUF ${type}`,
      version: VERSIONS['export-gguf'],
      artifactKind: 'gguf',
      inputs: { model: fromStage('merge') },
      // The name is written into the file.
      parameters: {
        'export.gguf': type,
        'export.verify': recipe.export?.verify ?? true,
        name: recipe.name,
      },
      settings: present({ 'train.threads': recipe.train.threads }),
    });
  }
  return specs;
}

function mergeSpec(context: Context): StageSpec {
  const { train, merge } = context.recipe;
  const isLora = train.finetuning_type === 'lora';
  return {
    id: 'merge',
    kind: 'merge',
    title: isLora ? 'Merge adapter into the model' : 'Convert the trained weights',
    version: VERSIONS.merge,
    artifactKind: 'model',
    inputs: isLora
      ? { model: context.model, adapter: fromStage('train') }
      : { model: fromStage('train') },
    parameters: { 'merge.dtype': merge?.dtype ?? 'bf16' },
    settings: {},
  };
}

function reportSpec(stages: readonly StageSpec[]): StageSpec {
  return {
    id: 'report',
    kind: 'report',
    title: 'Write the report',
    version: VERSIONS.report,
    artifactKind: null,
    inputs: Object.fromEntries(stages.map(({ id }) => [id, fromStage(id)])),
    parameters: {},
    settings: {},
  };
}

function startAdapter({ recipe }: Context): { readonly [role: string]: SpecInput } {
  const adapter = recipe.train.adapter_name_or_path;
  return adapter === undefined ? {} : { adapter: path(recipe, adapter, 'all') };
}

function fromStage(stageId: string): SpecInput {
  return { from: 'stage', stageId };
}

/** Tokens prepared outside of the recipe. */
function tokens(recipe: Recipe, relative: string | undefined): SpecInput | null {
  return relative === undefined ? null : path(recipe, relative, 'tokens');
}

function path(recipe: Recipe, relative: string, files: PathRole): SpecInput {
  return { from: 'path', path: resolveRecipePath(recipe, relative), files };
}

function present(facts: { readonly [key: string]: JsonValue | undefined }): Facts {
  const kept: { [key: string]: JsonValue } = {};
  for (const [key, value] of Object.entries(facts)) if (value !== undefined) kept[key] = value;
  return kept;
}
