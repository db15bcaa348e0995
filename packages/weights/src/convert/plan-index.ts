/**
 * Finds which stored source tensors hold a part of a logical tensor.
 *
 * Replicas are common (norms on every tensor-parallel rank, tied embeddings on two stages): the index keeps the first
 * holder of each element and can list the others.
 */
import type { Rectangle, SourceTensor, StoredSpec } from './logical-model.js';
import { type Block, intersect, logicalBlock, subtract } from './plan-rectangles.js';

/** A stored tensor of the checkpoint that is read: what it holds and where its numbers are. */
export interface StoredSource {
  readonly spec: StoredSpec;
  readonly tensor: SourceTensor;
}

/** A rectangle of one source, by its index. */
export interface Holder {
  readonly source: number;
  readonly rectangle: Rectangle;
}

/** A part of a logical tensor and the stored rectangle to take it from. */
export interface HeldBlock extends Holder {
  readonly block: Block;
}

interface LogicalIndex {
  /** Disjoint, sorted by first row. */
  readonly held: readonly HeldBlock[];
  /** For each, the largest end row of it and all before: lets a search start in the middle. */
  readonly reach: readonly number[];
}

/** Holders of every logical tensor. */
export interface HolderIndex {
  readonly logicals: ReadonlyMap<string, LogicalIndex>;
  /** Holders whose rectangle is word for word that of an earlier one, with that one first. */
  readonly replicas: readonly (readonly [Holder, Holder])[];
}

/** Indexes rectangles by logical tensor. Cost: near linear in the number of rectangles. */
export function indexHolders(sources: readonly StoredSource[]): HolderIndex {
  const byLogical = new Map<string, Map<string, Holder>>();
  const replicas: (readonly [Holder, Holder])[] = [];
  for (const [source, { spec }] of sources.entries()) {
    for (const rectangle of spec.rectangles) {
      const distinct = byLogical.get(rectangle.logical) ?? new Map<string, Holder>();
      byLogical.set(rectangle.logical, distinct);
      const { logicalRow, logicalCol, rows, cols } = rectangle;
      const key = `${logicalRow},${logicalCol},${rows},${cols}`;
      const first = distinct.get(key);
      if (first === undefined) distinct.set(key, { source, rectangle });
      else replicas.push([first, { source, rectangle }]);
    }
  }
  const logicals = new Map<string, LogicalIndex>();
  for (const [logical, distinct] of byLogical) logicals.set(logical, indexOne(distinct.values()));
  return { logicals, replicas };
}

function indexOne(holders: Iterable<Holder>): LogicalIndex {
  const held: HeldBlock[] = [];
  for (const holder of holders) {
    let open: readonly Block[] = [logicalBlock(holder.rectangle)];
    for (const { block } of held) open = withoutBlock(open, block);
    for (const block of open) held.push({ ...holder, block });
  }
  held.sort((a, b) => a.block.row - b.block.row || a.block.col - b.block.col);
  let end = 0;
  const reach = held.map(({ block }) => {
    end = Math.max(end, block.row + block.rows);
    return end;
  });
  return { held, reach };
}

function withoutBlock(blocks: readonly Block[], taken: Block): readonly Block[] {
  if (!blocks.some((block) => intersect(block, taken) !== null)) return blocks;
  return blocks.flatMap((block) => {
    const common = intersect(block, taken);
    return common === null ? [block] : subtract(block, common);
  });
}

/** The parts of `wanted` that sources hold: disjoint, in the order of their first rows. */
export function findHolders(index: HolderIndex, logical: string, wanted: Block): HeldBlock[] {
  const one = index.logicals.get(logical);
  if (one === undefined) return [];
  const found: HeldBlock[] = [];
  for (let at = firstReaching(one.reach, wanted.row); at < one.held.length; at++) {
    const candidate = one.held[at];
    if (candidate === undefined || candidate.block.row >= wanted.row + wanted.rows) break;
    const block = intersect(candidate.block, wanted);
    if (block !== null) found.push({ ...candidate, block });
  }
  return found;
}

/** The first index whose reach passes `row`. */
function firstReaching(reach: readonly number[], row: number): number {
  let low = 0;
  let high = reach.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((reach[middle] ?? 0) > row) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** What of `wanted` no holder gives. */
export function uncovered(wanted: Block, found: readonly HeldBlock[]): readonly Block[] {
  let open: readonly Block[] = [wanted];
  for (const { block } of found) open = withoutBlock(open, block);
  return open;
}
