/** From the options of `tuneyard preprocess` to a job. */
import { dirname, resolve } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import {
  handlerSettingsFor,
  loadTokenizer,
  type MapKeys,
  type MediaPluginName,
  type MediaSettings,
  type MixSettings,
  mediaPluginOf,
  needsTemplate,
  type PrepareFilesOptions,
  packLayoutOf,
  parseWeightedNames,
  readProcessorConfig,
  resolveDatasets,
  type TemplateSettings,
  type WindowOptions,
} from '@tuneyard/data';
import type { Cli } from '../cli.js';
import { CLI_ERRORS } from '../errors.js';
import type { PreprocessFlags } from './preprocess-options.js';

const DEFAULT_LENGTH = 2048;

/** Puts the job together. Throws: `CLI_INVALID_VALUE` for options that contradict each other; the codes of data sets. */
export async function planPreprocess(
  cli: Cli,
  names: readonly string[],
  flags: PreprocessFlags,
): Promise<PrepareFilesOptions> {
  const settings = settingsOf(flags);
  const length =
    flags.cutoffLen ?? flags.seqLength ?? wholeOf(settings['SEQ_LEN']) ?? DEFAULT_LENGTH;
  const tokenizer = cli.path(required(flags.model ?? flags.tokenizerNameOrPath, '--model', 'path'));
  const sources = parseWeightedNames([...names, ...(flags.input ?? [])]);
  if (sources.names.length === 0)
    throw badOption('No data set is named', 'Name a file, folder or glob.');
  const packing = flags.pack === true ? await packingOf(flags, tokenizer, length) : null;
  checkPacking(flags);
  const specs = await resolveDatasets(sources.names, {
    baseDir: cli.host.cwd,
    format: flags.formatting,
    accepts: ['ranking', 'kto', 'media'],
    ...(flags.datasetDir === undefined ? {} : { datasetDir: cli.path(flags.datasetDir) }),
    ...(flags.maxSamples === undefined ? {} : { maxSamples: flags.maxSamples }),
  });
  const datasets = specs.map((spec) => ({
    spec,
    handler: handlerSettingsFor(spec, {
      stage: flags.stage,
      cutoffLength: packing?.capacity ?? length,
      overlength: flags.overlength,
      ...(flags.handlerName === undefined ? {} : { handler: flags.handlerName }),
      ...(flags.jsonKeys === undefined ? {} : { jsonKeys: flags.jsonKeys }),
      ...(flags.additionalKeys === undefined ? {} : { additionalKeys: flags.additionalKeys }),
      ...(flags.mapKeys === undefined ? {} : { mapKeys: mapKeysOf(flags.mapKeys) }),
      ...(flags.appendEod === undefined ? {} : { appendEod: flags.appendEod }),
      ...(flags.maskHistory === undefined ? {} : { maskHistory: flags.maskHistory }),
      ...(flags.trainOnPrompt === undefined ? {} : { trainOnPrompt: flags.trainOnPrompt }),
    }),
  }));
  const prefix = cli.path(flags.outputPrefix);
  return {
    tokenizer,
    template: needsTemplate(datasets.map(({ handler }) => handler)) ? templateOf(flags) : null,
    datasets,
    media: await mediaOf(cli, flags, { tokenizer, paths: specs.map((spec) => spec.path) }),
    documentLength: null,
    cutoffLength: length,
    dropDuplicates: flags.dropDuplicates ?? false,
    mix: mixOf(flags, sources.probabilities),
    valSize: flags.valSize,
    seed: flags.seed,
    packing,
    train: { prefix },
    validation: flags.valSize > 0 ? { prefix: `${prefix}_validation` } : null,
    dtype: flags.dtype,
    overwrite: flags.overwrite ?? false,
    ...(flags.workers === undefined ? {} : { workers: flags.workers }),
  };
}

