/** Options of `tuneyard convert`; names of Megatron's and ModelLink's converters are taken beside the short ones. */
import type { MegatronSpec, VocabularyPadding } from '@tuneyard/weights';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { integerOption } from '../define-command.js';

/** What the user asked for. */
export interface ConvertFlags {
  readonly to: 'hf' | 'megatron';
  readonly config?: string;
  readonly tp?: number;
  readonly pp?: number;
  readonly ep?: number;
  readonly targetTensorParallelSize?: number;
  readonly targetPipelineParallelSize?: number;
  readonly targetExpertParallelSize?: number;
  readonly spec?: MegatronSpec;
  readonly layersPerVirtualStage?: number;
  readonly numLayersPerVirtualPipelineStage?: number;
  readonly numLayerList?: readonly number[];
  readonly noopLayers?: readonly number[];
  readonly moeGroupedGemm?: boolean;
  readonly dualpipev?: boolean;
  readonly mlaMmSplit?: boolean;
  readonly moeTpExtendEp?: boolean;
  readonly vocabPadding?: VocabularyPadding;
  readonly makeVocabSizeDivisibleBy?: number;
  readonly separateGate?: boolean;
  readonly iteration?: string;
  readonly dtype: 'keep' | 'f32' | 'f16' | 'bf16';
  readonly naming: 'shards' | 'layers';
  readonly maxShardSize: number;
  readonly dryRun?: boolean;
  readonly verify?: boolean;
  readonly memory: number;
  readonly workers?: number;
  readonly overwrite?: boolean;
}

/** Adds the options. */
export function addConvertOptions(command: Command): Command {
  const count = integerOption({ min: 1 });
  return addLayoutOptions(command, count)
    .option(
      '--iteration <n>',
      'which iteration of a Megatron source (default: as its tracker says)',
    )
    .addOption(
      new Option('--dtype <type>', 'element type to write')
        .choices(['keep', 'f32', 'f16', 'bf16'])
        .default('keep'),
    )
    .addOption(
      new Option('--naming <how>', 'Hugging Face files: by size, or one for each layer')
        .choices(['shards', 'layers'])
        .default('shards'),
    )
    .option('--max-shard-size <size>', 'largest safetensors file', sizeOption, 5e9)
    .option('--dry-run', 'show what would be written, and write nothing')
    .option('--verify', 'read everything back and compare with the source')
    .option('--memory <size>', 'memory to stay within, such as 250M or 2G', sizeOption, 250e6)
    .option('--workers <n>', 'threads (default: one per core)', integerOption({ min: 0, max: 64 }))
    .option('--overwrite', 'replace files that are there');
}

function addLayoutOptions(command: Command, count: (text: string) => number): Command {
  return command
    .addOption(
      new Option('--to <form>', 'form of the target')
        .choices(['hf', 'megatron'])
        .makeOptionMandatory(),
    )
    .option('--config <dir>', 'directory of config.json and tokenizer (default: the source)')
    .option('--tp <n>', 'tensor parallel size', count)
    .option('--pp <n>', 'pipeline parallel size', count)
    .option('--ep <n>', 'expert parallel size', count)
    .addOption(new Option('--target-tensor-parallel-size <n>').argParser(count).hideHelp())
    .addOption(new Option('--target-pipeline-parallel-size <n>').argParser(count).hideHelp())
    .addOption(new Option('--target-expert-parallel-size <n>').argParser(count).hideHelp())
    .addOption(
      new Option('--spec <names>', 'names of Megatron parameters (default: local)').choices([
        'local',
        'transformer_engine',
        'legacy',
        'ascendspeed',
      ]),
    )
    .option('--layers-per-virtual-stage <n>', 'layers of a virtual pipeline stage', count)
    .addOption(
      new Option('--num-layers-per-virtual-pipeline-stage <n>').argParser(count).hideHelp(),
    )
    .option('--num-layer-list <list>', 'layers of each pipeline stage, such as 7,8,8,9', listOption)
    .option('--noop-layers <list>', 'positions of layers without weights', listOption)
    .option('--moe-grouped-gemm', 'experts of a rank in one tensor')
    .option('--moe-tp-extend-ep', 'experts are divided among tensor ranks, each whole')
    .option('--mla-mm-split', 'latent attention: projections in their parts')
    .option('--dualpipev', 'each stage has a block from the front and one from the back')
    .addOption(
      new Option('--vocab-padding <how>', 'what padded rows of the vocabulary hold').choices([
        'none',
        'last_row',
        'tail_rows',
      ]),
    )
    .option(
      '--make-vocab-size-divisible-by <n>',
      'with padding: rows per rank are a multiple',
      count,
    )
    .option('--separate-gate', 'ascendspeed: gate and up in two tensors');
}

function listOption(text: string): number[] {
  return text.split(',').map((part) => integerOption({ min: 0 })(part.trim()));
}

const UNITS: { readonly [unit: string]: number } = { '': 1, K: 1e3, M: 1e6, G: 1e9 };

/** Bytes with an optional unit: `250M`, `5GB`, `1000000`. */
function sizeOption(text: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)([KMG]?)B?$/i.exec(text.trim()) ?? [];
  const bytes = Number(number) * (UNITS[unit.toUpperCase()] ?? Number.NaN);
  if (number !== '' && bytes > 0) return bytes;
  throw new InvalidArgumentError('Expected a size such as 250M or 5G.');
}
