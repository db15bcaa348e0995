/**
 * Open-addressing table from a pair of symbol ids to (rank, merged id).
 *
 * Bounds: every index is masked by `mask`, which is one less than the length of the four arrays, and
 * the table is at most half full, so a probe always meets an empty slot.
 */

/** Keys and values in parallel arrays of a power-of-two length; `left` is -1 in an empty slot. */
export interface PairTable {
  readonly mask: number;
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly rank: Int32Array;
  readonly result: Int32Array;
}

function slotHash(left: number, right: number): number {
  let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d) >>> 7;
}

/**
 * Builds the table. A pair that occurs twice keeps its last rule, as the reference's hash map does.
 *
 * Cost: 16 bytes times the power of two at or above twice the number of rules.
 */
export function buildPairTable(rules: {
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly rank: Int32Array;
  readonly result: Int32Array;
}): PairTable {
  const count = rules.left.length;
  let capacity = 16;
  while (capacity < count * 2) {
    capacity *= 2;
  }
  const table: PairTable = {
    mask: capacity - 1,
    left: new Int32Array(capacity).fill(-1),
    right: new Int32Array(capacity),
    rank: new Int32Array(capacity),
    result: new Int32Array(capacity),
  };
  for (let i = 0; i < count; i++) {
    const left = rules.left[i]!;
    const right = rules.right[i]!;
    let slot = slotHash(left, right) & table.mask;
    while (
      table.left[slot]! !== -1 &&
      !(table.left[slot]! === left && table.right[slot]! === right)
    ) {
      slot = (slot + 1) & table.mask;
    }
    table.left[slot] = left;
    table.right[slot] = right;
    table.rank[slot] = rules.rank[i]!;
    table.result[slot] = rules.result[i]!;
  }
  return table;
}

/** The slot of the pair, or -1 when no rule merges it. */
export function findPair(table: PairTable, left: number, right: number): number {
  let slot = slotHash(left, right) & table.mask;
  for (;;) {
    const key = table.left[slot]!;
    if (key === -1) {
      return -1;
    }
    if (key === left && table.right[slot]! === right) {
      return slot;
    }
    slot = (slot + 1) & table.mask;
  }
}