/** Settings of a launch script by name. Throws: `CLI_INVALID_VALUE` for what is no `NAME=value`. */
export function settingsOf({ settings = [] }: PreprocessFlags): { [name: string]: string } {
  const parts = settings.flatMap((text) => text.split(/[\s,;]+/)).filter((part) => part !== '');
  return Object.fromEntries(
    parts.map((part) => {
      const [, name = '', value = ''] = /^(?:export\s+)?(\w+)=(.*)$/.exec(part) ?? [];
      if (name !== '') return [name, value.replace(/^(['"])(.*)\1$/, '$2')];
      throw badOption(`--settings: '${part}' is no NAME=value`, 'For example GBS=64 EPOCH=5.');
    }),
  );
}

/** Wrong values are told with all others once the data is counted. */
function wholeOf(value: string | undefined): number | undefined {
  return value !== undefined && /^[1-9]\d*$/.test(value) ? Number(value) : undefined;
}

/** Media are taken where the template or an option says how. */
async function mediaOf(
  cli: Cli,
  flags: PreprocessFlags,
  { tokenizer, paths }: { readonly tokenizer: string; readonly paths: readonly string[] },
): Promise<MediaSettings | null> {
  const template = flags.template ?? flags.promptType ?? 'auto';
  const plugin = flags.mediaPlugin ?? mediaPluginOf(template);
  const { seriesColumn, seriesEncoding, mediaDir, datasetDir } = flags;
  if (plugin === null && seriesColumn === undefined) return null;
  const processor = plugin === null ? undefined : await readProcessorConfig(tokenizer);
  const dirOf = (path: string): string =>
    resolve(cli.host.cwd, mediaDir ?? datasetDir ?? dirname(path));
  return {
    mediaDirs: paths.map(dirOf),
    allowMisnamed: flags.allowMisnamed ?? false,
    ...(plugin === null
      ? {}
      : {
          plugin: {
            // An unknown name is refused with the list of names.
            plugin: plugin as MediaPluginName,
            ...(processor === undefined ? {} : { processor }),
          },
        }),
    ...(seriesColumn === undefined
      ? {}
      : { seriesColumn, seriesEncoding: { method: seriesEncoding ?? 'decimal' } }),
  };
}

function templateOf(flags: PreprocessFlags): TemplateSettings {
  const { defaultSystem, toolFormat, enableThinking } = flags;
  return {
    name: flags.template ?? flags.promptType ?? 'auto',
    ...(defaultSystem === undefined ? {} : { defaultSystem }),
    ...(toolFormat === undefined ? {} : { toolFormat }),
    ...(enableThinking === undefined
      ? {}
      : { enableThinking: enableThinking === 'none' ? null : enableThinking === 'true' }),
  };
}

function mixOf(
  { mixStrategy, interleaveProbs }: PreprocessFlags,
  weights: readonly number[] | null,
): MixSettings {
  if (weights !== null && interleaveProbs !== undefined) {
    throw badOption(
      'Shares are given twice',
      'Write weights behind the names, or --interleave-probs.',
    );
  }
  return { strategy: mixStrategy, probabilities: interleaveProbs ?? weights };
}

async function packingOf(
  flags: PreprocessFlags,
  tokenizerPath: string,
  length: number,
): Promise<WindowOptions> {
  const tokenizer = await loadTokenizer(tokenizerPath);
  const layout = packLayoutOf(flags.packStyle, {
    length,
    padTokenId: tokenizer.padTokenId ?? tokenizer.eosTokenId ?? 0,
    isNeat: flags.neatPack ?? false,
    strategy: flags.packStrategy,
  });
  return {
    ...layout,
    ...(flags.packWindow === undefined ? {} : { windowSamples: flags.packWindow }),
  };
}

function checkPacking({ pack, neatPack, stage }: PreprocessFlags): void {
  if (neatPack === true && pack !== true) {
    throw badOption('--neat-pack says how rows are packed, and --pack is not set', 'Add --pack.');
  }
  if (pack === true && stage === 'pt') {
    throw badOption(
      '--pack is for fine-tuning data; raw text needs none',
      'Trainers cut raw text into rows of their sequence length by themselves.',
    );
  }
}

function mapKeysOf(text: string): MapKeys {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed))
      return parsed as MapKeys;
  } catch {
    // Said below: it is not JSON.
  }
  throw badOption(`--map-keys is not a JSON object: ${text}`, 'For example {"prompt":"question"}.');
}

function required(value: string | undefined, flag: string, what: string): string {
  if (value !== undefined) return value;
  throw badOption(
    `${flag} <${what}> is missing`,
    'It names the tokenizer that the data is made for.',
  );
}

function badOption(message: string, hint: string): TuneyardError {
  return new TuneyardError(CLI_ERRORS.CLI_INVALID_VALUE, message, { hint });
}
