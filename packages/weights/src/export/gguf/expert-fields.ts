/** Metadata of mixtures of experts. Source: llama.cpp `conversion/{llama,qwen,deepseek}.py`. */
import type { FieldReader } from '../../config/fields.js';
import { GGUF_ARCHITECTURES } from './architectures.js';
import { bool, f32, type HparamInput, type MetadataField, u32 } from './values.js';

/** Codes of `expert_gating_func`. */
export const GATING = { softmax: 1, sigmoid: 2 } as const;

/** The fields, empty without experts. Throws: `WEIGHTS_CONFIG_FIELD`, `WEIGHTS_UNSUPPORTED_FEATURE`. */
export function expertFields(input: HparamInput): MetadataField[] {
  const { fields, model, table, architecture } = input;
  const { sizes } = model;
  if (table.experts === null || sizes.experts === 0) return [];
  const { keys, absent } = table.experts.perToken;
  const key = keys.find((candidate) => fields.has(candidate)) ?? keys[0] ?? '';
  const used = fields.sizeOr(key, typeof absent === 'number' ? absent : null) ?? fields.size(key);
  checkExpertWeights(fields, architecture);
  const isLlama = architecture === 'llama';
  return [
    ['expert_count', u32(sizes.experts)],
    ['expert_used_count', u32(used)],
    ...(isLlama ? [] : ([['expert_feed_forward_length', u32(sizes.expertFfn)]] as const)),
    ...sharedFields(input),
    ...(countsShared(architecture) ? deepseekFields(input) : []),
  ];
}

/** DeepSeek, and GLM-4.5 after it, count shared experts instead of stating their size. */
function countsShared(architecture: string): boolean {
  return architecture === 'deepseek2' || architecture === 'glm4moe';
}

function sharedFields({ model, architecture }: HparamInput): MetadataField[] {
  const { sharedFfn } = model.sizes;
  if (sharedFfn === 0 || countsShared(architecture)) return [];
  return [['expert_shared_feed_forward_length', u32(sharedFfn)]];
}

/** llama.cpp has it fixed whether the weights of the chosen experts are made to sum to one. */
function checkExpertWeights(fields: FieldReader, architecture: string): void {
  const rule = GGUF_ARCHITECTURES[architecture]?.expertWeights;
  if (architecture === 'llama' || rule === 'stated' || rule === undefined) return;
  const wanted = rule === 'normalized';
  if (fields.flag('norm_topk_prob', false) === wanted) return;
  throw fields.unsupported(
    'norm_topk_prob',
    `is ${!wanted}; llama.cpp computes ${architecture} as if it were ${wanted}`,
  );
}

function deepseekFields({ fields, model, table }: HparamInput): MetadataField[] {
  const isSigmoid = fields.text('scoring_func') ?? (table.experts?.routerBias ? 'sigmoid' : null);
  const groups = fields.sizeOr('n_group', null);
  const groupsUsed = fields.sizeOr('topk_group', null);
  const count = model.sizes.sharedFfn / model.sizes.expertFfn;
  return [
    ['expert_shared_count', u32(count)],
    ['leading_dense_block_count', u32(leadingDense({ model }))],
    ['expert_weights_scale', f32(fields.positiveOr('routed_scaling_factor', 1))],
    [
      'expert_weights_norm',
      bool(fields.flag('norm_topk_prob', table.experts?.routerBias ?? false)),
    ],
    ['expert_gating_func', u32(isSigmoid === 'sigmoid' ? GATING.sigmoid : GATING.softmax)],
    ...(groups === null ? [] : ([['expert_group_count', u32(groups)]] as const)),
    ...(groupsUsed === null ? [] : ([['expert_group_used_count', u32(groupsUsed)]] as const)),
  ];
}

/** Number of layers before the first with experts. */
export function leadingDense({ model }: Pick<HparamInput, 'model'>): number {
  const routed = new Set(model.tensors.filter((t) => t.role === 'router').map((t) => t.layer));
  for (let layer = 0; layer < model.sizes.layers; layer++) if (routed.has(layer)) return layer;
  return model.sizes.layers;
}
