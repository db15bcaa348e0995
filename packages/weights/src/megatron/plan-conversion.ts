/** Plans of conversions from and to Megatron: which file gets which tensor, made of what. */
import { assert } from '@tuneyard/core';
import type { RawObject } from '../config/fields.js';
import {
  type ComposedTensor,
  type Composition,
  composePlan,
  type StoredSource,
} from '../convert/compose-plan.js';
import { type HfStyle, hfLayout } from '../convert/hf-layout.js';
import type {
  ConversionPlan,
  ConvertedDtype,
  LogicalModel,
  TargetFile,
} from '../convert/logical-model.js';
import { type HfFileOptions, planHfFiles } from '../convert/plan-shards.js';
import { buildArguments, type MegatronArguments } from './arguments.js';
import type { MegatronCheckpoint } from './checkpoint.js';
import { megatronLayout } from './megatron-layout.js';
import { allRanks, chunkKey, rankDirectory } from './rank-names.js';
import { type MegatronSettings, virtualChunks } from './settings.js';
import { torchRoot } from './torch-root.js';
import { type Iteration, iterationDirectory, TRACKER_FILE, trackerText } from './tracker.js';

/** A small text file to be written after all others. */
export interface PlannedText {
  /** Relative to the output directory. */
  readonly path: string;
  readonly text: string;
}

/** A conversion with the texts that make its files a checkpoint. */
export interface CheckpointPlan extends ConversionPlan {
  /** In the order to write them, when every file is complete. */
  readonly texts: readonly PlannedText[];
  /** Source rectangles that should hold the same numbers; the first of each pair is read. */
  readonly replicas: Composition['replicas'];
}

/** What every plan needs. */
export interface PlanInput {
  readonly model: LogicalModel;
  /** The raw `config.json`. */
  readonly config: RawObject;
  /** Null keeps the types of the source. */
  readonly dtype: ConvertedDtype | null;
}

/** From the tensors of a Hugging Face directory. */
export interface HfInput extends PlanInput {
  readonly sources: readonly StoredSource[];
  readonly settings: MegatronSettings;
}

/** From a Megatron checkpoint to a Hugging Face directory. */
export interface MegatronToHfInput extends PlanInput, HfFileOptions {
  readonly checkpoint: MegatronCheckpoint;
  readonly style?: HfStyle;
}

/** From a Megatron checkpoint to one of another layout. */
export interface ReshardInput extends PlanInput {
  readonly checkpoint: MegatronCheckpoint;
  readonly settings: MegatronSettings;
  readonly iteration: Iteration;
}

/** Hugging Face → Megatron. Throws as {@link megatronLayout} and {@link composePlan}. */
export function planHfToMegatron(input: HfInput): CheckpointPlan {
  const iteration = input.settings.spec === 'ascendspeed' ? 'release' : 1;
  return megatronPlan(input.sources, { ...input, iteration });
}

/** Megatron → Megatron of another division or other names. */
export function planReshard(input: ReshardInput): CheckpointPlan {
  return megatronPlan(input.checkpoint.sources, input);
}

/** Megatron → Hugging Face. */
export function planMegatronToHf(input: MegatronToHfInput): CheckpointPlan {
  const { model, checkpoint, style } = input;
  const target = hfLayout(model, style === undefined ? {} : { style });
  const composition = compose(checkpoint.sources, target, input);
  const { files, index } = planHfFiles(composition.targets, input);
  const texts = index === null ? [] : [{ path: 'model.safetensors.index.json', text: index }];
  return { sources: composition.sources, files, texts, replicas: composition.replicas };
}

interface ToMegatron extends PlanInput {
  readonly settings: MegatronSettings;
  readonly iteration: Iteration;
}

function megatronPlan(sources: readonly StoredSource[], input: ToMegatron): CheckpointPlan {
  const { model, settings, iteration } = input;
  const composition = compose(sources, megatronLayout(model, settings), input);
  const args = buildArguments(model, configOf(input), settings);
  return {
    sources: composition.sources,
    files: rankFiles(composition.targets, args, input),
    texts: [{ path: TRACKER_FILE, text: trackerText(iteration) }],
    replicas: composition.replicas,
  };
}

function compose(
  sources: readonly StoredSource[],
  target: Parameters<typeof composePlan>[1],
  { model, dtype }: PlanInput,
): Composition {
  const exact = new Set(
    model.tensors.filter(({ role }) => role === 'router_bias').map(({ id }) => id),
  );
  const composition = composePlan(sources, target, {
    dtype,
    keepsDtype: (logical) => exact.has(logical),
  });
  const [unused] = composition.unused;
  assert(unused === undefined, `both layouts are of one model, but ${unused} is not taken`);
  return composition;
}

/** A file for every rank, with every chunk, even where all of its layers are without weights. */
function rankFiles(
  targets: readonly ComposedTensor[],
  args: MegatronArguments,
  { model, settings, iteration }: ToMegatron,
): readonly TargetFile[] {
  const byShard = groupByShard(targets);
  const chunks = virtualChunks(model.sizes.layers, settings);
  const chunkKeys = Array.from({ length: chunks }, (_, chunk) => chunkKey(chunk, chunks));
  return allRanks(settings).map((rank) => {
    const shard = rankDirectory(rank, settings);
    const tensors = byShard.get(shard) ?? [];
    const number = iteration === 'release' ? 1 : iteration;
    return {
      path: `${iterationDirectory(iteration)}/${shard}/model_optim_rng.pt`,
      format: 'torch',
      tensors,
      extra: torchRoot(tensors, { args, chunkKeys, iteration: number }),
    };
  });
}

function groupByShard(
  targets: readonly ComposedTensor[],
): ReadonlyMap<string, ComposedTensor['tensor'][]> {
  const byShard = new Map<string, ComposedTensor['tensor'][]>();
  for (const { shard, tensor } of targets) {
    const tensors = byShard.get(shard) ?? [];
    byShard.set(shard, tensors);
    tensors.push(tensor);
  }
  return byShard;
}

const CONFIG_DTYPES: { readonly [D in ConvertedDtype]?: string } = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
};

/** The configuration with the type that numbers are cast to. */
function configOf({ config, dtype }: PlanInput): RawObject {
  const name = dtype === null ? undefined : CONFIG_DTYPES[dtype];
  return name === undefined ? config : { ...config, torch_dtype: name };
}
