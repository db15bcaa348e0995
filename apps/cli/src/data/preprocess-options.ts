/** Options of `tuneyard preprocess`; names of MindSpeed-LLM's preprocess_data.py are taken beside our own. */
import type { DatasetFormat, OverlengthPolicy, ToolFormat } from '@tuneyard/data';
import { type Command, Option } from 'commander';
import { integerOption, numberOption, repeatedOption } from '../define-command.js';

/** Written out, as the data package is loaded only when a command runs. */
const TOOL_FORMATS: readonly ToolFormat[] = ['default', 'glm4', 'llama3', 'mistral', 'qwen'];

/** What the user asked for. */
export interface PreprocessFlags {
  readonly model?: string;
  readonly tokenizerNameOrPath?: string;
  readonly outputPrefix: string;
  readonly input?: readonly string[];
  readonly stage: 'sft' | 'pt';
  readonly handlerName?: string;
  readonly jsonKeys?: readonly string[];
  readonly mapKeys?: string;
  readonly appendEod?: boolean;
  readonly template?: string;
  readonly promptType?: string;
  readonly defaultSystem?: string;
  readonly toolFormat?: ToolFormat;
  readonly enableThinking?: 'true' | 'false' | 'none';
  readonly formatting: DatasetFormat;
  readonly datasetDir?: string;
  readonly maxSamples?: number;
  readonly cutoffLen?: number;
  readonly seqLength?: number;
  readonly overlength: OverlengthPolicy;
  readonly maskHistory?: boolean;
  readonly trainOnPrompt?: boolean;
  readonly mixStrategy: 'concat' | 'interleave_under' | 'interleave_over';
  readonly interleaveProbs?: readonly number[];
  readonly valSize: number;
  readonly seed: number;
  readonly dropDuplicates?: boolean;
  readonly pack?: boolean;
  readonly neatPack?: boolean;
  readonly packStyle: 'modellink' | 'llama-factory';
  readonly packStrategy: 'greedy' | 'best-fit';
  readonly packWindow?: number;
  readonly dtype: 'auto' | 'int32' | 'uint16';
  readonly workers?: number;
  readonly overwrite?: boolean;
  readonly mediaDir?: string;
  readonly mediaPlugin?: string;
  readonly allowMisnamed?: boolean;
  readonly seriesColumn?: string;
  readonly seriesEncoding?: 'decimal' | 'scaled' | 'bins';
  readonly settings?: readonly string[];
  readonly additionalKeys?: readonly string[];
}

/** Adds the options, in groups. */
export function addPreprocessOptions(command: Command): Command {
  addSourceOptions(command);
  addRecordOptions(command);
  addMediaOptions(command);
  addMixOptions(command);
  return addOutputOptions(command);
}

function addSourceOptions(command: Command): void {
  command
    .option('--model <path>', 'model directory, tokenizer file or .gguf file')
    .addOption(new Option('--tokenizer-name-or-path <path>').hideHelp())
    .requiredOption('--output-prefix <prefix>', 'what the names of all written files begin with')
    .addOption(new Option('--input <path>').argParser(repeatedOption).hideHelp())
    .option('--dataset-dir <dir>', 'directory of dataset_info.json, for data sets by name')
    .addOption(
      new Option('--formatting <form>', 'form of the records of files')
        .choices(['auto', 'alpaca', 'sharegpt', 'openai', 'text'])
        .default('auto'),
    )
    .option(
      '--max-samples <n>',
      'read this many records of each data set',
      integerOption({ min: 1 }),
    );
}

