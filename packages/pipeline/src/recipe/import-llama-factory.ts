/**
 * A plain LLaMA-Factory training YAML as a recipe.
 *
 * Every key is moved, translated, ignored with a reason, or refused with a reason; nothing is dropped in
 * silence. Which is which stands in llama-factory-keys.ts.
 */
import path from 'node:path';
import { PIPELINE_ERRORS } from '../errors.js';
import { checkRecipeBody } from './check-recipe.js';
import { type KeyRule, LLAMA_FACTORY_KEYS } from './llama-factory-keys.js';
import type { Recipe } from './recipe.js';
import { nearestName, type RecipeFault, throwFaults } from './recipe-faults.js';
import { parseYamlSource, type YamlSource } from './yaml-source.js';

/** One thing that the translation of a YAML left out or changed. */
export interface ImportNote {
  readonly key: string;
  /** `file:line:column`. */
  readonly where: string;
  readonly effect: 'ignored' | 'translated';
  readonly message: string;
}

/** Options of {@link importLlamaFactory}. */
export interface ImportOptions {
  /** Makes a path of the YAML absolute; default: relative to the file. */
  readonly resolvePath?: (relative: string) => string;
}

/** Tells a flat LLaMA-Factory YAML from a recipe by its top-level keys. */
export function isLlamaFactory(value: { readonly [key: string]: unknown }): boolean {
  return !('model' in value || 'train' in value) && 'model_name_or_path' in value;
}

/**
 * Translates the text of a LLaMA-Factory training YAML (stages `sft` and `pt`).
 *
 * Throws: `RECIPE_UNSUPPORTED_KEY` with the reason, `RECIPE_UNKNOWN_KEY` with the nearest known key, and
 * what a recipe's own checks throw.
 */
export function importLlamaFactory(
  text: string,
  file: string,
  options: ImportOptions = {},
): { readonly recipe: Recipe; readonly notes: readonly ImportNote[] } {
  const translation = new Translation(parseYamlSource(text, file), options);
  for (const [key, value] of Object.entries(translation.source.value)) {
    translation.take(key, value, LLAMA_FACTORY_KEYS.get(key));
  }
  translation.finish();
  throwFaults(translation.faults);
  const name = recipeName(file);
  const { source } = translation;
  const given = { name, ...translation.sections };
  const flatKey = (at: readonly (string | number)[]): readonly (string | number)[] =>
    translation.origins.get(at.slice(0, 2).join('.')) ?? [];
  const body = checkRecipeBody({
    value: given,
    locateKey: (at) => source.locateKey(flatKey(at)),
    locateValue: (at) => source.locateValue(flatKey(at)),
  });
  return { recipe: { ...body, file: path.resolve(file), text }, notes: translation.notes };
}

type ResolvePath = (relative: string) => string;

/** Keys that go to another place or take another form. */
const PLACES: {
  readonly [key: string]: {
    readonly to: readonly [section: string, key: string];
    readonly form: (value: unknown, resolvePath: ResolvePath) => unknown;
  };
} = {
  model_name_or_path: { to: ['model', 'model_name_or_path'], form: pathForm },
  dataset_dir: { to: ['data', 'dataset_dir'], form: pathForm },
  dataset: { to: ['data', 'train'], form: nameList },
  eval_dataset: { to: ['data', 'validation'], form: nameList },
  lora_target: {
    to: ['train', 'lora_target'],
    form: (value) => (value === 'all' ? value : nameList(value)),
  },
  disable_gradient_checkpointing: {
    to: ['train', 'gradient_checkpointing'],
    form: (value) => (typeof value === 'boolean' ? !value : value),
  },
};

/** Keys that take some values only; `isKept` ones go to `train` under their own name. */
const ACCEPTED: {
  readonly [key: string]: {
    readonly values: RegExp;
    readonly why: string;
    readonly isKept: boolean;
  };
} = {
  stage: {
    values: /^(sft|pt)$/,
    why: 'the stages here are sft and pt; preference stages are not supported',
    isKept: true,
  },
  finetuning_type: {
    values: /^(lora|full)$/,
    why: 'lora and full are supported; freeze is not',
    isKept: true,
  },
  do_train: { values: /^true$/, why: 'a recipe always trains', isKept: false },
  optim: { values: /^adamw_/, why: 'the optimizer is AdamW', isKept: false },
  resume_from_checkpoint: {
    values: /^(true|false)$/,
    why: 'an interrupted run goes on by itself; checkpoints of other tools cannot be gone on with',
    isKept: false,
  },
  adapter_folder: {
    values: /^$/,
    why: 'give the directory itself in adapter_name_or_path',
    isKept: false,
  },
};

/** Gathers sections, notes and faults while keys are taken one by one. */
class Translation {
  readonly source: YamlSource;
  readonly sections: { [section: string]: { [key: string]: unknown } } = {
    model: {},
    data: {},
    train: {},
  };
  readonly notes: ImportNote[] = [];
  readonly faults: RecipeFault[] = [];
  /** Flat key by `section.key`, for positions. */
  readonly origins = new Map<string, readonly string[]>();
  readonly #resolvePath: ResolvePath;

