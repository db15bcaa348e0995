/**
 * The `args` of a Megatron checkpoint: building them for a converted one, reading layout settings out of them, and
 * comparing them with the model's configuration.
 *
 * Converted checkpoints hold scalars and lists under the names of Megatron's command line, after the fields of the
 * Hugging Face configuration, as MindSpeed-LLM's converter writes them and its way back expects them.
 */
import { isRawObject, type RawObject } from '../config/fields.js';
import { requireTable } from '../convert/hf-layout.js';
import type { LogicalModel } from '../convert/logical-model.js';
import { type MegatronSettings, megatronLayers, paddedVocabulary } from './settings.js';

/** A plain value of an argument. */
export type ArgumentValue = string | number | boolean | null | readonly ArgumentValue[];

/** Arguments by name, in order. */
export type MegatronArguments = Readonly<Record<string, ArgumentValue>>;

/** Arguments of a converted checkpoint. */
export function buildArguments(
  model: LogicalModel,
  config: RawObject,
  settings: MegatronSettings,
): MegatronArguments {
  return {
    ...scalarsOf(config),
    ...modelArguments(model, config, settings),
    ...layoutArguments(settings),
  };
}

function scalarsOf(config: RawObject): MegatronArguments {
  const scalars: Record<string, ArgumentValue> = {};
  for (const [name, value] of Object.entries(config)) {
    if (isArgumentValue(value) && value !== null) scalars[name] = value;
  }
  return scalars;
}

function isArgumentValue(value: unknown): value is ArgumentValue {
  if (Array.isArray(value)) return value.every(isArgumentValue);
  return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}

function modelArguments(
  model: LogicalModel,
  config: RawObject,
  settings: MegatronSettings,
): MegatronArguments {
  const { sizes } = model;
  const has = (role: string, part = 'weight'): boolean =>
    model.tensors.some((tensor) => tensor.role === role && tensor.part === part);
  const padded = settings.vocabularyPadding === 'none' ? 1 : settings.vocabularyDivisibleBy;
  return {
    num_layers: megatronLayers(sizes.layers, settings),
    hidden_size: sizes.hidden,
    ffn_hidden_size: sizes.ffn,
    num_attention_heads: sizes.heads,
    group_query_attention: sizes.groups < sizes.heads,
    num_query_groups: sizes.groups,
    num_key_value_heads: sizes.groups,
    kv_channels: sizes.headDim,
    vocab_size: sizes.vocab,
    padded_vocab_size: paddedVocabulary(sizes.vocab, settings),
    make_vocab_size_divisible_by: padded,
    ...numberArguments(model.family, config),
    normalization: 'RMSNorm',
    swiglu: true,
    position_embedding_type: 'rope',
    add_bias_linear: has('o', 'bias') && has('down', 'bias'),
    add_qkv_bias: has('q', 'bias'),
    qk_layernorm: has('q_norm') || has('q_a_norm'),
    untie_embeddings_and_output_weights: !sizes.tiedEmbeddings,
    ...expertArguments(model),
    ...latentArguments(model),
  };
}

function numberArguments(family: string, config: RawObject): MegatronArguments {
  const { normEps, ropeTheta, maxPositions } = requireTable(family).numbers;
  return {
    norm_epsilon: numberOf(config, normEps),
    rotary_base: numberOf(config, ropeTheta),
    max_position_embeddings: numberOf(config, maxPositions),
  };
}

interface NumberRule {
  readonly keys: readonly string[];
  readonly absent: number;
}

function numberOf(config: RawObject, { keys, absent }: NumberRule): number {
  return statedNumber(config, keys) ?? absent;
}

/** A number of the configuration by any of its keys; transformers 5 keeps rotary ones in `rope_parameters`. */
export function statedNumber(config: RawObject, keys: readonly string[]): number | undefined {
  const rope = config['rope_parameters'];
  const nested = isRawObject(rope) ? rope : {};
  for (const key of keys) {
    for (const value of [config[key], nested[key]]) if (typeof value === 'number') return value;
  }
  return undefined;
}

