/** Options and steps that several commands on models share. */
import type { Command, Option } from 'commander';
import { Option as CommandOption } from 'commander';
import { integerOption, numberOption, repeatedOption } from './define-command.js';

/** How a model is opened. */
export interface ModelFlags {
  readonly adapter?: string;
  readonly baseType?: 'auto' | 'f32' | 'bf16' | 'q8_0' | 'q4_K';
  readonly threads?: number;
}

/** How tokens are chosen. */
export interface SamplingFlags {
  readonly maxNewTokens?: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
}

/** Adds `--adapter`, `--base-type` and `--threads`. */
export function addModelOptions(command: Command): Command {
  return command
    .option('--adapter <dir>', 'LoRA adapter to put on top of the model')
    .addOption(baseTypeOption())
    .option(
      '--threads <n>',
      'threads to compute with (default: the free cores, one for a small model)',
      atLeastOne,
    );
}

/** Adds the options of sampling. */
export function addSamplingOptions(command: Command): Command {
  return command
    .option('--max-new-tokens <n>', 'longest answer, in tokens (default: 256)', atLeastOne)
    .option(
      '--temperature <t>',
      'randomness; 0 always takes the likeliest token',
      numberOption({ min: 0, max: 100 }),
    )
    .option(
      '--top-p <p>',
      'sample from the likeliest tokens that hold this share',
      numberOption({ min: 0, max: 1 }),
    )
    .option('--top-k <k>', 'sample from this many likeliest tokens', integerOption({ min: 0 }))
    .option(
      '--min-p <p>',
      'leave out tokens below this share of the likeliest',
      numberOption({ min: 0, max: 1 }),
    )
    .option(
      '--repetition-penalty <x>',
      'above 1 makes repeating less likely',
      numberOption({ min: 0.01, max: 100 }),
    )
    .option('--seed <n>', 'the same seed gives the same answer', integerOption({ min: 0 }))
    .option('--stop <text>', 'end the answer before this text (repeatable)', repeatedOption);
}

const atLeastOne = integerOption({ min: 1 });

function baseTypeOption(): Option {
  return new CommandOption(
    '--base-type <type>',
    'hold weights in this type (default: as stored)',
  ).choices(['auto', 'f32', 'bf16', 'q8_0', 'q4_K']);
}