  constructor(source: YamlSource, options: ImportOptions) {
    this.source = source;
    this.#resolvePath =
      options.resolvePath ?? ((relative) => path.resolve(path.dirname(source.file), relative));
  }

  take(key: string, value: unknown, rule: KeyRule | undefined): void {
    switch (rule?.use) {
      case undefined:
        this.#unknown(key);
        break;
      case 'moved':
        this.#put(rule.to, key, value);
        break;
      case 'translated':
        this.#translate(key, value);
        break;
      case 'ignored':
        this.#note(key, 'ignored', rule.why);
        break;
      case 'unsupported':
        if (isOff(value, rule.off ?? [])) this.#note(key, 'ignored', 'off, as it is here anyway');
        else this.#refuse(key, rule.why);
        break;
    }
  }

  /** Rules that need more than one key. */
  finish(): void {
    const { value } = this.source;
    if (!('dataset' in value)) {
      this.faults.push({
        code: PIPELINE_ERRORS.RECIPE_MISSING_KEY,
        where: this.source.locateKey([]),
        message: 'dataset is missing; it must name the data sets to train on',
      });
    }
    const holdsOut = 'eval_dataset' in value || Number(value['val_size'] ?? 0) > 0;
    if ('eval_steps' in value) {
      if (holdsOut) this.#put(['train', 'eval_steps'], 'eval_steps', value['eval_steps']);
      else this.#note('eval_steps', 'ignored', 'no sample is held out');
    }
    if (this.sections['data']?.['dataset_dir'] === undefined && 'dataset' in value) {
      this.#put(['data', 'dataset_dir'], 'dataset', this.#resolvePath('data'));
    }
  }

  #translate(key: string, value: unknown): void {
    const place = PLACES[key];
    if (place !== undefined) this.#put(place.to, key, place.form(value, this.#resolvePath));
    else if (key in ACCEPTED) this.#accept(key, value);
    else if (key === 'adapter_name_or_path') this.#adapter(key, value);
    else if (key === 'quantization_bit') this.#quantization(key, value);
  }

  /** Keys of which only some values have a counterpart. */
  #accept(key: string, value: unknown): void {
    const rule = ACCEPTED[key];
    if (rule === undefined) return;
    if (!rule.values.test(String(value))) this.#refuse(key, rule.why);
    else if (rule.isKept) this.#put(['train', key], key, value);
    else this.#note(key, 'ignored', rule.why);
  }

  #adapter(key: string, value: unknown): void {
    const paths = nameList(value);
    const first: unknown = Array.isArray(paths) ? paths[0] : paths;
    if (Array.isArray(paths) && paths.length > 1) {
      this.#refuse(key, 'one adapter can be gone on with, not several; merge the others first');
    } else {
      this.#put(['train', key], key, pathForm(first, this.#resolvePath));
    }
  }

  #quantization(key: string, value: unknown): void {
    const type = { '4': 'q4_K', '8': 'q8_0' }[String(value)];
    if (type === undefined) {
      this.#refuse(key, '4 and 8 bits are supported');
    } else {
      this.#note(key, 'translated', `${String(value)} bits: the frozen base is held as ${type}`);
      this.#put(['model', 'base_type'], key, type);
    }
  }

  #put([section, name]: readonly [string, string], key: string, value: unknown): void {
    const target = this.sections[section] ?? {};
    target[name] = value;
    this.sections[section] = target;
    this.origins.set(`${section}.${name}`, [key]);
  }

  #note(key: string, effect: ImportNote['effect'], message: string): void {
    this.notes.push({ key, where: this.source.locateKey([key]), effect, message });
  }

  #refuse(key: string, why: string): void {
    this.faults.push({
      code: PIPELINE_ERRORS.RECIPE_UNSUPPORTED_KEY,
      where: this.source.locateKey([key]),
      message: `${key}: ${JSON.stringify(this.source.value[key])} is not supported: ${why}`,
    });
  }

  #unknown(key: string): void {
    const nearest = nearestName(key, [...LLAMA_FACTORY_KEYS.keys()]);
    this.faults.push({
      code: PIPELINE_ERRORS.RECIPE_UNKNOWN_KEY,
      where: this.source.locateKey([key]),
      message:
        `${key} is not a key of LLaMA-Factory` +
        (nearest === null ? '' : `; the nearest known key is ${nearest}`),
    });
  }
}

function pathForm(value: unknown, resolvePath: ResolvePath): unknown {
  return typeof value === 'string' ? resolvePath(value) : value;
}

/** Comma lists and YAML lists of names; anything else is left for the schema to refuse. */
function nameList(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  return value.split(',').flatMap((name) => (name.trim() === '' ? [] : [name.trim()]));
}

function isOff(value: unknown, off: readonly unknown[]): boolean {
  return [false, null, 0, '', 'none', ...off].includes(
    typeof value === 'object' ? JSON.stringify(value) : value,
  );
}

/** A recipe name from a file name: letters, digits, dot, dash and underscore. */
function recipeName(file: string): string {
  const base = path.basename(file).replace(/\.ya?ml$/i, '');
  const name = base.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  return name.slice(0, 64) || 'imported';
}
