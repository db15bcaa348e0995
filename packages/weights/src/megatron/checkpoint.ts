/**
 * Makes sense of the files of a Megatron checkpoint: which layout they are in, and where each logical tensor is.
 *
 * What the files hold decides, then what their arguments say, then the names of their directories. Nothing of this
 * reads files: it works on what a reader of torch archives has listed.
 */
import { assert, TuneyardError } from '@tuneyard/core';
import type { RawObject } from '../config/fields.js';
import type { StoredSource } from '../convert/compose-plan.js';
import type { LogicalModel, SourceTensor, StoredSpec } from '../convert/logical-model.js';
import { type LocatedTensor, matchSources } from '../convert/plan-sources.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import { type MegatronArguments, settingsOfArguments } from './arguments.js';
import { assertArgumentsAgree } from './cross-check.js';
import { TIED_HEAD_NAMES } from './layout-rules.js';
import { megatronLayout } from './megatron-layout.js';
import { isModelTensor } from './model-tensors.js';
import {
  inferParallelSizes,
  type ParallelSizes,
  parseRankDirectory,
  type RankNumbers,
  ranksOfDirectories,
} from './rank-directories.js';
import { KEY_SEPARATOR } from './rank-names.js';
import { DEFAULT_MEGATRON_SETTINGS, type MegatronSettings, megatronLayers } from './settings.js';
import { CHECKPOINT_VERSION } from './torch-root.js';

/** One rank's file, as a reader lists it. */
export interface MegatronFile {
  /** `mp_rank_00_001`. */
  readonly directory: string;
  /** Names are key paths from the root, parted by U+001F: `model␟decoder.layers.0…`. */
  readonly tensors: readonly SourceTensor[];
  /** Null when the file has none. */
  readonly args: MegatronArguments | null;
  /** 0 when the file does not say. */
  readonly checkpointVersion: number;
}

/** A checkpoint whose layout is known and whose tensors are all there. */
export interface MegatronCheckpoint {
  readonly settings: MegatronSettings;
  /** Rows of the embedding over all ranks. */
  readonly vocabularyRows: number;
  readonly args: MegatronArguments;
  readonly sources: readonly StoredSource[];
}

/**
 * Recognises the layout of a checkpoint and finds every tensor of the model in it.
 *
 * `overrides` win over what the checkpoint says (a checkpoint without arguments cannot tell of noop layers).
 *
 * Throws: `WEIGHTS_MEGATRON_CHECKPOINT` for missing, mixed or old files; `WEIGHTS_MEGATRON_MISMATCH` when arguments
 * contradict the configuration; `WEIGHTS_MEGATRON_SETTINGS`, `WEIGHTS_MISSING_TENSOR`, `WEIGHTS_UNEXPECTED_TENSOR`,
 * `WEIGHTS_TENSOR_SHAPE`.
 */
export function recogniseMegatron(
  files: readonly MegatronFile[],
  model: LogicalModel,
  config: RawObject,
  overrides: Partial<MegatronSettings> = {},
): MegatronCheckpoint {
  checkVersions(files);
  const args = agreedArguments(files);
  assertArgumentsAgree(args, model, config);
  const found = settingsOf(files, args, model);
  const vocabularyRows = vocabularyRowsOf(files, found);
  const settings = { ...found, ...paddingOf(vocabularyRows, args, model), ...overrides };
  checkExpertTensorRanks(args, model, settings);
  if (vocabularyRows < model.sizes.vocab) {
    throw broken(
      `the embedding has ${vocabularyRows} rows over all ranks; the configuration asks for ${model.sizes.vocab}`,
    );
  }
  const specs = megatronLayout(model, settings, { vocabularyRows });
  const located = files.flatMap(({ directory, tensors }) =>
    tensors.map((tensor): LocatedTensor => ({ shard: directory, tensor })),
  );
  const tiedName = TIED_HEAD_NAMES[settings.spec].replaceAll('/', KEY_SEPARATOR);
  const isTiedHead = (name: string): boolean => name.endsWith(KEY_SEPARATOR + tiedName);
  const isTied = model.sizes.tiedEmbeddings;
  const hasExtra = (model.sizes.extraLayers ?? 0) > 0;
  const sources = matchSources(specs, located, {
    otherNames,
    isOptional: ({ name }: StoredSpec) => isTied && isTiedHead(name),
    isIgnored: (name) =>
      !isModelTensor(name) || (isTied && isTiedHead(name)) || (hasExtra && isOfExtraLayer(name)),
  });
  return { settings, vocabularyRows, args, sources };
}

