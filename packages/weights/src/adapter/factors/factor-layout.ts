/**
 * Low-rank factors under a layout of the weights that they adapt.
 *
 * A layout says which rectangles of which logical tensors a stored tensor is made of. The same rectangles place the
 * factors: rows of W are rows of B, columns of W are columns of A. So whatever a layout does to a weight (grouped
 * attention, gate and up per rank, column- and row-parallel shards), its adapter follows without a rule of its own.
 */
import { assert, TuneyardError } from '@tuneyard/core';
import type { Rectangle, StoredSpec } from '../../convert/logical-model.js';
import { WEIGHTS_ERRORS } from '../../errors.js';
import {
  type BlockCorner,
  copyBlock,
  joinColumns,
  joinRows,
  sameNumbers,
  scaled,
} from './kernels/factor-blocks.js';

/** Factors of one weight: W' = W + scale · B · A with A [rank, columns], B [rows, rank]. */
export interface Factors {
  readonly rank: number;
  readonly rows: number;
  readonly columns: number;
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly scale: number;
}

/** Factors of a tensor as a file stores it. */
export interface StoredFactors extends Factors {
  readonly shard: string;
  /** Name of the adapted weight, with `.weight`. */
  readonly name: string;
}

/** Factors by logical tensor. */
export type LogicalFactors = ReadonlyMap<string, Factors>;

/** What to do when logical tensors that a layout joins into one have different A's. */
export type DifferentFactors = 'stack' | 'refuse';

/** A stored tensor whose parts kept an A each. */
export interface StackedFactors {
  readonly name: string;
  /** Logical tensors, in the order of their blocks. */
  readonly parts: readonly string[];
  readonly rank: number;
}

/** Where two ways to say the same thing could not both be exact. */
export interface ScatterReport {
  readonly stacked: readonly StackedFactors[];
  /** Logical tensors whose B took up a factor, because parts of one stored tensor had different scales. */
  readonly rescaled: readonly string[];
}

/**
 * Collects the factors of logical tensors from stored ones.
 *
 * Throws: `WEIGHTS_ADAPTER_MISMATCH` when ranks hold different copies of what must be equal, or parts are missing;
 * `WEIGHTS_ADAPTER_UNSUPPORTED` for weights that a layout stores turned.
 */
export function gatherFactors(
  layout: readonly StoredSpec[],
  stored: readonly StoredFactors[],
  shapes: ReadonlyMap<string, readonly number[]>,
): LogicalFactors {
  const byKey = new Map(stored.map((factors) => [keyOf(factors), factors]));
  const collected = new Map<string, Collected>();
  for (const spec of layout) {
    const factors = byKey.get(keyOf(spec));
    if (factors === undefined) continue;
    byKey.delete(keyOf(spec));
    checkStoredShape(spec, factors);
    for (const rectangle of spec.rectangles) {
      requireUpright(spec, rectangle);
      const known = collected.get(rectangle.logical);
      const part = known ?? startCollecting(rectangle.logical, factors, shapes);
      collected.set(rectangle.logical, part);
      collect(part, { spec, rectangle, factors });
    }
  }
  const stray = [...byKey.values()][0];
  if (stray !== undefined)
    throw mismatch(stray, 'adapts a weight that the base model does not have');
  return new Map([...collected].map(([logical, part]) => [logical, finished(logical, part)]));
}

interface Collected extends Factors {
  readonly knownRows: Uint8Array;
  readonly knownColumns: Uint8Array;
}

function startCollecting(
  logical: string,
  { rank, scale }: Factors,
  shapes: ReadonlyMap<string, readonly number[]>,
): Collected {
  const [rows = 0, columns = 0] = shapes.get(logical) ?? [];
  assert(rows > 0 && columns > 0, `${logical} is not a matrix of the model`);
  return {
    rank,
    rows,
    columns,
    scale,
    a: new Float32Array(rank * columns),
    b: new Float32Array(rows * rank),
    knownRows: new Uint8Array(rows),
    knownColumns: new Uint8Array(columns),
  };
}

