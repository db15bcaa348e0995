/** Options of commands that read data sets, with the spelling of recipe keys, and what they open. */
import type {
  DatasetFormat,
  DatasetSpec,
  OverlengthPolicy,
  PromptTemplate,
  Tokenizer,
} from '@tuneyard/data';
import type { ModelConfig } from '@tuneyard/weights';
import { type Command, Option } from 'commander';
import type { Cli } from '../cli.js';
import { integerOption } from '../define-command.js';

/** How records become samples. */
export interface DataFlags {
  readonly stage: 'sft' | 'pt';
  readonly template: string;
  readonly defaultSystem?: string;
  readonly formatting: DatasetFormat;
  readonly datasetDir?: string;
  readonly cutoffLen: number;
  readonly overlength: OverlengthPolicy;
  readonly maskHistory?: boolean;
  readonly trainOnPrompt?: boolean;
  readonly maxSamples?: number;
}

/** Adds the options; their defaults are those of recipes. */
export function addDataOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--stage <stage>', 'sft learns answers, pt learns raw text')
        .choices(['sft', 'pt'])
        .default('sft'),
    )
    .option('--template <name>', "chat template: auto (the model's own), plain, or a name", 'auto')
    .option('--default-system <text>', 'system message where a dialogue has none')
    .addOption(
      new Option('--formatting <form>', 'form of the records')
        .choices(['auto', 'alpaca', 'sharegpt', 'openai', 'text'])
        .default('auto'),
    )
    .option('--dataset-dir <dir>', 'directory of dataset_info.json, for data sets by name')
    .option('--cutoff-len <n>', 'longest sample, in tokens', integerOption({ min: 2 }), 2048)
    .addOption(
      new Option('--overlength <what>', 'what happens to a longer one')
        .choices(['drop', 'truncate', 'error'])
        .default('truncate'),
    )
    .option('--mask-history', 'learn the last answer of a dialogue only')
    .option('--train-on-prompt', 'learn questions too')
    .option(
      '--max-samples <n>',
      'read this many records of each data set',
      integerOption({ min: 1 }),
    );
}

/** A model's tokenizer, the template, and the data sets that were named. */
export interface OpenedData {
  readonly tokenizer: Tokenizer;
  readonly config: ModelConfig;
  /** Null for raw text. */
  readonly template: PromptTemplate | null;
  /** Ends a raw text. */
  readonly stopTokenId: number;
  readonly flags: DataFlags;
}

/** Opens what turns records into tokens for a model. Throws: the codes of models, tokenizers and templates. */
export async function openData(cli: Cli, modelPath: string, flags: DataFlags): Promise<OpenedData> {
  const { chooseStopToken, loadTokenizer, openPromptTemplate } = await import('@tuneyard/data');
  const { openModel } = await import('@tuneyard/weights');
  const path = cli.path(modelPath);
  const source = await openModel(path);
  await source.close();
  const { config, generationConfig } = source;
  const tokenizer = await loadTokenizer(path);
  const { defaultSystem } = flags;
  const template =
    flags.stage === 'pt'
      ? null
      : await openPromptTemplate({
          name: flags.template,
          modelPath: path,
          tokenizer,
          generationConfig,
          ...(defaultSystem === undefined ? {} : { defaultSystem }),
        });
  const stopTokenId = flags.stage === 'pt' ? chooseStopToken(generationConfig, tokenizer) : 0;
  return { tokenizer, config, template, stopTokenId, flags };
}

/** Finds data sets: files, or names registered in `dataset_info.json`. */
export async function findDatasets(
  cli: Cli,
  names: readonly string[],
  flags: DataFlags,
): Promise<DatasetSpec[]> {
  const { resolveDatasets } = await import('@tuneyard/data');
  const { datasetDir, maxSamples } = flags;
  return await resolveDatasets(names, {
    baseDir: cli.host.cwd,
    format: flags.formatting,
    ...(datasetDir === undefined ? {} : { datasetDir: cli.path(datasetDir) }),
    ...(maxSamples === undefined ? {} : { maxSamples }),
  });
}

/** Settings of the encoder for dialogues. */
export function encodingOf(data: OpenedData & { readonly template: PromptTemplate }) {
  const { tokenizer, template, flags } = data;
  return {
    tokenizer,
    template,
    cutoffLength: flags.cutoffLen,
    overlength: flags.overlength,
    maskHistory: flags.maskHistory ?? false,
    trainOnPrompt: flags.trainOnPrompt ?? false,
  };
}

/** Settings of the encoder for raw text. */
export function documentEncodingOf({ tokenizer, stopTokenId, flags }: OpenedData) {
  return { tokenizer, stopTokenId, cutoffLength: flags.cutoffLen };
}
