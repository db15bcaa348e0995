/**
 * Scores from merge ranks, for a vocabulary that llama.cpp merges by score.
 *
 * A SentencePiece model merges any two symbols that spell a piece, the highest score first. A
 * tokenizer.json made from one lists all those merges, piece by piece in that order, so its first rank
 * of each piece, negated, orders the pieces as the lost scores did.
 */

import { type BpeModelDefinition, VIRTUAL_SYMBOL_BASE } from '../definition.js';
import { unsupported } from '../json-fields.js';

/**
 * Scores by id: minus the first rank of the merges that make the piece; characters, which no merge
 * makes, follow below in id order.
 */
export function derivedScores(model: BpeModelDefinition, count: number): Float64Array {
  const scores = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
  const { result, rank } = model.merges;
  let lowest = 0;
  for (const [i, id] of result.entries()) {
    const score = 0 - (rank[i] ?? 0);
    scores[id] = Math.max(scores[id] ?? score, score);
    lowest = Math.min(lowest, score);
  }
  for (const [id, score] of scores.entries()) {
    if (score === Number.NEGATIVE_INFINITY) scores[id] = --lowest;
  }
  return scores;
}

/**
 * Checks that merging by score gives what merging by rank gives: every way to put a piece together
 * from two others is a merge, and the merges of one piece follow each other.
 *
 * Throws: `TOKENIZER_UNSUPPORTED` with the first merge that is missing or out of order.
 */
export function requireScoreOrder(
  model: BpeModelDefinition,
  isNormal: (id: number) => boolean,
  origin: string,
): void {
  const { symbols, merges } = model;
  const apart = pieceApart(merges.result);
  if (apart !== null) {
    const text = [...symbols].find(([, id]) => id === apart)?.[0];
    throw inexpressible(origin, `the merges into ${JSON.stringify(text)} do not follow each other`);
  }
  const pairs = new Set(Array.from(merges.left, (id, i) => pairKey(id, merges.right[i] ?? 0)));
  const normalId = (text: string): number | undefined => {
    const id = symbols.get(text);
    return id !== undefined && isNormal(id) ? id : undefined;
  };
  for (const text of symbols.keys()) {
    if (normalId(text) === undefined) continue;
    for (const [left, right] of splits(text)) {
      const leftId = normalId(left);
      const rightId = normalId(right);
      if (leftId === undefined || rightId === undefined) continue;
      if (pairs.has(pairKey(leftId, rightId))) continue;
      const parts = `${JSON.stringify(left)} and ${JSON.stringify(right)}`;
      throw inexpressible(origin, `${parts} spell a token but do not merge`);
    }
  }
}

/** The first piece whose merges are interrupted by those of another, or null. */
function pieceApart(results: Int32Array): number | null {
  const finished = new Set<number>();
  for (const [i, id] of results.entries()) {
    const previous = results[i - 1];
    if (previous !== undefined && previous !== id) finished.add(previous);
    if (finished.has(id)) return id;
  }
  return null;
}

function pairKey(left: number, right: number): number {
  return left * 2 * VIRTUAL_SYMBOL_BASE + right;
}

function* splits(text: string): Generator<readonly [string, string]> {
  const chars = Array.from(text);
  let left = '';
  for (const char of chars.slice(0, -1)) {
    left += char;
    yield [left, text.slice(left.length)];
  }
}

function inexpressible(origin: string, what: string) {
  return unsupported(origin, `a merge order that piece scores cannot state (${what})`);
}
