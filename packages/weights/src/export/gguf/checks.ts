/**
 * What llama.cpp would compute otherwise than the model says: refused in words instead of written.
 *
 * Source: llama.cpp `src/models/*.cpp`, whose graphs have these choices built in.
 */
import { TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../../errors.js';
import { GGUF_ARCHITECTURES, type GgufArchitecture } from './architectures.js';
import { leadingDense } from './expert-fields.js';
import type { RotaryFacts } from './rotary.js';
import type { HparamInput } from './values.js';

/** Throws: `WEIGHTS_EXPORT_UNSUPPORTED`, `WEIGHTS_UNSUPPORTED_FEATURE`. */
export function refuseInexpressible(input: HparamInput, rotary: RotaryFacts): void {
  const facts = GGUF_ARCHITECTURES[input.architecture];
  if (facts === undefined) {
    throw inexpressible(
      input,
      `is stored under ${input.architecture}, which is not written; known: ${Object.keys(GGUF_ARCHITECTURES).join(', ')}`,
    );
  }
  checkBiases(input, facts);
  checkRotary(input, { rotary, facts });
  checkLayers(input, facts);
  checkActivation(input);
  checkGemma(input, facts);
}

function checkBiases(input: HparamInput, { biases }: GgufArchitecture): void {
  const extra = input.model.tensors.find(
    ({ part, role }) => part === 'bias' && role !== 'router_bias' && !biases.includes(role),
  );
  if (extra === undefined) return;
  const allowed = biases.length === 0 ? 'none' : biases.join(', ');
  throw inexpressible(
    input,
    `has ${extra.id}; llama.cpp does not add it for ${input.architecture} (biases it adds: ${allowed})`,
  );
}

function checkRotary(
  input: HparamInput,
  { rotary, facts }: { readonly rotary: RotaryFacts; readonly facts: GgufArchitecture },
): void {
  const type = rotary.scaling?.type;
  if (type === 'divisors' && facts.takesFrequencyDivisors !== true) {
    throw inexpressible(input, 'uses llama3 rope scaling, which GGUF keeps for llama only');
  }
  if (type === 'longrope' && facts.takesLongrope !== true) {
    throw inexpressible(input, 'uses longrope scaling, which GGUF keeps for phi3 only');
  }
}

function checkLayers(input: HparamInput, facts: GgufArchitecture): void {
  const { sizes } = input.model;
  if (facts.layers !== undefined && !facts.layers.includes(sizes.layers)) {
    throw inexpressible(
      input,
      `has ${sizes.layers} layers; llama.cpp tells from their number how positions enter and knows ${facts.layers.join(' and ')}`,
    );
  }
  checkQueryRank(input);
  if (sizes.experts === 0) return;
  const dense = leadingDense(input);
  const routed = input.model.tensors.filter((t) => t.role === 'router' && t.part === 'weight');
  const isLeading = dense + routed.length === sizes.layers;
  if (isLeading && (dense === 0 || facts.takesLeadingDense === true)) return;
  throw inexpressible(
    input,
    `has experts in ${routed.length} of ${sizes.layers} layers; llama.cpp computes ${input.architecture} with experts in all layers${facts.takesLeadingDense === true ? ' after the first dense ones' : ''}`,
  );
}

/** Numbers of layers by which llama.cpp tells that queries are not compressed (DeepSeek-V2-Lite). */
const PLAIN_QUERY_LAYERS: readonly number[] = [26, 27];

function checkQueryRank(input: HparamInput): void {
  const { latent, layers } = input.model.sizes;
  if (latent === undefined) return;
  const isPlain = latent.queryRank === null;
  if (isPlain === PLAIN_QUERY_LAYERS.includes(layers)) return;
  throw inexpressible(
    input,
    `has ${layers} layers and queries that are ${isPlain ? 'not ' : ''}compressed; llama.cpp takes queries as not compressed with ${PLAIN_QUERY_LAYERS.join(' or ')} layers, and only then`,
  );
}

const ACTIVATIONS = {
  silu: ['silu', 'swish'],
  gelu_tanh: ['gelu_pytorch_tanh', 'gelu', 'gelu_fast', 'gelu_new'],
} as const;

function checkActivation({ fields, table }: HparamInput): void {
  const allowed: readonly string[] = ACTIVATIONS[table.computes.activation];
  const key = fields.has('hidden_activation') ? 'hidden_activation' : 'hidden_act';
  const stated = fields.text(key);
  if (stated === null || allowed.includes(stated)) return;
  throw fields.unsupported(key, `is '${stated}'; llama.cpp computes ${allowed[0]} here`);
}

/** Layers of the largest Gemma 2 and 3, by which llama.cpp tells that queries are scaled otherwise. */
const LARGEST_GEMMA: readonly number[] = [46, 62];

function checkGemma({ fields, model, architecture }: HparamInput, facts: GgufArchitecture): void {
  if (facts.windowPeriod === undefined) return;
  const { layers, hidden, heads, headDim } = model.sizes;
  const wanted = LARGEST_GEMMA.includes(layers) ? Math.floor(hidden / heads) : headDim;
  const scalar = fields.positiveOr('query_pre_attn_scalar', 256);
  if (scalar !== wanted) {
    throw fields.unsupported(
      'query_pre_attn_scalar',
      `is ${scalar}; llama.cpp scales queries of a ${architecture} of ${layers} layers by ${wanted}`,
    );
  }
  const pattern = fields.sizeOr('sliding_window_pattern', facts.windowPeriod);
  const types = fields.raw['layer_types'];
  const isRegular =
    !Array.isArray(types) ||
    types.every((type, i) => {
      const isFull = (i + 1) % (facts.windowPeriod ?? 1) === 0;
      return type === (isFull ? 'full_attention' : 'sliding_attention');
    });
  if (pattern === facts.windowPeriod && isRegular) return;
  throw fields.unsupported(
    Array.isArray(types) ? 'layer_types' : 'sliding_window_pattern',
    `differs from llama.cpp's: every layer but each ${facts.windowPeriod}th looks through the window`,
  );
}

function inexpressible({ table, architecture }: HparamInput, what: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_EXPORT_UNSUPPORTED,
    `The ${table.name} model ${what}`,
    { details: { family: table.name, architecture } },
  );
}