function checkVersions(files: readonly MegatronFile[]): void {
  const old = files.find(({ checkpointVersion }) => checkpointVersion < CHECKPOINT_VERSION);
  if (old === undefined) return;
  throw broken(
    `${old.directory} is of checkpoint version ${old.checkpointVersion}; before version ${CHECKPOINT_VERSION} the rows of QKV had another order`,
    'Load and save it once with the Megatron that wrote it, or any later one.',
  );
}

/** Experts that tensor ranks do not share lie in fewer files, in an order of their own. */
function checkExpertTensorRanks(
  args: MegatronArguments,
  { sizes }: LogicalModel,
  { tensorParallel, expertsOverTensorRanks }: MegatronSettings,
): void {
  const ranks = args['expert_tensor_parallel_size'] ?? null;
  if (sizes.experts === 0 || expertsOverTensorRanks) return;
  if (ranks === null || ranks === tensorParallel) return;
  throw broken(
    `its experts are divided over ${String(ranks)} tensor ranks and everything else over ${tensorParallel}; both must be divided alike`,
    'Save it with --expert-tensor-parallel-size equal to --tensor-model-parallel-size.',
  );
}

/** What keeps the padding when the checkpoint is divided anew; the rows themselves mean nothing. */
function paddingOf(
  vocabularyRows: number,
  args: MegatronArguments,
  { sizes }: LogicalModel,
): Partial<MegatronSettings> {
  if (vocabularyRows === sizes.vocab) return { vocabularyPadding: 'none' };
  const step = args['make_vocab_size_divisible_by'];
  const isCount = typeof step === 'number' && Number.isSafeInteger(step) && step > 0;
  return {
    vocabularyPadding: 'last_row',
    ...(isCount ? { vocabularyDivisibleBy: step } : {}),
  };
}

/** Arguments that decide where tensors are; all ranks must say the same. */
const LAYOUT_ARGUMENTS = [
  'tensor_model_parallel_size',
  'pipeline_model_parallel_size',
  'expert_model_parallel_size',
  'num_layers',
  'hidden_size',
  'num_layers_per_virtual_pipeline_stage',
  'num_layer_list',
  'noop_layers',
] as const;

function agreedArguments(files: readonly MegatronFile[]): MegatronArguments {
  const [first] = files;
  if (first === undefined) throw broken('it has no files');
  for (const file of files) {
    for (const name of LAYOUT_ARGUMENTS) {
      const [a, b] = [first.args?.[name] ?? null, file.args?.[name] ?? null];
      if (JSON.stringify(a) === JSON.stringify(b)) continue;
      throw broken(
        `${name} is ${JSON.stringify(a)} in ${first.directory} and ${JSON.stringify(b)} in ${file.directory}`,
      );
    }
  }
  return first.args ?? {};
}

function settingsOf(
  files: readonly MegatronFile[],
  args: MegatronArguments,
  model: LogicalModel,
): MegatronSettings {
  const stated = settingsOfArguments(args);
  const sizes = parallelSizesOf(files, stated);
  const settings = { ...DEFAULT_MEGATRON_SETTINGS, ...stated, ...sizes, ...namesOf(files) };
  const chunks = chunksOf(files);
  if (settings.schedule === 'dualpipev') return { ...settings, layersPerVirtualStage: null };
  if (chunks === 1) return { ...settings, layersPerVirtualStage: null };
  const perStage = megatronLayers(model.sizes.layers, settings) / settings.pipelineParallel;
  return { ...settings, layersPerVirtualStage: perStage / chunks };
}

