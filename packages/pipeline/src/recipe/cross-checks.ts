/**
 * Rules between keys of a recipe that no single key can show.
 *
 * Source: the argument checks of LLaMA-Factory 0.9.3 (data, model and fine-tuning arguments), as far as
 * the stages here have the option, and this engine's own limits.
 */
import { PIPELINE_ERRORS } from '../errors.js';
import type { RecipeBody } from './recipe.js';
import type { RecipeFault } from './recipe-faults.js';
import type { YamlPath } from './yaml-source.js';

/** A fault of a rule: which key shows it, and what is wrong. */
interface RuleFault {
  readonly code: RecipeFault['code'];
  readonly path: YamlPath;
  readonly message: string;
  readonly hint?: string;
}

/** Whether the author wrote the key, as opposed to a default. */
type IsGiven = (section: string, key: string) => boolean;

type Rule = (recipe: RecipeBody, isGiven: IsGiven) => readonly RuleFault[];

/** All rules, in the order of their messages. */
const RULES: readonly Rule[] = [
  loraOnlyOptions,
  dropout,
  quantizedBase,
  sftOnlyOptions,
  maskContradiction,
  dataSource,
  validation,
  warmup,
  peftExport,
];

/** Finds every rule that the recipe breaks. `given` is the parsed YAML before defaults. */
export function crossCheck(
  recipe: RecipeBody,
  given: { readonly [key: string]: unknown },
): readonly RuleFault[] {
  const isGiven: IsGiven = (section, key) => {
    const inner = given[section];
    return typeof inner === 'object' && inner !== null && key in inner;
  };
  return RULES.flatMap((rule) => rule(recipe, isGiven));
}

/** Data comes as records or as tokens, and from one place. */
function dataSource({ data }: RecipeBody): RuleFault[] {
  const faults: RuleFault[] = [];
  const { RECIPE_DATA_SOURCE, RECIPE_MISSING_KEY } = PIPELINE_ERRORS;
  const add = (key: string, message: string, hint: string): void => {
    faults.push({ code: RECIPE_DATA_SOURCE, path: ['data', key], message, hint });
  };
  if (data.train === undefined && data.tokenized_path === undefined) {
    faults.push({
      code: RECIPE_MISSING_KEY,
      path: ['data', 'train'],
      message: 'data.train is missing',
      hint: 'Give data.train, or data.tokenized_path for data that is prepared.',
    });
  }
  if (data.train !== undefined && data.tokenized_path !== undefined) {
    add(
      'tokenized_path',
      'data.train is given too; training data comes from one place',
      'Keep one.',
    );
  }
  if (data.validation !== undefined && data.tokenized_validation_path !== undefined) {
    add('tokenized_validation_path', 'data.validation is given too', 'Keep one of the two.');
  }
  if (data.tokenized_path !== undefined && data.val_size > 0) {
    add(
      'val_size',
      'samples are held out when data is prepared, and tokenized_path is prepared',
      'Prepare it with --val-size and give tokenized_validation_path.',
    );
  }
  return faults;
}

function loraOnlyOptions(recipe: RecipeBody, isGiven: IsGiven): RuleFault[] {
  if (recipe.train.finetuning_type === 'lora') return [];
  const faults: RuleFault[] = [];
  if (recipe.train.adapter_name_or_path !== undefined) {
    faults.push({
      code: PIPELINE_ERRORS.RECIPE_ADAPTER_NEEDS_LORA,
      path: ['train', 'adapter_name_or_path'],
      message:
        'adapter_name_or_path goes on with an adapter, which finetuning_type full has none of',
      hint: 'Set train.finetuning_type: lora, or merge the adapter into the model first.',
    });
  }
  for (const key of ['lora_rank', 'lora_alpha', 'lora_dropout', 'lora_target', 'use_rslora']) {
    if (!isGiven('train', key)) continue;
    faults.push({
      code: PIPELINE_ERRORS.RECIPE_LORA_OPTION_WITHOUT_LORA,
      path: ['train', key],
      message: `${key} has no meaning with finetuning_type full`,
      hint: 'Remove the key, or set train.finetuning_type: lora.',
    });
  }
  return faults;
}

