/** `tuneyard data media`: what the pictures, videos and sounds of a data set are and cost. */
import { dirname, resolve } from 'node:path';
import type {
  DatasetFormat,
  MediaCheckerSettings,
  MediaPluginName,
  MediaSurvey,
} from '@tuneyard/data';
import { type Command, Option } from 'commander';
import type { Cli } from '../cli.js';
import { defineCommand, integerOption, type StartCommand } from '../define-command.js';
import { formatTable } from '../terminal/table.js';
import { visibleText } from '../terminal/visible-text.js';

interface MediaFlags {
  readonly formatting: DatasetFormat;
  readonly datasetDir?: string;
  readonly mediaDir?: string;
  readonly plugin?: string;
  readonly model?: string;
  readonly maxSamples?: number;
  readonly allowMisnamed?: boolean;
  readonly allowOutside?: boolean;
  readonly manifest?: string;
}

/** Exit code when rows cannot be used. */
const EXIT_FOUND_ERRORS = 1;
/** Rows shown; `--json` has all. */
const SHOWN_ROWS = 20;

/** Adds `data media`. */
export function addDataMediaCommand(parent: Command, start: StartCommand): void {
  const command = defineCommand(parent, {
    usage: 'media',
    summary: 'Measure the pictures, videos and sounds of a data set',
    description:
      'Opens every file that a data set names, measures it, and counts the tokens that it becomes for a model. Rows whose files are missing, damaged, misnamed or not as many as their placeholders are listed, and the command exits with 1.',
    examples: [
      {
        command: 'tuneyard data media train.json --plugin qwen2_vl',
        does: 'with the numbers of Qwen2-VL',
      },
      {
        command:
          'tuneyard data media train.json --plugin llava --model models/llava --media-dir img',
        does: "with the model's own numbers, and files elsewhere",
      },
    ],
  });
  command
    .argument('<dataset>', 'data file, or a name in dataset_info.json')
    .option('--plugin <name>', 'how the model takes media, such as qwen2_vl, llava or intern_vl')
    .option('--model <dir>', "model directory, for its processor's numbers")
    .option(
      '--media-dir <dir>',
      'folder that paths are relative to; default: that of the data file',
    )
    .option('--dataset-dir <dir>', 'directory of dataset_info.json, for data sets by name')
    .addOption(
      new Option('--formatting <form>', 'form of the records')
        .choices(['auto', 'alpaca', 'sharegpt', 'openai'])
        .default('auto'),
    )
    .option('--max-samples <n>', 'read this many records', integerOption({ min: 1 }))
    .option('--allow-misnamed', 'take a file by its content when its extension is another')
    .option('--allow-outside', 'take files outside the media folder')
    .option('--manifest <file>', 'write every medium with its hash and rows to this file')
    .action((dataset: string, flags: MediaFlags) => media(start(), dataset, flags));
}

async function media(cli: Cli, dataset: string, flags: MediaFlags): Promise<void> {
  const data = await import('@tuneyard/data');
  const { datasetDir, maxSamples } = flags;
  const [spec] = await data.resolveDatasets([dataset], {
    baseDir: cli.host.cwd,
    format: flags.formatting,
    accepts: ['media'],
    ...(datasetDir === undefined ? {} : { datasetDir: cli.path(datasetDir) }),
    ...(maxSamples === undefined ? {} : { maxSamples }),
  });
  if (spec === undefined) return;
  const checker = data.createMediaChecker(await settingsOf(cli, spec.path, flags));
  const collector = data.createMediaCollector();
  const records = data.readConversations(spec, { signal: cli.signal });
  const survey = await data.surveyMedia(records, checker, collector);
  if (flags.manifest !== undefined) {
    const path = cli.path(flags.manifest);
    await data.writeMediaManifest(path, collector.entries(), cli.signal);
  }
  if (survey.rejected.length > 0) cli.exitCode = EXIT_FOUND_ERRORS;
  cli.result({ plugin: flags.plugin ?? null, ...survey }, () => shown(survey, flags));
}

async function settingsOf(
  cli: Cli,
  dataPath: string,
  flags: MediaFlags,
): Promise<MediaCheckerSettings> {
  const { readProcessorConfig } = await import('@tuneyard/data');
  const { plugin, model, mediaDir } = flags;
  const processor = model === undefined ? undefined : await readProcessorConfig(cli.path(model));
  return {
    mediaDir:
      mediaDir === undefined ? dirname(resolve(cli.host.cwd, dataPath)) : cli.path(mediaDir),
    allowMisnamed: flags.allowMisnamed ?? false,
    allowOutside: flags.allowOutside ?? false,
    signal: cli.signal,
    ...(plugin === undefined
      ? {}
      : {
          plugin: {
            // An unknown name is refused with the list of names.
            plugin: plugin as MediaPluginName,
            ...(processor === undefined ? {} : { processor }),
          },
        }),
  };
}

function shown(survey: MediaSurvey, { plugin }: MediaFlags): string[] {
  const right = { align: 'right' } as const;
  const columns = [
    { title: 'Kind' },
    { title: 'Uses', ...right },
    { title: 'Different', ...right },
    { title: 'Bytes', ...right },
    ...(plugin === undefined
      ? []
      : [
          { title: 'Tokens', ...right },
          { title: 'Least', ...right },
          { title: 'Most', ...right },
        ]),
  ];
  const rows = survey.kinds.map(({ kind, uses, distinct, bytes, tokens, tokensMin, tokensMax }) => {
    const counts = [uses, distinct, bytes];
    if (plugin !== undefined) counts.push(tokens, tokensMin, tokensMax);
    return [kind, ...counts.map(String)];
  });
  const { rejected } = survey;
  const most = plugin === undefined ? '' : `, at most ${survey.rowTokensMax} media tokens in a row`;
  return [
    `${survey.rows} rows, ${survey.rowsWithMedia} with media${most}`,
    ...(rows.length === 0 ? [] : ['', ...formatTable(columns, rows)]),
    ...(rejected.length === 0 ? [] : ['', `${rejected.length} rows cannot be used:`]),
    ...rejected
      .slice(0, SHOWN_ROWS)
      .map(({ row, bucket, reason }) => `  row ${row}: ${bucket}: ${visibleText(reason)}`),
    ...(rejected.length > SHOWN_ROWS ? [`  and ${rejected.length - SHOWN_ROWS} more`] : []),
  ];
}
