/**
 * `adapter_config.json` ⇄ {@link AdapterConfig}.
 *
 * Every setting that would change the arithmetic is either read or refused by name, because an adapter that is
 * silently read as plain LoRA gives a model that is almost right.
 * Source: PEFT 0.21 `peft/tuners/lora/config.py`; its variants are recognised to be refused.
 */
import { TuneyardError } from '@tuneyard/core';
import { FieldReader, isIntegerWithin, isRawObject, type RawObject } from '../config/fields.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import type { AdapterConfig } from './adapter.js';

/** Largest rank that is accepted: that of the widest matrices known. */
const MAX_RANK = 65_536;

/** Settings that must be absent, null, false or empty, and what each would do. */
const REFUSED: { readonly [key: string]: string } = {
  use_qalora: 'QALoRA pools the inputs of A',
  fan_in_fan_out: 'it stores weights transposed, as GPT-2 does and no family here',
  trainable_token_indices: 'it replaces rows of the embedding',
  target_parameters: 'it adapts parameters outside linear modules',
  layer_replication: 'it repeats layers of the base model',
  alora_invocation_tokens: 'activated LoRA works on some positions only',
  use_bdlora: 'BD-LoRA uses block-diagonal factors',
  arrow_config: 'Arrow routes between adapters',
  kasa_config: 'KaSA inserts a diagonal and truncates the base',
  velora_config: 'VeLoRA changes the projection of A',
  monteclora_config: 'MonteCLoRA samples around the factors',
};

/** Settings beyond plain LoRA that merging reads, and what each does. */
const BEYOND_PLAIN: { readonly [key: string]: string } = {
  use_dora: 'DoRA scales rows by learned magnitudes',
  lora_bias: 'it adds learned biases to B',
  modules_to_save: 'it replaces whole modules',
};

/** Initialisations that leave the base weights alone; the others (PiSSA, OLoRA, LoftQ, …) subtract from them. */
const HARMLESS_INITS: ReadonlySet<unknown> = new Set([
  undefined,
  null,
  true,
  false,
  'gaussian',
  'eva',
  'orthogonal',
]);

/** Which biases of the base an adapter trained. */
export type TrainedBiases = 'none' | 'all' | 'lora_only';

/** The settings of an adapter file. */
export interface ParsedPeftConfig {
  readonly config: AdapterConfig;
  /** Target modules were a pattern whose meaning only the tensors tell. */
  readonly hasTargetPattern: boolean;
  readonly dora: boolean;
  readonly bias: TrainedBiases;
  readonly factorBias: boolean;
  /** Last parts of the paths of modules that are stored whole. */
  readonly modulesToSave: readonly string[];
  readonly keepsTie: boolean;
}

/**
 * Parses the object of an `adapter_config.json`.
 *
 * Throws: `WEIGHTS_ADAPTER_UNSUPPORTED` for other methods; `WEIGHTS_ADAPTER_CONFIG` for bad fields.
 */
export function parsePeftConfig(raw: RawObject, where: string): ParsedPeftConfig {
  refuseOtherMethods(raw, where);
  const fields = new FieldReader(raw, where);
  const rank = asAdapterError(() => fields.sizeOr('r', 8));
  if (rank > MAX_RANK) throw badField(where, 'r', `a rank up to ${MAX_RANK}`);
  const targets = raw['target_modules'] ?? [];
  if (typeof targets !== 'string' && !isTextList(targets)) {
    throw badField(where, 'target_modules', 'a text or a list of texts');
  }
  const dropout = raw['lora_dropout'] ?? 0;
  if (typeof dropout !== 'number' || !(dropout >= 0 && dropout < 1)) {
    throw badField(where, 'lora_dropout', 'a number from 0 to below 1');
  }
  const modulesToSave = raw['modules_to_save'] ?? [];
  if (!isTextList(modulesToSave)) throw badField(where, 'modules_to_save', 'a list of texts');
  return {
    hasTargetPattern: typeof targets === 'string',
    dora: asAdapterError(() => fields.flag('use_dora', false)),
    bias: trainedBiases(raw, where),
    factorBias: asAdapterError(() => fields.flag('lora_bias', false)),
    modulesToSave: [...modulesToSave],
    keepsTie: asAdapterError(() => fields.flag('ensure_weight_tying', false)),
    config: {
      rank,
      alpha: asAdapterError(() => fields.positiveOr('lora_alpha', 8)),
      rslora: asAdapterError(() => fields.flag('use_rslora', false)),
      dropout,
      targetModules: typeof targets === 'string' ? [] : [...targets].sort(),
      baseModel: asAdapterError(() => fields.text('base_model_name_or_path')),
      rankPattern: parsePattern(raw, where, 'rank_pattern'),
      alphaPattern: parsePattern(raw, where, 'alpha_pattern'),
    },
  };
}

