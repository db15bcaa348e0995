/**
 * Which side of a conversion is walked along: blocks of source rows that are scattered, or blocks of target rows that
 * are gathered. Chosen for all tensors that hang together, so that each piece moves exactly once.
 */
import { type Move, sourceExtent } from './move-task.js';

/** Source and target tensors connected by pieces. */
export interface TensorGroup {
  readonly drive: 'source' | 'target';
  readonly moves: readonly Move[];
}

/** A strided write costs more than a strided read: it takes whole pages of the cache for parts of them. */
const WRITE_WEIGHT = 2;

/** Divides moves into groups that share no tensor, in the order of their first moves. */
export function groupMoves(moves: readonly Move[], blockBytes: number): TensorGroup[] {
  const parents = new Map<object, object>();
  const rootOf = (node: object): object => {
    let root = node;
    for (let up = parents.get(root); up !== undefined && up !== root; up = parents.get(root)) {
      root = up;
    }
    // Later searches find the root in one step.
    for (let at = node; at !== root; ) {
      const up = parents.get(at) ?? root;
      parents.set(at, root);
      at = up;
    }
    return root;
  };
  for (const { source, target } of moves) {
    const [a, b] = [rootOf(source), rootOf(target)];
    if (a !== b) parents.set(b, a);
  }
  const groups = new Map<object, Move[]>();
  for (const move of moves) {
    const root = rootOf(move.source);
    const group = groups.get(root);
    if (group === undefined) groups.set(root, [move]);
    else group.push(move);
  }
  return [...groups.values()].map((group) => ({
    moves: group,
    drive: chooseDrive(group, blockBytes),
  }));
}

/** Fewest calls of the system win; sources of which a part is needed twice are walked along, to be read once. */
function chooseDrive(moves: readonly Move[], blockBytes: number): 'source' | 'target' {
  const sources = new Map<object, number>();
  let scatterWrites = 0;
  let gatherReads = 0;
  for (const move of moves) {
    const { source, target, to } = move;
    sources.set(source, (sources.get(source) ?? 0) + to.rows * to.cols);
    const from = sourceExtent(move);
    const blocks = Math.ceil((to.rows * to.cols * target.size) / blockBytes);
    const isWideRead = !move.transpose && from.cols === source.cols;
    const isWideWrite = !move.transpose && to.cols === target.cols;
    scatterWrites += isWideWrite ? blocks : to.rows * WRITE_WEIGHT;
    gatherReads += isWideRead ? blocks : from.rows;
  }
  const isReadTwice = [...sources].some(([source, taken]) => {
    const { rows, cols } = source as Move['source'];
    return taken > rows * cols;
  });
  if (isReadTwice) return 'source';
  return gatherReads < scatterWrites ? 'target' : 'source';
}
