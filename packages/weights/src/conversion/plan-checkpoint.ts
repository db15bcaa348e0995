/** From what a user asks for to a plan: opens the source by its kind and lays the target out. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { openDistributedCheckpoint } from '@tuneyard/formats';
import type { RawObject } from '../config/fields.js';
import { readJsonObject } from '../config/read-json.js';
import type { StoredSource } from '../convert/compose-plan.js';
import { logicalModel } from '../convert/logical-config.js';
import type { LogicalModel } from '../convert/logical-model.js';
import type { HfFileNaming } from '../convert/plan-shards.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import { assertMegatronSettings } from '../megatron/check-settings.js';
import { type MegatronCheckpoint, recogniseMegatron } from '../megatron/checkpoint.js';
import {
  type CheckpointPlan,
  planHfToMegatron,
  planMegatronToHf,
  planReshard,
} from '../megatron/plan-conversion.js';
import { DEFAULT_MEGATRON_SETTINGS, type MegatronSettings } from '../megatron/settings.js';
import type { Iteration } from '../megatron/tracker.js';
import { distributedSources } from '../source/distributed/distributed-sources.js';
import { hfDirectorySources } from '../source/hf-sources.js';
import { openHfTensors } from '../source/hf-tensors.js';
import { listSidecarFiles } from '../source/sidecar-files.js';
import { findDistributed } from './find-distributed.js';
import { isMegatronDirectory, openMegatronFiles } from './open-megatron.js';

/** Element types that a conversion can cast to. */
export type CastDtype = 'F32' | 'F16' | 'BF16';

/** What to convert, and to what. */
export interface ConversionRequest {
  /** Directory of Hugging Face files, of a Megatron checkpoint, or of a distributed one. */
  readonly source: string;
  readonly to: 'hf' | 'megatron';
  /** Directory of `config.json` and tokenizer files; by default the source itself. */
  readonly configDir?: string;
  /** Layout of a Megatron target; what is not said is as in a Megatron source, else one rank. */
  readonly target?: Partial<MegatronSettings>;
  /** What a Megatron source does not say of itself. */
  readonly sourceLayout?: Partial<MegatronSettings>;
  /** Which iteration of a Megatron source; by default the tracker's. */
  readonly iteration?: Iteration;
  /** Null keeps the types of the source. */
  readonly dtype: CastDtype | null;
  readonly naming: HfFileNaming;
  readonly maxShardBytes: number;
}

/** A file that is carried along. */
export interface CarriedFile {
  readonly from: string;
  /** Relative to the output directory. */
  readonly to: string;
}

/** A conversion that can be looked at, run and verified. */
export interface PlannedConversion {
  readonly plan: CheckpointPlan;
  readonly model: LogicalModel;
  readonly sourceKind: 'hf' | 'megatron' | 'distributed';
  /** Layout of a Megatron source or target; null for Hugging Face. */
  readonly sourceSettings: MegatronSettings | null;
  readonly targetSettings: MegatronSettings | null;
  /** `config.json` of the target. */
  readonly config: RawObject;
  readonly carried: readonly CarriedFile[];
}

/**
 * Plans a conversion. Reads headers and configurations, no weights.
 *
 * Throws: `WEIGHTS_CONVERT_SOURCE` when the source is of no known kind; the codes of families, layouts and files.
 */
