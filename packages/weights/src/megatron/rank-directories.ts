/**
 * Which rank each directory of an iteration belongs to.
 *
 * `mp_rank_00_001` is pipeline stage 1 or expert rank 1: the names alone do not tell. The sizes that the checkpoint's
 * own arguments state decide; without arguments (the oldest converter wrote none) the embedding does, which only the
 * first stage holds but every expert rank does.
 */
import { TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../errors.js';
import { allRanks, type MegatronRank, rankDirectory } from './rank-names.js';
import { DEFAULT_MEGATRON_SETTINGS } from './settings.js';

/** Sizes of the three kinds of parallelism that name directories. */
export interface ParallelSizes {
  readonly tensorParallel: number;
  readonly pipelineParallel: number;
  readonly expertParallel: number;
}

/** Far above the largest trainings' model-parallel ranks; arguments of a file may state anything. */
const MAX_RANKS = 2 ** 16;

/** The numbers in a directory's name. */
export interface RankNumbers {
  readonly directory: string;
  /** One to three: tensor; tensor and stage, or tensor and expert; tensor, stage and expert. */
  readonly numbers: readonly number[];
}

/** Parses `mp_rank_00`, `mp_rank_00_001`, `mp_rank_00_001_002`; null for other names. */
export function parseRankDirectory(directory: string): RankNumbers | null {
  const match = /^mp_rank_(\d{2,})(?:_(\d{3,}))?(?:_(\d{3,}))?$/.exec(directory);
  if (match === null) return null;
  const numbers = match
    .slice(1)
    .flatMap((digits) => (digits === undefined ? [] : [Number(digits)]));
  return { directory, numbers };
}

/**
 * Sizes as the directories alone tell them. `holdsEmbedding` is asked only for names that could be either kind.
 *
 * Throws: `WEIGHTS_MEGATRON_CHECKPOINT` when names of different lengths are mixed, or there are none.
 */
export function inferParallelSizes(
  directories: readonly RankNumbers[],
  holdsEmbedding: (directory: string) => boolean,
): ParallelSizes {
  const lengths = new Set(directories.map(({ numbers }) => numbers.length));
  const [length] = lengths;
  if (length === undefined || lengths.size > 1) {
    const names = directories.map(({ directory }) => directory).join(', ');
    throw broken(
      length === undefined
        ? 'there are no directories mp_rank_XX'
        : `directories of different divisions are mixed: ${names}`,
    );
  }
  const size = (at: number): number =>
    directories.reduce((most, { numbers }) => Math.max(most, (numbers[at] ?? 0) + 1), 1);
  const sizes = { tensorParallel: size(0), pipelineParallel: size(1), expertParallel: size(2) };
  const later = directories.find(({ numbers }) => numbers.length === 2 && (numbers[1] ?? 0) > 0);
  if (length !== 2 || later === undefined || !holdsEmbedding(later.directory)) return sizes;
  return { ...sizes, pipelineParallel: 1, expertParallel: size(1) };
}

/**
 * The rank of each directory, given the sizes.
 *
 * Throws: `WEIGHTS_MEGATRON_CHECKPOINT` naming every directory that is missing and every one too many.
 */
export function ranksOfDirectories(
  directories: readonly RankNumbers[],
  sizes: ParallelSizes,
): ReadonlyMap<string, MegatronRank> {
  const { tensorParallel, pipelineParallel, expertParallel } = sizes;
  const division = `${tensorParallel} tensor, ${pipelineParallel} pipeline and ${expertParallel} expert ranks`;
  if (tensorParallel * pipelineParallel * expertParallel > MAX_RANKS) {
    throw broken(`it says that it has ${division}; at most ${MAX_RANKS} are read`);
  }
  const expected = new Map(
    allRanks({ ...DEFAULT_MEGATRON_SETTINGS, ...sizes }).map((rank) => [
      rankDirectory(rank, sizes),
      rank,
    ]),
  );
  const found = new Set(directories.map(({ directory }) => directory));
  const missing = [...expected.keys()].filter((directory) => !found.has(directory));
  const extra = [...found].filter((directory) => !expected.has(directory));
  if (missing.length === 0 && extra.length === 0) return expected;
  const parts = [
    ...(missing.length > 0 ? [`missing ${missing.join(', ')}`] : []),
    ...(extra.length > 0 ? [`not expected ${extra.join(', ')}`] : []),
  ];
  throw broken(`with ${division} the directories do not fit: ${parts.join('; ')}`);
}

function broken(what: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_MEGATRON_CHECKPOINT,
    `The Megatron checkpoint is not whole: ${what}`,
  );
}