function expertArguments({ sizes, tensors }: LogicalModel): MegatronArguments {
  if (sizes.experts === 0) return {};
  const sparse = new Set(tensors.filter(({ role }) => role === 'router').map(({ layer }) => layer));
  const first = [...sparse].reduce<number>(
    (least, layer) => Math.min(least, layer ?? 0),
    sizes.layers,
  );
  return {
    num_experts: sizes.experts,
    moe_ffn_hidden_size: sizes.expertFfn,
    moe_intermediate_size: sizes.expertFfn,
    first_k_dense_replace: first,
    ...(sizes.sharedFfn > 0 ? { moe_shared_expert_intermediate_size: sizes.sharedFfn } : {}),
  };
}

function latentArguments({ sizes: { latent } }: LogicalModel): MegatronArguments {
  if (latent === undefined) return {};
  return {
    multi_latent_attention: true,
    ...(latent.queryRank === null ? {} : { q_lora_rank: latent.queryRank }),
    kv_lora_rank: latent.keyValueRank,
    qk_head_dim: latent.plainHeadDim,
    qk_pos_emb_head_dim: latent.rotaryHeadDim,
    v_head_dim: latent.valueHeadDim,
  };
}

function layoutArguments(settings: MegatronSettings): MegatronArguments {
  const optional: Record<string, ArgumentValue> = {};
  if (settings.layersPerVirtualStage !== null) {
    optional['num_layers_per_virtual_pipeline_stage'] = settings.layersPerVirtualStage;
  }
  if (settings.numLayerList !== null) optional['num_layer_list'] = settings.numLayerList.join(',');
  if (settings.noopLayers.length > 0) optional['noop_layers'] = settings.noopLayers.join(',');
  if (settings.schedule === 'dualpipev') optional['schedules_method'] = 'dualpipev';
  return {
    use_mcore_models: settings.spec === 'local' || settings.spec === 'transformer_engine',
    transformer_impl: settings.spec === 'transformer_engine' ? 'transformer_engine' : 'local',
    tensor_model_parallel_size: settings.tensorParallel,
    pipeline_model_parallel_size: settings.pipelineParallel,
    expert_model_parallel_size: settings.expertParallel,
    moe_grouped_gemm: settings.groupedGemm,
    moe_tp_extend_ep: settings.expertsOverTensorRanks,
    mla_mm_split: settings.splitLatent,
    ...optional,
  };
}

/** Arguments whose value is a float whatever its digits: Python keeps the two kinds apart. */
export const FLOAT_ARGUMENTS: ReadonlySet<string> = new Set([
  'norm_epsilon',
  'rms_norm_eps',
  'layer_norm_epsilon',
  'layernorm_epsilon',
  'rope_theta',
  'rope_ratio',
  'initializer_range',
  'attention_dropout',
  'hidden_dropout',
  'router_aux_loss_coef',
  'routed_scaling_factor',
]);

/** Layout settings as arguments state them; absent where they do not. */
export function settingsOfArguments(args: MegatronArguments): Partial<MegatronSettings> {
  const found: { -readonly [K in keyof MegatronSettings]?: MegatronSettings[K] } = {};
  const tensorParallel = count(args['tensor_model_parallel_size']);
  const pipelineParallel = count(args['pipeline_model_parallel_size']);
  const expertParallel = count(args['expert_model_parallel_size']);
  if (tensorParallel !== null) found.tensorParallel = tensorParallel;
  if (pipelineParallel !== null) found.pipelineParallel = pipelineParallel;
  if (expertParallel !== null) found.expertParallel = expertParallel;
  const stage = count(args['num_layers_per_virtual_pipeline_stage']);
  if (stage !== null) found.layersPerVirtualStage = stage;
  const list = numberList(args['num_layer_list']);
  if (list !== null) found.numLayerList = list;
  const noop = numberList(args['noop_layers']);
  if (noop !== null) found.noopLayers = [...noop].sort((a, b) => a - b);
  if (args['schedules_method'] === 'dualpipev') found.schedule = 'dualpipev';
  if (args['moe_tp_extend_ep'] === true) found.expertsOverTensorRanks = true;
  return found;
}

function count(value: ArgumentValue | undefined): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : null;
}

/** A list of numbers, or their text parted by commas; null for none. */
function numberList(value: ArgumentValue | undefined): readonly number[] | null {
  let items: readonly ArgumentValue[] = [];
  if (typeof value === 'string') items = value.split(',').filter((item) => item.trim() !== '');
  else if (Array.isArray(value)) items = value;
  const numbers = items.map(Number);
  return numbers.length > 0 && numbers.every(Number.isSafeInteger) ? numbers : null;
}