function addRecordOptions(command: Command): void {
  command
    .addOption(
      new Option('--stage <stage>', 'sft learns answers, pt learns raw text')
        .choices(['sft', 'pt'])
        .default('sft'),
    )
    .option(
      '--handler-name <name>',
      'how records are read (tuneyard data handlers lists them); by their form when left out',
    )
    .option('--json-keys <keys...>', 'raw text: the columns to read, one output each')
    .option(
      '--additional-keys <keys...>',
      'handlers of prompts: further columns to keep, one output each',
    )
    .option('--map-keys <json>', 'columns of the records, such as {"prompt":"question"}')
    .option('--append-eod', 'end documents and dialogues with the end-of-text token')
    .option(
      '--template <name>',
      "chat template: auto (the model's own), plain, or a name (tuneyard data templates)",
    )
    .addOption(new Option('--prompt-type <name>').hideHelp())
    .option('--default-system <text>', 'system message where a dialogue has none')
    .addOption(
      new Option('--tool-format <name>', 'how a named template writes tools and calls').choices([
        ...TOOL_FORMATS,
      ]),
    )
    .addOption(
      new Option('--enable-thinking <choice>', 'thoughts of reasoning templates').choices([
        'true',
        'false',
        'none',
      ]),
    )
    .option(
      '--cutoff-len <n>',
      'longest sample, in tokens (default: 2048)',
      integerOption({ min: 2 }),
    )
    .addOption(new Option('--seq-length <n>').argParser(integerOption({ min: 2 })).hideHelp())
    .addOption(
      new Option('--overlength <what>', 'what happens to a longer one')
        .choices(['drop', 'truncate', 'error'])
        .default('truncate'),
    )
    .option('--mask-history', 'learn the last answer of a dialogue only')
    .option('--train-on-prompt', 'learn questions too')
    .option('--drop-duplicates', 'leave out rows whose tokens equal those of an earlier row');
}

function addMixOptions(command: Command): void {
  command
    .addOption(
      new Option('--mix-strategy <how>', 'order of several data sets')
        .choices(['concat', 'interleave_under', 'interleave_over'])
        .default('concat'),
    )
    .option(
      '--interleave-probs <list>',
      'shares of the data sets, such as 0.7,0.3; or written behind each: a.jsonl=0.7',
      probabilityListOption,
    )
    .option(
      '--val-size <n>',
      'samples to hold out: a count, or a share',
      numberOption({ min: 0 }),
      0,
    )
    .option('--seed <n>', 'of everything that is drawn', integerOption({ min: 0 }), 1234);
}

function addMediaOptions(command: Command): void {
  command
    .option(
      '--media-dir <dir>',
      'folder of pictures, videos and sounds (default: that of the data set)',
    )
    .option(
      '--media-plugin <name>',
      'how the model takes media, such as qwen2_vl (default: as the template does)',
    )
    .option('--allow-misnamed', 'take a file by its content when its extension is another')
    .option('--series-column <name>', 'column of number lists, which the text shows as <ts>')
    .addOption(
      new Option('--series-encoding <how>', 'how number lists are written')
        .choices(['decimal', 'scaled', 'bins'])
        .default('decimal'),
    );
}

function addOutputOptions(command: Command): Command {
  return command
    .option('--pack', 'put several samples into rows of one length')
    .option('--neat-pack', 'with --pack: number samples in the attention mask, to be kept apart')
    .addOption(
      new Option('--pack-style <whose>', 'length and padding of packed rows')
        .choices(['modellink', 'llama-factory'])
        .default('modellink'),
    )
    .addOption(
      new Option('--pack-strategy <how>', 'best-fit leaves less padding, greedy is the original')
        .choices(['greedy', 'best-fit'])
        .default('greedy'),
    )
    .option(
      '--pack-window <n>',
      'samples that are packed together (default: 16 million tokens)',
      integerOption({ min: 1 }),
    )
    .addOption(
      new Option('--dtype <type>', 'element type; auto: raw text as uint16 where it fits')
        .choices(['auto', 'int32', 'uint16'])
        .default('auto'),
    )
    .option('--workers <n>', 'threads (default: one per core)', integerOption({ min: 0, max: 256 }))
    .option('--overwrite', 'replace files that were made from other data or with other options')
    .option(
      '--settings <list...>',
      'settings of a launch script, such as MBS=1 GBS=64 SEQ_LEN=4096 EPOCH=5: checked against the data, SN and TRAIN_ITERS derived',
    );
}

function probabilityListOption(text: string): number[] {
  return text.split(',').map((part) => numberOption({ min: 0, max: 1 })(part));
}
