/** Compares the parts of a checkpoint that should hold the same numbers, as norms on every tensor-parallel rank. */
import { throwIfAborted } from '@tuneyard/core';
import type {
  ConversionPlan,
  Piece,
  Rectangle,
  SourceTensor,
  TargetTensor,
} from '../logical-model.js';
import { badPlan } from './check-plan.js';
import { ELEMENT_BYTES } from './element-sizes.js';
import {
  compareNumbers,
  type VerificationResult,
  type VerifyConversionOptions,
} from './verify-conversion.js';

/** A rectangle of one source, by its index. */
interface SourceRectangle {
  readonly source: number;
  readonly rectangle: Rectangle;
}

/** Sources with pairs of rectangles of the same logical numbers; the first of each is taken to be right. */
export interface ReplicatedSources {
  readonly sources: readonly SourceTensor[];
  readonly replicas: readonly (readonly [SourceRectangle, SourceRectangle])[];
}

/**
 * Compares the two rectangles of every pair.
 *
 * A difference is returned as in `verifyConversion`, with the path of the source file. Throws: `WEIGHTS_CONVERT_READ`,
 * `CANCELLED`; `WEIGHTS_CONVERT_PLAN` when a pair names no source.
 */
export async function verifyReplicas(
  { sources, replicas }: ReplicatedSources,
  options: VerifyConversionOptions = {},
): Promise<VerificationResult> {
  throwIfAborted(options.signal);
  // Each second rectangle is the target of a conversion of its own, which is not run but compared.
  const files = new Map<string, { tensors: TargetTensor[]; seconds: SourceTensor[] }>();
  for (const [first, second] of replicas) {
    const [from, to] = [sources[first.source], sources[second.source]];
    if (from === undefined || to === undefined) throw badPlan('A replica is of no source');
    if (from.dtype !== to.dtype) {
      const problem = `is ${to.dtype} and should be ${from.dtype}`;
      const mismatch = { file: to.file, tensor: to.name, problem };
      return { comparedBytes: 0, tensors: 0, mismatch };
    }
    const own = files.get(to.file) ?? { tensors: [], seconds: [] };
    files.set(to.file, own);
    const { name, dtype, rows, cols } = to;
    const pieces = [pieceOf(first, second.rectangle)];
    own.tensors.push({ name, dtype, shape: [rows, cols], rows, cols, pieces });
    own.seconds.push(to);
  }
  const plan: ConversionPlan = {
    sources,
    files: [...files].map(([path, { tensors }]) => {
      return { path, format: 'safetensors', extra: null, tensors };
    }),
  };
  const places = [...files.values()].flatMap(({ seconds }, file) =>
    seconds.map(({ begin, rows, cols, dtype }) => {
      return { file, begin, rows, cols, size: ELEMENT_BYTES[dtype] };
    }),
  );
  return await compareNumbers(plan, { paths: [...files.keys()], places }, options);
}

function pieceOf({ source, rectangle: from }: SourceRectangle, to: Rectangle): Piece {
  const [rows, cols] = to.transpose ? [to.cols, to.rows] : [to.rows, to.cols];
  return {
    source,
    sourceRow: from.storedRow,
    sourceCol: from.storedCol,
    rows,
    cols,
    targetRow: to.storedRow,
    targetCol: to.storedCol,
    transpose: from.transpose !== to.transpose,
  };
}
