/**
 * Open-addressing table from a pair of symbol ids to (rank, merged id).
 *
 * One array holds four words per slot (left, right, rank, result), so that a look-up touches one cache
 * line. A slot is named by the index of its first word.
 *
 * Bounds: every slot index is masked to the table, whose length is a power of two of slots, and the
 * table is at most two thirds full, so a probe always meets an empty slot.
 */

/** `slots` holds left, right, rank, result per slot; left is -1 in an empty one. */
export interface PairTable {
  /** Length of `slots` minus 4: masks a word index to the start of a slot. */
  readonly mask: number;
  readonly slots: Int32Array;
}

/** Offset of the rank in a slot. */
export const RANK_WORD = 2;
/** Offset of the merged id in a slot. */
export const RESULT_WORD = 3;

function slotHash(left: number, right: number): number {
  let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d) >>> 5;
}

/**
 * Builds the table. A pair that occurs twice keeps its last rule, as the reference's hash map does.
 *
 * Cost: 16 bytes times the power of two at or above 1.5 times the number of rules.
 */
export function buildPairTable(rules: {
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly rank: Int32Array;
  readonly result: Int32Array;
}): PairTable {
  const count = rules.left.length;
  let capacity = 16;
  while (capacity < count * 1.5) {
    capacity *= 2;
  }
  const slots = new Int32Array(capacity * 4).fill(-1);
  const mask = capacity * 4 - 4;
  for (let i = 0; i < count; i++) {
    const left = rules.left[i]!;
    const right = rules.right[i]!;
    let slot = slotHash(left, right) & mask;
    while (slots[slot]! !== -1 && !(slots[slot]! === left && slots[slot + 1]! === right)) {
      slot = (slot + 4) & mask;
    }
    slots[slot] = left;
    slots[slot + 1] = right;
    slots[slot + RANK_WORD] = rules.rank[i]!;
    slots[slot + RESULT_WORD] = rules.result[i]!;
  }
  return { mask, slots };
}

/** The slot of the pair, or -1 when no rule merges it. */
export function findPair(table: PairTable, left: number, right: number): number {
  const { slots, mask } = table;
  let slot = slotHash(left, right) & mask;
  for (;;) {
    const key = slots[slot]!;
    if (key === left && slots[slot + 1]! === right) {
      return slot;
    }
    if (key === -1) {
      return -1;
    }
    slot = (slot + 4) & mask;
  }
}
