/**
 * Cutting a dialogue to a length, by the rule of LLaMA-Factory: the shorter side of a turn is spared.
 *
 * Nothing here decides whether to cut; see the encoder's `overlength` option.
 */

/** A question's tokens and its answer's. */
export interface TurnLengths {
  readonly source: number;
  readonly target: number;
}

/** One turn as tokens. */
export interface TokenTurn {
  readonly source: Int32Array;
  readonly target: Int32Array;
}

/**
 * Shares a length between a question and its answer: an answer under half of it is kept whole, else a
 * question under half of it is, else both shrink in proportion.
 *
 * Source: LLaMA-Factory v0.9.3, `infer_seqlen`.
 */
export function shareLength({ source, target }: TurnLengths, cutoff: number): TurnLengths {
  // The share first, then the product: the other way round rounds to another token now and then.
  let targetMax = Math.floor(cutoff * (target / (source + target)));
  if (target * 2 < cutoff) targetMax = cutoff;
  else if (source * 2 < cutoff) targetMax = cutoff - source;
  const keptTarget = Math.min(targetMax, target);
  return { source: Math.min(Math.max(cutoff - keptTarget, 0), source), target: keptTarget };
}

/**
 * Cuts turns to `cutoff` tokens in total. Turns that begin past the cutoff are left out.
 *
 * `keep: 'first'` spends the length from the first turn on; `'last'` from the last one backwards, as
 * `mask_history` does. Both sides of a turn lose their end.
 */
export function truncateTurns(
  turns: readonly TokenTurn[],
  cutoff: number,
  keep: 'first' | 'last',
): TokenTurn[] {
  const order = keep === 'first' ? turns : turns.toReversed();
  const kept: TokenTurn[] = [];
  let used = 0;
  for (const turn of order) {
    if (used >= cutoff) break;
    const lengths = { source: turn.source.length, target: turn.target.length };
    const { source, target } = shareLength(lengths, cutoff - used);
    kept.push({
      source: turn.source.subarray(0, source),
      target: turn.target.subarray(0, target),
    });
    used += source + target;
  }
  return keep === 'first' ? kept : kept.reverse();
}