/**
 * Builds the object that PEFT writes for the settings.
 *
 * The key set is that of PEFT 0.21; older versions from 0.15 on drop the keys they do not know.
 * `peft_version` stays null, which PEFT reads as "not stated": it did not write the file.
 * Checked against: adapter_config.json as PEFT 0.21.2 saves it.
 */
export function peftConfigObject(config: AdapterConfig): Record<string, unknown> {
  return {
    alora_invocation_tokens: null,
    alpha_pattern: { ...config.alphaPattern },
    arrow_config: null,
    auto_mapping: null,
    base_model_name_or_path: config.baseModel,
    bias: 'none',
    corda_config: null,
    ensure_weight_tying: false,
    eva_config: null,
    exclude_modules: null,
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    kasa_config: null,
    layer_replication: null,
    layers_pattern: null,
    layers_to_transform: null,
    loftq_config: {},
    lora_alpha: config.alpha,
    lora_bias: false,
    lora_dropout: config.dropout,
    lora_ga_config: null,
    megatron_config: null,
    megatron_core: 'megatron.core',
    modules_to_save: null,
    monteclora_config: null,
    peft_type: 'LORA',
    peft_version: null,
    qalora_group_size: 16,
    r: config.rank,
    rank_pattern: { ...config.rankPattern },
    revision: null,
    target_modules: [...config.targetModules].sort(),
    target_parameters: null,
    task_type: 'CAUSAL_LM',
    trainable_token_indices: null,
    use_bdlora: null,
    use_dora: false,
    use_qalora: false,
    use_rslora: config.rslora,
    velora_config: null,
  };
}

function refuseOtherMethods(raw: RawObject, where: string): void {
  const type = raw['peft_type'];
  if (type !== 'LORA') throw unsupported(where, 'peft_type', `is ${show(type)}; only LORA is read`);
  for (const [key, what] of Object.entries(REFUSED)) {
    if (!isOff(raw[key])) throw unsupported(where, key, `is set: ${what}`);
  }
  const init = raw['init_lora_weights'];
  if (!HARMLESS_INITS.has(init)) {
    throw unsupported(
      where,
      'init_lora_weights',
      `is ${show(init)}, which changes the base weights`,
      'Save the adapter in PEFT with path_initial_model_for_weight_conversion, which turns it into plain LoRA.',
    );
  }
}

/**
 * Refuses what plain LoRA on linear modules does not have; training and generation compute nothing else.
 *
 * Throws: `WEIGHTS_ADAPTER_UNSUPPORTED`.
 */
export function requirePlainLora(raw: RawObject, where: string): void {
  const hint = 'Merge the adapter into its base first (tuneyard merge), and use the merged model.';
  const bias = raw['bias'] ?? 'none';
  if (bias !== 'none') {
    throw unsupported(where, 'bias', `is ${show(bias)}: it replaces biases of the base`, hint);
  }
  for (const [key, what] of Object.entries(BEYOND_PLAIN)) {
    if (!isOff(raw[key])) throw unsupported(where, key, `is set: ${what}`, hint);
  }
}

function trainedBiases(raw: RawObject, where: string): TrainedBiases {
  const bias = raw['bias'] ?? 'none';
  if (bias === 'none' || bias === 'all' || bias === 'lora_only') return bias;
  throw badField(where, 'bias', 'none, all or lora_only');
}

function isOff(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isRawObject(value) && Object.keys(value).length === 0;
}

function parsePattern(raw: RawObject, where: string, key: string): Record<string, number> {
  const value = raw[key] ?? {};
  if (!isRawObject(value)) throw badField(where, key, 'an object of numbers');
  const isRank = key === 'rank_pattern';
  const pattern: Record<string, number> = {};
  for (const [name, number] of Object.entries(value)) {
    const isSound =
      typeof number === 'number' && Number.isFinite(number) && number > 0 && name !== '__proto__';
    if (!isSound || (isRank && !isIntegerWithin(number, 1, MAX_RANK))) {
      throw badField(where, `${key}.${name}`, isRank ? 'a rank' : 'a number above 0');
    }
    pattern[name] = number;
  }
  return pattern;
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

/** Field checks are shared with model configurations; only the code differs. */
function asAdapterError<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof TuneyardError && error.code === WEIGHTS_ERRORS.WEIGHTS_CONFIG_FIELD) {
      throw new TuneyardError(WEIGHTS_ERRORS.WEIGHTS_ADAPTER_CONFIG, error.message, {
        details: error.details,
        cause: error,
      });
    }
    throw error;
  }
}

function badField(where: string, field: string, allowed: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_CONFIG,
    `${where}: ${field} must be ${allowed}`,
    { details: { file: where, field } },
  );
}

function unsupported(where: string, field: string, what: string, hint?: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_UNSUPPORTED,
    `${where}: ${field} ${what}`,
    { details: { file: where, field }, ...(hint === undefined ? {} : { hint }) },
  );
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