export async function planConversion(request: ConversionRequest): Promise<PlannedConversion> {
  if (/\.gguf$/i.test(request.source)) throw isGguf(request.source);
  const distributed = await findDistributed(request.source, request.iteration);
  const isMegatron = distributed === null && (await isMegatronDirectory(request.source));
  const configDir = request.configDir ?? request.source;
  const config = await requireConfig(configDir, isMegatron || distributed !== null);
  const model = logicalModel(config, join(configDir, 'config.json'));
  const carried = (await listSidecarFiles(configDir)).map((name) => ({
    from: join(configDir, name),
    to: name,
  }));
  const base = { model, config: castConfig(config, request.dtype), carried };
  const input = { model, config, dtype: request.dtype };
  if (distributed !== null) {
    const checkpoint = await openDistributedCheckpoint(distributed.directory);
    const { sources } = await distributedSources(checkpoint, model);
    const settings = { ...DEFAULT_MEGATRON_SETTINGS, ...request.sourceLayout };
    const whole = { sources, settings, args: {}, vocabularyRows: model.sizes.vocab };
    const { iteration } = distributed;
    const planned = fromMegatron(request, { ...input, checkpoint: whole, iteration });
    return { ...base, ...planned, sourceKind: 'distributed', sourceSettings: null };
  }
  if (isMegatron) {
    const { files, iteration } = await openMegatronFiles(request.source, request.iteration);
    const checkpoint = recogniseMegatron(files, model, config, request.sourceLayout ?? {});
    return { ...base, ...fromMegatron(request, { ...input, checkpoint, iteration }) };
  }
  if (request.to === 'hf') throw sameKind(request.source);
  const settings = { ...DEFAULT_MEGATRON_SETTINGS, ...request.target };
  assertMegatronSettings(model, settings, 'write');
  const sources = await hfSources(request.source, model);
  return {
    ...base,
    plan: planHfToMegatron({ ...input, sources, settings }),
    sourceKind: 'hf',
    sourceSettings: null,
    targetSettings: settings,
  };
}

interface MegatronInput {
  readonly model: LogicalModel;
  readonly config: RawObject;
  readonly dtype: CastDtype | null;
  readonly checkpoint: MegatronCheckpoint;
  readonly iteration: Iteration;
}

function fromMegatron(
  { to, target, naming, maxShardBytes }: ConversionRequest,
  input: MegatronInput,
): Pick<PlannedConversion, 'plan' | 'sourceKind' | 'sourceSettings' | 'targetSettings'> {
  const sourceSettings = input.checkpoint.settings;
  const common = { sourceKind: 'megatron', sourceSettings } as const;
  if (to === 'hf') {
    const plan = planMegatronToHf({ ...input, naming, maxShardBytes });
    return { ...common, plan, targetSettings: null };
  }
  const settings = { ...sourceSettings, ...target };
  assertMegatronSettings(input.model, settings, 'write');
  return { ...common, plan: planReshard({ ...input, settings }), targetSettings: settings };
}

/** Tensors of a Hugging Face directory: safetensors, or the torch files of older models. */
async function hfSources(directory: string, model: LogicalModel): Promise<readonly StoredSource[]> {
  const opened = await openHfTensors(directory);
  try {
    return hfDirectorySources(directory, model, opened);
  } finally {
    await opened.close();
  }
}

async function requireConfig(directory: string, isMegatron: boolean): Promise<RawObject> {
  const path = join(directory, 'config.json');
  const exists = await access(directory).then(
    () => true,
    () => false,
  );
  const config = exists ? await readJsonObject(path) : null;
  if (config !== null) return config;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_CONVERT_SOURCE,
    exists ? `${path} does not exist` : `${directory} does not exist`,
    {
      category: 'not_found',
      details: { path },
      hint: isMegatron
        ? 'Name the Hugging Face directory of the model with --config: sizes and tokenizer come from there.'
        : 'A source is a Hugging Face directory with config.json, or a Megatron checkpoint directory.',
    },
  );
}

const CONFIG_DTYPE: { readonly [dtype in CastDtype]: string } = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
};

/** The configuration names the element type under `torch_dtype`, newer ones under `dtype`. */
function castConfig(config: RawObject, dtype: CastDtype | null): RawObject {
  if (dtype === null) return config;
  const key = 'dtype' in config ? 'dtype' : 'torch_dtype';
  return { ...config, [key]: CONFIG_DTYPE[dtype] };
}

function sameKind(source: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_CONVERT_SOURCE,
    `${source} is a Hugging Face directory already`,
    { hint: 'Use --to megatron; tuneyard export writes it in another element type, or as GGUF.' },
  );
}

function isGguf(source: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_CONVERT_SOURCE,
    `${source} is a GGUF file; Megatron checkpoints are made from Hugging Face directories`,
    { hint: 'tuneyard export writes GGUF files as Hugging Face directories, and the other way.' },
  );
}