function parallelSizesOf(
  files: readonly MegatronFile[],
  stated: Partial<MegatronSettings>,
): ParallelSizes {
  const directories: RankNumbers[] = files.map(({ directory }) => {
    const parsed = parseRankDirectory(directory);
    assert(parsed !== null, 'files come from directories of ranks');
    return parsed;
  });
  const holdsEmbedding = (directory: string): boolean =>
    files.some((file) => file.directory === directory && embeddingOf(file) !== undefined);
  const sizes =
    stated.tensorParallel === undefined
      ? inferParallelSizes(directories, holdsEmbedding)
      : {
          tensorParallel: stated.tensorParallel,
          pipelineParallel: stated.pipelineParallel ?? 1,
          expertParallel: stated.expertParallel ?? 1,
        };
  ranksOfDirectories(directories, sizes);
  return sizes;
}

/** Which table of names the tensors follow. */
function namesOf(
  files: readonly MegatronFile[],
): Pick<MegatronSettings, 'spec' | 'groupedGemm' | 'separateGate' | 'splitLatent'> {
  const names = files.flatMap(({ tensors }) => tensors.map(({ name }) => name));
  const has = (part: string): boolean => names.some((name) => name.includes(part));
  const groupedGemm = has('.mlp.experts.weight1') || has('.mlp.experts.linear_fc1.weight0');
  if (has(`${KEY_SEPARATOR}language_model${KEY_SEPARATOR}`)) {
    const spec = has('.input_norm.') ? 'legacy' : 'ascendspeed';
    return {
      spec,
      groupedGemm: false,
      separateGate: has('.mlp.gate_proj.'),
      splitLatent: false,
    };
  }
  const spec = has('.linear_qkv.layer_norm_') ? 'transformer_engine' : 'local';
  return { spec, groupedGemm, separateGate: false, splitLatent: has('.linear_kv_nope.') };
}

/** Chunks of a stage, by the highest number: a chunk of layers without weights holds no tensor. */
function chunksOf(files: readonly MegatronFile[]): number {
  let chunks = 1;
  for (const { tensors } of files) {
    for (const { name } of tensors) {
      const [key = ''] = name.split(KEY_SEPARATOR);
      const number = /^model(\d{1,4})$/.exec(key)?.[1];
      if (number !== undefined) chunks = Math.max(chunks, Number(number) + 1);
    }
  }
  return chunks;
}

function embeddingOf({ tensors }: MegatronFile): SourceTensor | undefined {
  return tensors.find(({ name }) =>
    name.replaceAll(KEY_SEPARATOR, '.').endsWith('.embedding.word_embeddings.weight'),
  );
}

function vocabularyRowsOf(files: readonly MegatronFile[], settings: MegatronSettings): number {
  const embedding = files.map(embeddingOf).find((tensor) => tensor !== undefined);
  if (embedding === undefined) throw broken('no rank holds the embedding');
  return embedding.rows * settings.tensorParallel;
}

/**
 * Converters and layer specifications differ in where the two norms of a layer are; ModelLink had other names for parts of
 * latent attention and for the gate of shared experts.
 */
const OTHER_NAMES: readonly (readonly [string, string])[] = [
  ['.mlp.linear_fc1.layer_norm_', '.pre_mlp_layernorm.'],
  ['.self_attention.linear_qkv.layer_norm_', '.input_layernorm.'],
  ['.linear_q_up_proj.weight', '.linear_qb.weight'],
  ['.linear_kv_up_proj.weight', '.linear_kvb.weight'],
  ['.self_attention.kv_layernorm.', '.self_attention.k_layernorm.'],
  ['.mlp.shared_experts.gate_weight', '.mlp.shared_expert_gate.weight'],
  // With layers that predict further tokens, the norm is outside of the decoder.
  [`${KEY_SEPARATOR}decoder.final_layernorm.`, `${KEY_SEPARATOR}final_layernorm.`],
];

/** Layers that predict further tokens, and the copy of the embedding that the last stage keeps for them. */
function isOfExtraLayer(name: string): boolean {
  const [, parameter = ''] = name.split(KEY_SEPARATOR);
  return parameter.startsWith('mtp.') || parameter === 'embedding.word_embeddings.weight';
}

function otherNames(name: string): readonly string[] {
  return OTHER_NAMES.flatMap(([one, other]) => {
    if (name.includes(one)) return [name.replace(one, other)];
    return name.includes(other) ? [name.replace(other, one)] : [];
  });
}

function broken(what: string, hint?: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_MEGATRON_CHECKPOINT,
    `The Megatron checkpoint cannot be read: ${what}`,
    hint === undefined ? {} : { hint },
  );
}