function collect(
  part: Collected,
  from: { spec: StoredSpec; rectangle: Rectangle; factors: StoredFactors },
): void {
  const { rectangle: r, factors } = from;
  const { rank } = part;
  if (factors.rank !== rank || factors.scale !== part.scale) {
    throw mismatch(factors, `has rank ${factors.rank}; other shards of it have rank ${rank}`);
  }
  const column = joinColumns(
    { values: part.a, columns: part.columns, row: 0, column: r.logicalCol },
    { values: factors.a, columns: factors.columns, row: 0, column: r.storedCol },
    { size: { rows: rank, columns: r.cols }, known: part.knownColumns },
  );
  if (column >= 0) throw unequalCopies(factors, 'A', `column ${column} of ${r.logical}`);
  const row = joinRows(
    { values: part.b, columns: rank, row: r.logicalRow, column: 0 },
    { values: factors.b, columns: rank, row: r.storedRow, column: 0 },
    { size: { rows: r.rows, columns: rank }, known: part.knownRows },
  );
  if (row >= 0) throw unequalCopies(factors, 'B', `row ${row} of ${r.logical}`);
}

function finished(logical: string, part: Collected): Factors {
  const { rank, rows, columns, a, b, scale } = part;
  if (part.knownColumns.includes(0) || part.knownRows.includes(0)) {
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_ADAPTER_MISMATCH,
      `The adapter of ${logical} is not complete: some ranks lack their part`,
      { details: { tensor: logical }, hint: 'Are all rank files there, of one parallel layout?' },
    );
  }
  return { rank, rows, columns, a, b, scale };
}

/**
 * Places the factors of logical tensors into stored ones; only stored tensors with an adapted part appear.
 *
 * Parts of one stored tensor share its A. Where theirs are equal, the rank stays; where not, A's are stacked and every
 * part's rows of B are zero outside its own block: the product is exactly the same, the rank is the sum.
 *
 * Throws: `WEIGHTS_ADAPTER_NOT_SHARED` when A's differ and `different` is `refuse`; `WEIGHTS_ADAPTER_UNSUPPORTED` for
 * weights that a layout stores turned.
 */
export function scatterFactors(
  layout: readonly StoredSpec[],
  logical: LogicalFactors,
  different: DifferentFactors,
): { readonly stored: readonly StoredFactors[]; readonly report: ScatterReport } {
  const stored: StoredFactors[] = [];
  const stacked = new Map<string, StackedFactors>();
  const rescaled = new Set<string>();
  for (const spec of layout) {
    const members = membersOf(spec, logical);
    const [first] = members;
    if (first === undefined) continue;
    const blocks = shareBlocks(members);
    if (blocks.distinct > 1) {
      if (different === 'refuse') throw notShared(spec, members);
      const parts = members.map(({ id }) => id);
      const entry = { name: spec.name, parts, rank: blocks.rank };
      stacked.set(`${spec.name}\n${parts.join('\n')}`, entry);
    }
    for (const { id, factors } of members) {
      if (factors.scale !== first.factors.scale) rescaled.add(id);
    }
    stored.push(placeMembers(spec, { members, blocks, scale: first.factors.scale }));
  }
  const report = { stacked: [...stacked.values()], rescaled: [...rescaled] };
  return { stored, report };
}

interface Member {
  readonly id: string;
  readonly factors: Factors;
}

function membersOf(spec: StoredSpec, logical: LogicalFactors): Member[] {
  const members = new Map<string, Member>();
  for (const rectangle of spec.rectangles) {
    const factors = logical.get(rectangle.logical);
    if (factors === undefined) continue;
    requireUpright(spec, rectangle);
    members.set(rectangle.logical, { id: rectangle.logical, factors });
  }
  return [...members.values()];
}

interface Blocks {
  /** First rank of each member's block. */
  readonly at: ReadonlyMap<string, number>;
  readonly rank: number;
  readonly distinct: number;
}

/** Members with equal A's share a block. */
function shareBlocks(members: readonly Member[]): Blocks {
  const blocks: { a: Float32Array; begin: number }[] = [];
  const at = new Map<string, number>();
  let rank = 0;
  for (const { id, factors } of members) {
    let block = blocks.find(({ a }) => sameNumbers(a, factors.a));
    if (block === undefined) {
      block = { a: factors.a, begin: rank };
      blocks.push(block);
      rank += factors.rank;
    }
    at.set(id, block.begin);
  }
  return { at, rank, distinct: blocks.length };
}

