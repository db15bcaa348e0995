/** Which tensors of a Megatron file are weights. */
import { KEY_SEPARATOR } from './rank-names.js';

/** Endings of what modules keep for themselves: tables of rotary angles, scales of Transformer Engine. */
const NO_WEIGHTS = ['_extra_state', 'rotary_emb.inv_freq', 'rotary_pos_emb.inv_freq'];

/** Whether a key path leads to a weight: below `model` or `model0` …, not optimizer or random state. */
export function isModelTensor(name: string): boolean {
  const [key = ''] = name.split(KEY_SEPARATOR);
  return /^model\d*$/.test(key) && !NO_WEIGHTS.some((ending) => name.endsWith(ending));
}
