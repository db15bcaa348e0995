/**
 * Lays a micro-batch out for a graph: tokens, positions, masks, targets.
 *
 * Pure: no library is touched. Rows are padded to a common T and the learned positions to a common M, both
 * rounded up so that few different graphs are needed.
 */
import { assert } from '@tuneyard/core';
import type { PackedRow } from '@tuneyard/data';

/** Sizes that decide which graph runs a batch. */
export interface BatchShape {
  /** B. */
  readonly rows: number;
  /** T. */
  readonly tokens: number;
  /** M, a multiple of 32. */
  readonly learned: number;
  /** Positions per chunk of the vocabulary head. */
  readonly chunk: number;
  /** Query blocks of attention; divides T. */
  readonly queryBlocks: number;
}

/** The values of a batch, ready to be copied into tensors. */
export interface BatchData {
  readonly tokens: Int32Array;
  readonly positions: Int32Array;
  /** f16 bits, one mask [Tk, Tq, 1, B] per query block. */
  readonly masks: readonly Uint16Array[];
  readonly learned: Int32Array;
  readonly target: Int32Array;
  readonly target64: BigInt64Array;
  /** 1 for a learned position, 0 for padding. */
  readonly weight: Float32Array;
  readonly learnedTokens: number;
}

// Score floats of one head chunk: 16 MB.
const CHUNK_FLOATS = 4 * 1024 * 1024;
const TOKEN_GRANULE = 32;
const MINUS_INFINITY_F16 = 0xfc00;

/** Chooses the padded sizes of a batch. Pure. */
export function planBatchShape(rows: readonly PackedRow[], vocabSize: number): BatchShape {
  assert(rows.length > 0, 'a batch has at least one row');
  const longest = rows.reduce((max, row) => Math.max(max, row.ids.length), 0);
  const learned = rows.reduce((sum, row) => sum + countLearned(row), 0);
  const granule = learned > 256 ? 128 : TOKEN_GRANULE;
  const tokens = roundUp(Math.max(longest, 1), TOKEN_GRANULE);
  return {
    rows: rows.length,
    tokens,
    learned: roundUp(Math.max(learned, 1), granule),
    chunk: headChunk(vocabSize),
    queryBlocks: queryBlockCount(tokens),
  };
}

/** Positions per head chunk: a power of two of at least 32 that keeps a chunk's scores near 16 MB. */
export function headChunk(vocabSize: number): number {
  const fit = Math.floor(CHUNK_FLOATS / vocabSize);
  return Math.min(1024, Math.max(32, 2 ** Math.floor(Math.log2(Math.max(fit, 1)))));
}

/** Longer rows gain from skipping the masked half; short ones lose to the overhead of more nodes. */
function queryBlockCount(tokens: number): number {
  if (tokens >= 256) return 4;
  return tokens >= 128 ? 2 : 1;
}

/** Fills the arrays of a batch of the given shape. Throws: an assertion when a row does not fit. */
export function layOutBatch(
  rows: readonly PackedRow[],
  shape: BatchShape,
  vocabSize: number,
): BatchData {
  const { tokens: T } = shape;
  const N = shape.rows * T;
  const tokens = new Int32Array(N);
  const positions = new Int32Array(N);
  const segments = new Int32Array(N);
  const learned = new Int32Array(shape.learned);
  const target = new Int32Array(shape.learned);
  const target64 = new BigInt64Array(shape.learned);
  const weight = new Float32Array(shape.learned);
  let count = 0;
  for (const [b, row] of rows.entries()) {
    assert(row.ids.length <= T, `a row of ${row.ids.length} tokens in a batch of ${T}`);
    tokens.set(row.ids, b * T);
    layOutSegments(row, { positions, segments, offset: b * T, tokens: T });
    for (const [i, isLearned] of row.learned.entries()) {
      if (isLearned === 0) continue;
      assert(i > 0 && positions[b * T + i] !== 0, 'the first token of a sample is never learned');
      learned[count] = b * T + i - 1;
      const label = row.labels === undefined ? row.ids[i] : row.labels[i];
      target[count] = (count % shape.chunk) * vocabSize + (label ?? 0);
      target64[count] = BigInt(target[count] ?? 0);
      weight[count] = 1;
      count++;
    }
  }
  // Padding points into its own column: a shared one would overwrite a real gradient.
  for (let i = count; i < shape.learned; i++) {
    target[i] = (i % shape.chunk) * vocabSize;
    target64[i] = BigInt(target[i] ?? 0);
  }
  const masks = blockMasks(segments, shape);
  return { tokens, positions, masks, learned, target, target64, weight, learnedTokens: count };
}

/** Number of learned tokens of a row. */
export function countLearned(row: PackedRow): number {
  return row.learned.reduce((sum, x) => sum + x, 0);
}

function layOutSegments(
  row: PackedRow,
  out: { positions: Int32Array; segments: Int32Array; offset: number; tokens: number },
): void {
  let at = 0;
  // Padding counts as one more segment, so that it sees nothing of the samples.
  const lengths = [...row.segmentLengths, out.tokens - row.ids.length];
  for (const [s, length] of lengths.entries()) {
    for (let i = 0; i < length; i++) {
      out.positions[out.offset + at] = i;
      out.segments[out.offset + at] = s;
      at++;
    }
  }
  assert(at === out.tokens, 'the segments of a row cover it exactly');
}

/** One mask per query block: causal inside a segment, closed between segments. */
function blockMasks(segments: Int32Array, shape: BatchShape): Uint16Array[] {
  const { tokens: T, rows: B, queryBlocks } = shape;
  const Tq = T / queryBlocks;
  return Array.from({ length: queryBlocks }, (_, block) => {
    const Tk = (block + 1) * Tq;
    const mask = new Uint16Array(Tk * Tq * B).fill(MINUS_INFINITY_F16);
    for (let b = 0; b < B; b++) {
      for (let q = 0; q < Tq; q++) {
        const query = block * Tq + q;
        const segment = segments[b * T + query];
        let first = query;
        while (first > 0 && segments[b * T + first - 1] === segment) first--;
        const at = (b * Tq + q) * Tk;
        mask.fill(0, at + first, at + query + 1);
      }
    }
    return mask;
  });
}

function roundUp(n: number, granule: number): number {
  return Math.ceil(n / granule) * granule;
}