function placeMembers(
  spec: StoredSpec,
  input: { members: readonly Member[]; blocks: Blocks; scale: number },
): StoredFactors {
  const { members, blocks, scale } = input;
  const { rank } = blocks;
  const [rows = 0, columns = 0] = spec.shape;
  const a = new Float32Array(rank * columns);
  const b = new Float32Array(rows * rank);
  for (const { id, factors } of members) {
    const begin = blocks.at.get(id) ?? 0;
    const ownB = factors.scale === scale ? factors.b : scaled(factors.b, factors.scale / scale);
    for (const r of spec.rectangles) {
      if (r.logical !== id) continue;
      const fromA: BlockCorner = {
        values: factors.a,
        columns: factors.columns,
        row: 0,
        column: r.logicalCol,
      };
      copyBlock({ values: a, columns, row: begin, column: r.storedCol }, fromA, {
        rows: factors.rank,
        columns: r.cols,
      });
      const fromB: BlockCorner = {
        values: ownB,
        columns: factors.rank,
        row: r.logicalRow,
        column: 0,
      };
      copyBlock({ values: b, columns: rank, row: r.storedRow, column: begin }, fromB, {
        rows: r.rows,
        columns: factors.rank,
      });
    }
  }
  return { shard: spec.shard, name: spec.name, rank, rows, columns, a, b, scale };
}

/** Appends ranks of zeros, which change nothing, up to a common rank. */
export function padRank<T extends Factors>(factors: T, rank: number): T {
  if (factors.rank === rank) return factors;
  const { rows, columns } = factors;
  const a = new Float32Array(rank * columns);
  const b = new Float32Array(rows * rank);
  a.set(factors.a);
  copyBlock(
    { values: b, columns: rank, row: 0, column: 0 },
    { values: factors.b, columns: factors.rank, row: 0, column: 0 },
    { rows, columns: factors.rank },
  );
  return { ...factors, rank, a, b };
}

/** Puts a factor into B so that factors have the asked scale. */
export function withScale<T extends Factors>(factors: T, scale: number): T {
  if (factors.scale === scale) return factors;
  return { ...factors, b: scaled(factors.b, factors.scale / scale), scale };
}

function keyOf({ shard, name }: { readonly shard: string; readonly name: string }): string {
  return `${shard}\n${name}`;
}

function checkStoredShape(spec: StoredSpec, factors: StoredFactors): void {
  const [rows, columns] = spec.shape;
  if (rows === factors.rows && columns === factors.columns) return;
  throw mismatch(
    factors,
    `adapts [${factors.rows}, ${factors.columns}]; the base weight is [${spec.shape.join(', ')}]`,
  );
}

function requireUpright(spec: StoredSpec, rectangle: Rectangle): void {
  if (!rectangle.transpose) return;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_UNSUPPORTED,
    `${shown(spec.name)} holds its weight turned, which adapters here do not follow`,
    { details: { tensor: shown(spec.name) } },
  );
}

function notShared(spec: StoredSpec, members: readonly Member[]): TuneyardError {
  const parts = members.map(({ id }) => id);
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_NOT_SHARED,
    `${shown(spec.name)} joins ${parts.join(', ')}, whose adapters have different A matrices`,
    {
      details: { tensor: shown(spec.name), parts },
      hint: 'Stacking them is exact and needs the sum of their ranks.',
    },
  );
}

function unequalCopies(factors: StoredFactors, side: 'A' | 'B', where: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_MISMATCH,
    `${factors.shard}: lora_${side} of ${shown(factors.name)} differs from its copy on another rank (${where})`,
    {
      details: { shard: factors.shard, tensor: shown(factors.name) },
      hint: 'Merging rank by rank does not need equal copies.',
    },
  );
}

function mismatch(factors: StoredFactors, what: string): TuneyardError {
  const place = factors.shard === '' ? '' : `${factors.shard}: `;
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_MISMATCH,
    `${place}the adapter of ${shown(factors.name)} ${what}`,
    { details: { shard: factors.shard, tensor: shown(factors.name) } },
  );
}

/** Key paths of nested dictionaries, readable. */
export function shown(name: string): string {
  return name.replaceAll('\u001f', '/');
}
