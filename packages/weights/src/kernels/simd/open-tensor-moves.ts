import { PlainTensorMoves } from './plain-tensor-moves.js';
import { SimdTensorMoves } from './simd-tensor-moves.js';
import type { TensorMoves } from './tensor-moves.js';

/** Opens a memory with the fastest kernels that this Node runs. */
export function openTensorMoves(): TensorMoves {
  return SimdTensorMoves.open() ?? new PlainTensorMoves();
}