function dropout(recipe: RecipeBody): RuleFault[] {
  if (recipe.train.lora_dropout === 0) return [];
  return [
    {
      code: PIPELINE_ERRORS.RECIPE_LORA_DROPOUT_UNSUPPORTED,
      path: ['train', 'lora_dropout'],
      message: `lora_dropout is ${recipe.train.lora_dropout}; this engine trains adapters with 0 only`,
      hint: 'Remove lora_dropout or set it to 0.',
    },
  ];
}

function quantizedBase(recipe: RecipeBody): RuleFault[] {
  const type = recipe.model.base_type;
  if (recipe.train.finetuning_type === 'lora' || !type.startsWith('q')) return [];
  return [
    {
      code: PIPELINE_ERRORS.RECIPE_QUANTIZED_NEEDS_LORA,
      path: ['model', 'base_type'],
      message: `base_type ${type} is frozen, so finetuning_type full cannot train it`,
      hint: 'Set train.finetuning_type: lora, or model.base_type: auto.',
    },
  ];
}

function sftOnlyOptions(recipe: RecipeBody): RuleFault[] {
  if (recipe.train.stage === 'sft') return [];
  const keys = ['neat_packing', 'train_on_prompt', 'mask_history'] as const;
  return keys
    .filter((key) => recipe.data[key])
    .map((key) => ({
      code: PIPELINE_ERRORS.RECIPE_SFT_ONLY_OPTION,
      path: ['data', key],
      message: `${key} is for stage sft; stage pt learns every token of raw text`,
    }));
}

function maskContradiction(recipe: RecipeBody): RuleFault[] {
  if (!(recipe.data.mask_history && recipe.data.train_on_prompt)) return [];
  return [
    {
      code: PIPELINE_ERRORS.RECIPE_MASK_CONTRADICTION,
      path: ['data', 'mask_history'],
      message:
        'mask_history learns the last answer only, train_on_prompt learns everything; choose one',
    },
  ];
}

function validation(recipe: RecipeBody, isGiven: IsGiven): RuleFault[] {
  const { validation: records, tokenized_validation_path: tokens, val_size: size } = recipe.data;
  const files = records ?? tokens;
  const faults: RuleFault[] = [];
  if (files !== undefined && size > 0) {
    faults.push({
      code: PIPELINE_ERRORS.RECIPE_VALIDATION_TWICE,
      path: ['data', 'val_size'],
      message: 'val_size and validation both name held-out samples; give one of them',
    });
  }
  if (size >= 1 && !Number.isInteger(size)) {
    faults.push({
      code: PIPELINE_ERRORS.RECIPE_BAD_VALUE,
      path: ['data', 'val_size'],
      message: `val_size is ${size}; it must be a share below 1 or a whole number of samples`,
    });
  }
  if (files === undefined && size === 0) {
    const asked = isGiven('train', 'eval_steps') ? ['train', 'eval_steps'] : ['evaluate'];
    if (recipe.evaluate !== undefined || asked.length === 2) {
      faults.push({
        code: PIPELINE_ERRORS.RECIPE_EVALUATE_NEEDS_VALIDATION,
        path: asked,
        message: `${asked.join('.')} asks for an evaluation, but no sample is held out`,
        hint: 'Give data.validation or data.val_size.',
      });
    }
  }
  return faults;
}

function warmup(recipe: RecipeBody): RuleFault[] {
  const { warmup_ratio: ratio, warmup_steps: steps } = recipe.train;
  if (ratio === undefined || steps === undefined || ratio === 0 || steps === 0) return [];
  return [
    {
      code: PIPELINE_ERRORS.RECIPE_WARMUP_TWICE,
      path: ['train', 'warmup_steps'],
      message: `warmup_steps ${steps} and warmup_ratio ${ratio} both set the warm-up; give one of them`,
    },
  ];
}

function peftExport(recipe: RecipeBody): RuleFault[] {
  if (recipe.train.finetuning_type === 'lora' || recipe.export?.peft !== true) return [];
  return [
    {
      code: PIPELINE_ERRORS.RECIPE_PEFT_NEEDS_LORA,
      path: ['export', 'peft'],
      message: 'peft exports an adapter, which finetuning_type full has none of',
      hint: 'Remove export.peft; the merged model holds the trained weights.',
    },
  ];
}
