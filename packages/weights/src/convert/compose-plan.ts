/**
 * Composes two layouts of one model into a conversion: for every stored tensor of the target, the rectangles of source
 * tensors that it is made of.
 *
 * Both layouts speak in rectangles of logical tensors; what a target rectangle and a source rectangle have in common is
 * a piece. Checked against a naive element-by-element interpreter on random layouts.
 */
import { assert, TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../errors.js';
import type {
  ConvertedDtype,
  Piece,
  Rectangle,
  SourceTensor,
  StoredSpec,
  TargetTensor,
} from './logical-model.js';
import {
  findHolders,
  type HeldBlock,
  type Holder,
  indexHolders,
  type StoredSource,
  uncovered,
} from './plan-index.js';
import { mergePieces } from './plan-merge.js';
import {
  area,
  describeBlock,
  findOverlap,
  locate,
  logicalBlock,
  storedBlock,
} from './plan-rectangles.js';

export type { StoredSource } from './plan-index.js';

/** How numbers are written. */
export interface ComposeOptions {
  /** Null keeps each tensor's type. Otherwise F32, F16 and BF16 become this; other types are always kept. */
  readonly dtype: ConvertedDtype | null;
  /** Logical tensors that keep their type whatever `dtype` says. */
  readonly keepsDtype?: (logical: string) => boolean;
}

/** A target tensor and the shard that its layout puts it into. */
export interface ComposedTensor {
  readonly shard: string;
  readonly tensor: TargetTensor;
}

/** Two layouts, composed. */
export interface Composition {
  readonly sources: readonly SourceTensor[];
  readonly targets: readonly ComposedTensor[];
  /** Logical tensors that the source holds and the target does not take. */
  readonly unused: readonly string[];
  /** Pairs of source rectangles that should hold the same numbers; the first of each is the one that is read. */
  readonly replicas: readonly (readonly [Holder, Holder])[];
}

/** The 2-D view of a stored tensor that its rectangles are in. */
export function storedView(spec: StoredSpec): { readonly rows: number; readonly cols: number } {
  if (spec.view !== undefined) return spec.view;
  const last = spec.shape.at(-1) ?? 1;
  const all = spec.shape.reduce((product, size) => product * size, 1);
  if (spec.shape.length < 2) return { rows: all, cols: 1 };
  return { rows: last === 0 ? 0 : all / last, cols: last };
}

/**
 * Composes a source and a target layout.
 *
 * Throws: `WEIGHTS_LAYOUT_GAP` when a target tensor needs numbers that no source holds; `WEIGHTS_LAYOUT_OVERLAP` when
 * the target layout fills an element twice or not at all; `WEIGHTS_TENSOR_DTYPE` when one target tensor would be made
 * of types that have no common one.
 * Cost: near linear in the number of rectangles.
 */
export function composePlan(
  sources: readonly StoredSource[],
  target: readonly StoredSpec[],
  options: ComposeOptions,
): Composition {
  const index = indexHolders(sources);
  const taken = new Set<string>();
  const targets = target.map((spec) => {
    checkFilledOnce(spec);
    const pieces = spec.rectangles.flatMap((rectangle) => {
      taken.add(rectangle.logical);
      const wanted = logicalBlock(rectangle);
      const found = findHolders(index, rectangle.logical, wanted);
      checkCovered(spec, rectangle, found);
      return found.map((held) => makePiece(held, rectangle));
    });
    const merged = mergePieces(pieces);
    const tensor: TargetTensor = {
      name: spec.name,
      dtype: targetDtype(spec, merged, sources, options),
      shape: spec.shape,
      ...storedView(spec),
      pieces: merged,
    };
    return { shard: spec.shard, tensor };
  });
  return {
    sources: sources.map(({ tensor }) => tensor),
    targets,
    unused: [...index.logicals.keys()].filter((logical) => !taken.has(logical)),
    replicas: index.replicas,
  };
}

function makePiece(held: HeldBlock, target: Rectangle): Piece {
  const { block } = held;
  const from = locate(held.rectangle, block);
  const to = locate(target, block);
  return {
    source: held.source,
    sourceRow: from.row,
    sourceCol: from.col,
    rows: target.transpose ? block.cols : block.rows,
    cols: target.transpose ? block.rows : block.cols,
    targetRow: to.row,
    targetCol: to.col,
    transpose: held.rectangle.transpose !== target.transpose,
  };
}

function checkCovered(spec: StoredSpec, rectangle: Rectangle, found: readonly HeldBlock[]): void {
  const wanted = logicalBlock(rectangle);
  if (area(found.map(({ block }) => block)) === wanted.rows * wanted.cols) return;
  const gap = uncovered(wanted, found)[0] ?? wanted;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_LAYOUT_GAP,
    `${place(spec)} needs ${describeBlock(gap)} of ${rectangle.logical}, which the source does not hold`,
    { details: { tensor: spec.name, logical: rectangle.logical } },
  );
}

function checkFilledOnce(spec: StoredSpec): void {
  const { rows, cols } = storedView(spec);
  const blocks = spec.rectangles.map(storedBlock);
  const overlap = findOverlap(blocks);
  const outside = blocks.find(
    ({ row, col, ...size }) =>
      row < 0 || col < 0 || row + size.rows > rows || col + size.cols > cols,
  );
  const filled = area(blocks);
  if (overlap === null && outside === undefined && filled === rows * cols) return;
  let what = `fills ${filled} of ${rows * cols} elements`;
  if (outside !== undefined) what = `has ${describeBlock(outside)} outside of ${rows} × ${cols}`;
  if (overlap !== null) {
    what = `fills an element twice: ${describeBlock(overlap[0])} and ${describeBlock(overlap[1])}`;
  }
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_LAYOUT_OVERLAP,
    `The layout of ${place(spec)} ${what}`,
    { category: 'internal', details: { tensor: spec.name } },
  );
}

/** Types that can be cast to each other, from narrow to wide. */
const FLOATS: readonly ConvertedDtype[] = ['F16', 'BF16', 'F32'];

function targetDtype(
  spec: StoredSpec,
  pieces: readonly Piece[],
  sources: readonly StoredSource[],
  options: ComposeOptions,
): ConvertedDtype {
  const found = new Set<ConvertedDtype>();
  for (const { source } of pieces) {
    const stored = sources[source];
    assert(stored !== undefined, 'a piece names a source that exists');
    found.add(stored.tensor.dtype);
  }
  const kept = spec.rectangles.some(({ logical }) => options.keepsDtype?.(logical) === true);
  if ([...found].every((dtype) => FLOATS.includes(dtype))) {
    if (options.dtype !== null && !kept) return options.dtype;
    if (found.size > 1) return 'F32';
  }
  const [only] = found;
  if (found.size > 1) {
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_TENSOR_DTYPE,
      `${place(spec)} is made of tensors of the types ${[...found].join(', ')}, which are not cast to each other`,
      { details: { tensor: spec.name } },
    );
  }
  return only ?? options.dtype ?? 'F32';
}

function place(spec: StoredSpec): string {
  const name = spec.name.replaceAll('\u001f', ' / ');
  return spec.shard === '' ? name : `${spec.shard}: ${name}`;
}
