/** Compares what a Megatron checkpoint says of itself with the configuration that its weights are to be read by. */
import { TuneyardError } from '@tuneyard/core';
import type { RawObject } from '../config/fields.js';
import { requireTable } from '../convert/hf-layout.js';
import type { LogicalModel } from '../convert/logical-model.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import { type ArgumentValue, type MegatronArguments, statedNumber } from './arguments.js';

/** Two values that should be one. */
export interface ArgumentContradiction {
  readonly argument: string;
  readonly checkpoint: ArgumentValue;
  readonly config: ArgumentValue;
}

/** Every argument that contradicts the configuration; arguments that are not there contradict nothing. */
export function crossCheckArguments(
  args: MegatronArguments,
  model: LogicalModel,
  config: RawObject,
): readonly ArgumentContradiction[] {
  const expected: Record<string, ArgumentValue> = {
    ...sizeExpectations(args, model),
    ...numberExpectations(model.family, config),
  };
  const contradictions: ArgumentContradiction[] = [];
  for (const [argument, wanted] of Object.entries(expected)) {
    const found = args[argument];
    if (found === undefined || found === null || same(found, wanted)) continue;
    contradictions.push({ argument, checkpoint: found, config: wanted });
  }
  const padded = args['padded_vocab_size'];
  if (typeof padded === 'number' && padded > 0 && padded < model.sizes.vocab) {
    contradictions.push({
      argument: 'padded_vocab_size',
      checkpoint: padded,
      config: model.sizes.vocab,
    });
  }
  return contradictions;
}

/** Throws: `WEIGHTS_MEGATRON_MISMATCH` naming every contradiction with both values. */
export function assertArgumentsAgree(
  args: MegatronArguments,
  model: LogicalModel,
  config: RawObject,
): void {
  const found = crossCheckArguments(args, model, config);
  if (found.length === 0) return;
  const each = found.map(
    ({ argument, checkpoint, config: wanted }) =>
      `${argument} is ${String(checkpoint)} in the checkpoint and ${String(wanted)} by the configuration`,
  );
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_MEGATRON_MISMATCH,
    `The Megatron checkpoint is of another model: ${each.join('; ')}`,
    {
      details: { arguments: found.map(({ argument }) => argument) },
      hint: 'Give the config.json of the model that was trained.',
    },
  );
}

function sizeExpectations(args: MegatronArguments, model: LogicalModel): MegatronArguments {
  const { sizes, tensors } = model;
  const noop = args['noop_layers'];
  const noopCount =
    typeof noop === 'string'
      ? noop.split(',').filter((item) => item.trim() !== '').length
      : Array.isArray(noop)
        ? noop.length
        : 0;
  const expected: Record<string, ArgumentValue> = {
    num_layers: sizes.layers + noopCount,
    hidden_size: sizes.hidden,
    num_attention_heads: sizes.heads,
  };
  if (tensors.some(({ role }) => role === 'gate')) expected['ffn_hidden_size'] = sizes.ffn;
  if (tensors.some(({ role }) => role === 'k')) {
    expected['kv_channels'] = sizes.headDim;
    if (args['group_query_attention'] === true) expected['num_query_groups'] = sizes.groups;
  }
  if (sizes.experts > 0) {
    expected['num_experts'] = sizes.experts;
    expected['moe_ffn_hidden_size'] = sizes.expertFfn;
  }
  expected['untie_embeddings_and_output_weights'] = !sizes.tiedEmbeddings;
  return expected;
}

function numberExpectations(family: string, config: RawObject): MegatronArguments {
  const { normEps, ropeTheta } = requireTable(family).numbers;
  const eps = statedNumber(config, normEps.keys);
  const theta = 'timesKey' in ropeTheta ? undefined : statedNumber(config, ropeTheta.keys);
  return {
    ...(eps === undefined ? {} : { norm_epsilon: eps }),
    ...(theta === undefined ? {} : { rotary_base: theta }),
  };
}

function same(a: ArgumentValue, b: ArgumentValue): boolean {
  if (typeof a === 'number' && typeof b === 'number') {
    return Math.abs(a - b) <= 1e-6 * Math.max(Math.abs(a), Math.abs(b));
  }
  return a === b;
}
