/** Builds {@link MergeRules} from the two ways files state them: a list of pairs, or piece scores. */

import { type MergeRules, VIRTUAL_SYMBOL_BASE } from './definition.js';
import { badFile } from './json-fields.js';

/**
 * Rules in the order of the list: the first merges first.
 *
 * Throws: `TOKENIZER_BAD_FILE` when a part, or the two together, is no token.
 */
export function rulesFromPairs(
  pairs: readonly (readonly [string, string])[],
  symbols: ReadonlyMap<string, number>,
  where: string,
): MergeRules {
  const rules = allocate(pairs.length);
  for (let i = 0; i < pairs.length; i++) {
    const [left, right] = pairs[i] ?? ['', ''];
    const leftId = symbols.get(left);
    const rightId = symbols.get(right);
    const result = symbols.get(left + right);
    if (leftId === undefined || rightId === undefined || result === undefined) {
      const missing = leftId === undefined ? left : rightId === undefined ? right : left + right;
      throw badFile(
        where,
        `merge ${i} joins ${JSON.stringify(left)} and ${JSON.stringify(right)}, but ${JSON.stringify(missing)} is not in the vocabulary`,
      );
    }
    rules.left[i] = leftId;
    rules.right[i] = rightId;
    rules.result[i] = result;
    rules.rank[i] = i;
  }
  return rules;
}

/** A piece that merges may produce. */
export interface ScoredPiece {
  readonly text: string;
  readonly id: number;
  readonly score: number;
}

/**
 * Rules of a SentencePiece BPE model: any two symbols that together spell a piece merge, the highest
 * score first, equal scores left to right. Characters that are no tokens but open or close a piece are
 * added to `symbols` from {@link VIRTUAL_SYMBOL_BASE} on.
 *
 * Mutates: `symbols`.
 */
export function rulesFromScores(
  pieces: readonly ScoredPiece[],
  symbols: Map<string, number>,
): MergeRules {
  const rankOfScore = denseRanks(pieces);
  const found: number[] = [];
  const virtual = { next: VIRTUAL_SYMBOL_BASE };
  for (const piece of pieces) {
    const chars = Array.from(piece.text);
    let left = '';
    for (let i = 0; i + 1 < chars.length; i++) {
      left += chars[i] ?? '';
      const leftId = symbolOf(left, i === 0, symbols, virtual);
      const right = piece.text.slice(left.length);
      const rightId = symbolOf(right, i + 2 === chars.length, symbols, virtual);
      if (leftId !== undefined && rightId !== undefined) {
        found.push(leftId, rightId, piece.id, rankOfScore.get(piece.score) ?? 0);
      }
    }
  }
  const rules = allocate(found.length / 4);
  for (let i = 0; i < rules.left.length; i++) {
    rules.left[i] = found[4 * i] ?? 0;
    rules.right[i] = found[4 * i + 1] ?? 0;
    rules.result[i] = found[4 * i + 2] ?? 0;
    rules.rank[i] = found[4 * i + 3] ?? 0;
  }
  return rules;
}

/** Ids of `<0x00>` … `<0xFF>`, -1 where the vocabulary lacks one; null when it lacks them all. */
export function byteFallbackIds(symbols: ReadonlyMap<string, number>): Int32Array | null {
  const ids = Int32Array.from({ length: 256 }, (_, byte) => {
    const name = `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
    return symbols.get(name) ?? -1;
  });
  return ids.every((id) => id < 0) ? null : ids;
}

function symbolOf(
  text: string,
  isChar: boolean,
  symbols: Map<string, number>,
  virtual: { next: number },
): number | undefined {
  const known = symbols.get(text);
  if (known !== undefined || !isChar) {
    return known;
  }
  symbols.set(text, virtual.next);
  return virtual.next++;
}

function denseRanks(pieces: readonly ScoredPiece[]): ReadonlyMap<number, number> {
  const scores = [...new Set(pieces.map((piece) => piece.score))].sort((a, b) => b - a);
  return new Map(scores.map((score, rank) => [score, rank]));
}

function allocate(count: number): MergeRules {
  return {
    left: new Int32Array(count),
    right: new Int32Array(count),
    result: new Int32Array(count),
    rank: new Int32Array(count),
  };
}
