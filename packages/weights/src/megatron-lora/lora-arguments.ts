/** Rank, alpha and target modules in the arguments of a Megatron checkpoint. */
import { TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../errors.js';
import type { MegatronArguments } from '../megatron/arguments.js';

/** What the command line of a LoRA training stated. */
export interface LoraArguments {
  readonly rank: number;
  readonly alpha: number;
}

/**
 * Reads `lora_r` and `lora_alpha`; `stated` wins over them.
 *
 * Throws: `WEIGHTS_ADAPTER_CONFIG` when neither says.
 */
export function loraArguments(
  args: MegatronArguments,
  stated: Partial<LoraArguments>,
  where: string,
): LoraArguments {
  return {
    rank: positive(stated.rank ?? args['lora_r'], 'lora_r', where),
    alpha: positive(stated.alpha ?? args['lora_alpha'], 'lora_alpha', where),
  };
}

function positive(value: unknown, field: string, where: string): number {
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_CONFIG,
    `${where}: the checkpoint's arguments do not state ${field}`,
    {
      details: { file: where, field },
      hint: 'Give the rank and alpha of the training (--lora-r, --lora-alpha).',
    },
  );
}

/** Arguments of a checkpoint that holds an adapter. */
export function withLoraArguments(
  args: MegatronArguments,
  adapter: LoraArguments & { readonly targetModules: readonly string[] },
): MegatronArguments {
  return {
    ...args,
    lora_target_modules: adapter.targetModules,
    lora_r: adapter.rank,
    lora_alpha: adapter.alpha,
  };
}
