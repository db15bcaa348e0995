/**
 * Reordering whole rows of a matrix for the two rotary conventions.
 *
 * Hugging Face rotates element i of a head with element i + D/2 (half split); GGUF files of architecture
 * `llama` rotate neighbours (interleaved), so their q and k rows are stored in another order. Rows move as
 * bytes, which makes it exact for quantized types too: their blocks run along the row.
 *
 * Bounds: `rotaryRowOrder` fills exactly heads × headDim entries, each below that number; `gatherRows`
 * asserts that source and order agree before it copies.
 */
import { assert } from '@tuneyard/core';

/** What the rows of a q or k projection are. */
export interface HeadRows {
  readonly heads: number;
  readonly headDim: number;
}

/**
 * Computes, for each interleaved row, the half-split row it comes from.
 *
 * Source: llama.cpp `LlamaModel.permute` (conversion/llama.py).
 */
export function interleavedFromHalfSplit({ heads, headDim }: HeadRows): Int32Array {
  const order = new Int32Array(heads * headDim);
  const half = headDim / 2;
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < half; i++) {
      order[h * headDim + 2 * i] = h * headDim + i;
      order[h * headDim + 2 * i + 1] = h * headDim + half + i;
    }
  }
  return order;
}

/** Computes, for each half-split row, the interleaved row it comes from: the inverse permutation. */
export function halfSplitFromInterleaved(rows: HeadRows): Int32Array {
  const forward = interleavedFromHalfSplit(rows);
  const order = new Int32Array(forward.length);
  for (let i = 0; i < forward.length; i++) order[forward[i]!] = i;
  return order;
}

/** Copies rows: row i of the result is row `order[i]` of `source`. */
export function gatherRows(source: Uint8Array, order: Int32Array): Uint8Array {
  const bytes = source.byteLength / order.length;
  assert(Number.isInteger(bytes), 'gatherRows: rows do not divide the bytes');
  const out = new Uint8Array(source.byteLength);
  for (let i = 0; i < order.length; i++) {
    const from = order[i]! * bytes;
    out.set(source.subarray(from, from + bytes), i * bytes);
  }
  return out;
}
