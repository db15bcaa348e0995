/** The list of parameters that a configuration implies: names, shapes and roles, with no file in sight. */
import type { LayerModule } from '../families/family.js';
import { familyOf } from '../families/known-families.js';
import type { ModelConfig } from './model-config.js';

/** What a parameter is for. */
export type ParameterRole = 'embedding' | 'head' | 'linear' | 'norm' | 'bias';

/** One parameter of a model. */
export interface ParameterSpec {
  /** Hugging Face name, for example `model.layers.0.self_attn.q_proj.weight`. */
  readonly name: string;
  /** Hugging Face order: [out, in] or [n]. */
  readonly shape: readonly number[];
  readonly role: ParameterRole;
  /** Layer index, or null outside the layers. */
  readonly layer: number | null;
  /** `q_proj`, `input_layernorm`, `embed_tokens`, … */
  readonly module: string;
}

/** A parameter with the facts that GGUF needs. */
export interface MappedParameter extends ParameterSpec {
  /** GGUF tensor name. */
  readonly ggufName: string;
  /** Set when GGUF stores the rows in interleaved rotary order: how many heads the rows form. */
  readonly interleavedHeads: number | null;
}

/**
 * Lists the parameters in the order of the Hugging Face state dict; no `lm_head` when embeddings are tied.
 */
export function parameterTable(config: ModelConfig): readonly ParameterSpec[] {
  return mappedParameters(config).map(({ name, shape, role, layer, module }) => ({
    name,
    shape,
    role,
    layer,
    module,
  }));
}

/** Lists the parameters with their GGUF names, same order as {@link parameterTable}. */
export function mappedParameters(config: ModelConfig): readonly MappedParameter[] {
  const { hiddenSize, vocabSize } = config;
  const outside = { layer: null, interleavedHeads: null } as const;
  const parameters: MappedParameter[] = [
    {
      ...outside,
      name: 'model.embed_tokens.weight',
      ggufName: 'token_embd.weight',
      shape: [vocabSize, hiddenSize],
      role: 'embedding',
      module: 'embed_tokens',
    },
  ];
  for (let layer = 0; layer < config.numHiddenLayers; layer++) {
    for (const module of familyOf(config.family).layer) {
      parameters.push(...moduleParameters(config, module, layer));
    }
  }
  parameters.push({
    ...outside,
    name: 'model.norm.weight',
    ggufName: 'output_norm.weight',
    shape: [hiddenSize],
    role: 'norm',
    module: 'norm',
  });
  if (!config.tieWordEmbeddings) {
    parameters.push({
      ...outside,
      name: 'lm_head.weight',
      ggufName: 'output.weight',
      shape: [vocabSize, hiddenSize],
      role: 'head',
      module: 'lm_head',
    });
  }
  return parameters;
}

function moduleParameters(
  config: ModelConfig,
  module: LayerModule,
  layer: number,
): MappedParameter[] {
  const shape = module.shape(config);
  const common = {
    layer,
    module: module.module,
    interleavedHeads: interleavedHeads(config, module),
  };
  const hf = `model.layers.${layer}.${module.path}`;
  const gguf = `blk.${layer}.${module.gguf}`;
  const weight: MappedParameter = {
    ...common,
    name: `${hf}.weight`,
    ggufName: `${gguf}.weight`,
    shape,
    role: module.role,
  };
  if (module.bias === null || !config[module.bias]) return [weight];
  return [
    weight,
    {
      ...common,
      name: `${hf}.bias`,
      ggufName: `${gguf}.bias`,
      shape: shape.slice(0, 1),
      role: 'bias',
    },
  ];
}

function interleavedHeads(config: ModelConfig, module: LayerModule): number | null {
  if (module.rotary === null || !familyOf(config.family).ggufInterleavesRotary) return null;
  return module.rotary === 'query' ? config.numAttentionHeads : config.numKeyValueHeads;
}
