/**
 * A distributed checkpoint as the source of a conversion: every chunk is a stored tensor, with the rectangles of logical
 * tensors that it holds.
 *
 * Two kinds of models are known by their names: those of Megatron, and those with the names of Hugging Face, as FSDP and
 * other training loops save them. What is not the model (optimizer, random state, step) is left alone.
 */
import { TuneyardError } from '@tuneyard/core';
import { type DistributedCheckpoint, locateTensors } from '@tuneyard/formats';
import type { StoredSource } from '../../convert/compose-plan.js';
import { hfLayout, hfStyleOf } from '../../convert/hf-layout.js';
import { ignorableTensors } from '../../convert/hf-tensor-check.js';
import type { LogicalModel, StoredSpec } from '../../convert/logical-model.js';
import { WEIGHTS_ERRORS } from '../../errors.js';
import { megatronLayout } from '../../megatron/megatron-layout.js';
import { KEY_SEPARATOR } from '../../megatron/rank-names.js';
import { DEFAULT_MEGATRON_SETTINGS } from '../../megatron/settings.js';
import { checkShape } from '../tensor-checks.js';
import { hfNames } from './hf-names.js';
import { canonicalMegatronName, isMegatronState, looksLikeMegatron } from './megatron-names.js';
import { megatronParameters } from './megatron-parameters.js';
import { pairLayout } from './pair-layout.js';
import { type BlockTensor, blocksOf } from './tensor-blocks.js';

/** Sources of a conversion, found in a distributed checkpoint. */
export interface DistributedSources {
  readonly layout: 'megatron' | 'hf';
  /** One for each chunk. */
  readonly sources: readonly StoredSource[];
  /** Names of the checkpoint that carry nothing of the model. */
  readonly ignored: readonly string[];
}

/** Options of {@link distributedSources}. */
export interface DistributedSourcesOptions {
  readonly signal?: AbortSignal;
}

/**
 * Finds a model's tensors in a distributed checkpoint.
 *
 * Throws: `WEIGHTS_MISSING_TENSOR`, `WEIGHTS_UNEXPECTED_TENSOR`, `WEIGHTS_TENSOR_SHAPE`, `WEIGHTS_TENSOR_DTYPE`,
 * `WEIGHTS_TENSOR_STRIDES`, `WEIGHTS_MODEL_NOT_FOUND` when no names of the model are there, and what reading the
 * checkpoint throws. Cost: a few small reads for each chunk of the model.
 */
export async function distributedSources(
  checkpoint: DistributedCheckpoint,
  model: LogicalModel,
  options: DistributedSourcesOptions = {},
): Promise<DistributedSources> {
  return looksLikeMegatron(checkpoint.tensors.keys())
    ? await megatronSources(checkpoint, model, options)
    : await hfSources(checkpoint, model, options);
}

async function megatronSources(
  checkpoint: DistributedCheckpoint,
  model: LogicalModel,
  options: DistributedSourcesOptions,
): Promise<DistributedSources> {
  const keys = [...checkpoint.tensors.keys()];
  const ignored = keys.filter(isMegatronState);
  const located = await locateTensors(
    checkpoint,
    keys.filter((key) => !isMegatronState(key)),
    options,
  );
  const parameters = new Map<string, BlockTensor>();
  for (const [name, tensor] of megatronParameters(located.values())) {
    parameters.set(canonicalMegatronName(name), tensor);
  }
  const layout = megatronSpecs(checkpoint.directory, model, parameters);
  const isTied = model.sizes.tiedEmbeddings;
  const sources = pairLayout(checkpoint.directory, {
    layout,
    tensors: parameters,
    isIgnored: (name) => isTied && name === 'output_layer.weight',
  });
  return { layout: 'megatron', sources, ignored };
}

/** The layout of one rank, under canonical names. */
function megatronSpecs(
  directory: string,
  model: LogicalModel,
  parameters: ReadonlyMap<string, BlockTensor>,
): readonly StoredSpec[] {
  const embedding = parameters.get('embedding.word_embeddings.weight');
  const { vocab } = model.sizes;
  const vocabularyRows = embedding?.shape[0] ?? vocab;
  // More rows are padding; fewer are another model.
  if (embedding !== undefined && vocabularyRows < vocab) {
    const expected = [vocab, ...embedding.shape.slice(1)];
    checkShape(directory, embedding.name, { found: embedding.shape, expected });
  }
  return megatronLayout(model, DEFAULT_MEGATRON_SETTINGS, { vocabularyRows }).map((spec) => {
    const [, name = spec.name] = spec.name.split(KEY_SEPARATOR);
    return { ...spec, shard: '', name: canonicalMegatronName(name) };
  });
}

async function hfSources(
  checkpoint: DistributedCheckpoint,
  model: LogicalModel,
  options: DistributedSourcesOptions,
): Promise<DistributedSources> {
  const layout = hfLayout(model, { style: hfStyleOf(model, checkpoint.tensors.keys()) });
  const names = hfNames(
    checkpoint.tensors.keys(),
    layout.map(({ name }) => name),
  );
  if (names === null) {
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_MODEL_NOT_FOUND,
      `${checkpoint.directory} holds neither a model of Megatron nor one with a tensor ${layout[0]?.name}`,
      { category: 'not_found', details: { directory: checkpoint.directory } },
    );
  }
  const isIgnorable = ignorableTensors(model);
  const inModel = [...names].filter(([, name]) => name !== null && !isIgnorable(name));
  const located = await locateTensors(checkpoint, new Map(inModel).keys(), options);
  const tensors = new Map<string, BlockTensor>();
  for (const [key, name] of inModel) {
    const tensor = located.get(key);
    if (tensor !== undefined && name !== null) tensors.set(name, blocksOf(tensor));
  }
  const sources = pairLayout(checkpoint.directory, { layout, tensors, isIgnored: () => false });
  const used = new Set(inModel.map(([key]) => key));
  const ignored = [...checkpoint.tensors.keys()].filter((key) => !used.has(key));
  return { layout: 'hf', sources, ignored };
}
