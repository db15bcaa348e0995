/** Names of rank directories and of the model's dictionaries inside of their files. */
import type { MegatronSettings } from './settings.js';

/** Parts the keys of nested dictionaries in {@link StoredSpec} names. */
export const KEY_SEPARATOR = '\u001f';

/** One rank of tensor, pipeline and expert parallelism. */
export interface MegatronRank {
  readonly tensor: number;
  readonly stage: number;
  readonly expert: number;
}

/** `mp_rank_TT`, `mp_rank_TT_PPP`, `mp_rank_TT_EEE` or `mp_rank_TT_PPP_EEE`. */
export function rankDirectory(
  rank: MegatronRank,
  settings: Pick<MegatronSettings, 'pipelineParallel' | 'expertParallel'>,
): string {
  const parts = [`mp_rank_${pad(rank.tensor, 2)}`];
  if (settings.pipelineParallel > 1) parts.push(pad(rank.stage, 3));
  if (settings.expertParallel > 1) parts.push(pad(rank.expert, 3));
  return parts.join('_');
}

/** Every rank, by stage, then expert, then tensor. */
export function allRanks(settings: MegatronSettings): readonly MegatronRank[] {
  const ranks: MegatronRank[] = [];
  for (let stage = 0; stage < settings.pipelineParallel; stage++) {
    for (let expert = 0; expert < settings.expertParallel; expert++) {
      for (let tensor = 0; tensor < settings.tensorParallel; tensor++) {
        ranks.push({ tensor, stage, expert });
      }
    }
  }
  return ranks;
}

/** The dictionary that holds a chunk: `model`, or `model0`, `model1`, … with virtual stages. */
export function chunkKey(chunk: number, chunks: number): string {
  return chunks === 1 ? 'model' : `model${chunk}`;
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}
