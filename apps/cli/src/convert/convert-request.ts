/** From the options of `tuneyard convert` to a request. */
import { TuneyardError } from '@tuneyard/core';
import type { CastDtype, ConversionRequest, MegatronSettings } from '@tuneyard/weights';
import type { Cli } from '../cli.js';
import { CLI_ERRORS } from '../errors.js';
import type { ConvertFlags } from './convert-options.js';

const DTYPES: { readonly [dtype in ConvertFlags['dtype']]: CastDtype | null } = {
  keep: null,
  f32: 'F32',
  f16: 'F16',
  bf16: 'BF16',
};

/** Puts the request together. Throws: `CLI_INVALID_VALUE`. */
export function requestOf(cli: Cli, source: string, flags: ConvertFlags): ConversionRequest {
  const layout = layoutOf(flags);
  const { to, naming, maxShardSize, config, iteration } = flags;
  const isTarget = to === 'megatron';
  return {
    source: cli.path(source),
    to,
    naming,
    maxShardBytes: maxShardSize,
    dtype: DTYPES[flags.dtype],
    ...(config === undefined ? {} : { configDir: cli.path(config) }),
    ...(isTarget ? { target: layout } : { sourceLayout: layout }),
    ...(iteration === undefined ? {} : { iteration: iterationOf(iteration) }),
  };
}

/** Settings that were named; the others stay as the source has them. */
function layoutOf(flags: ConvertFlags): Partial<MegatronSettings> {
  const named: { readonly [key in keyof MegatronSettings]?: MegatronSettings[key] | undefined } = {
    spec: flags.spec,
    tensorParallel: flags.tp ?? flags.targetTensorParallelSize,
    pipelineParallel: flags.pp ?? flags.targetPipelineParallelSize,
    expertParallel: flags.ep ?? flags.targetExpertParallelSize,
    layersPerVirtualStage: flags.layersPerVirtualStage ?? flags.numLayersPerVirtualPipelineStage,
    numLayerList: flags.numLayerList,
    noopLayers: flags.noopLayers,
    schedule: flags.dualpipev === true ? 'dualpipev' : undefined,
    groupedGemm: flags.moeGroupedGemm,
    expertsOverTensorRanks: flags.moeTpExtendEp,
    splitLatent: flags.mlaMmSplit,
    vocabularyPadding:
      flags.vocabPadding ?? (flags.makeVocabSizeDivisibleBy === undefined ? undefined : 'last_row'),
    vocabularyDivisibleBy: flags.makeVocabSizeDivisibleBy,
    separateGate: flags.separateGate,
  };
  const entries = Object.entries(named).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Partial<MegatronSettings>;
}

function iterationOf(text: string): number | 'release' {
  if (text === 'release') return text;
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new TuneyardError(
    CLI_ERRORS.CLI_INVALID_VALUE,
    `--iteration is '${text}'; expected a number above 0, or release`,
  );
}
