/**
 * Text in pieces that are either learned or masked, and their tokens.
 *
 * Pieces are tokenized one by one, each as if it went on from the last: no token spans the boundary between a question and its answer, so the
 * mask is exact, and a prompt at serving time has the tokens that it had in training.
 */
import type { Tokenizer } from '../tokenizer/tokenizer.js';

/** A piece of a rendered dialogue: text, or ids that need no tokenizing. */
export type Segment =
  | { readonly text: string; readonly learned: boolean }
  | { readonly ids: readonly number[]; readonly learned: boolean };

/** A tokenized piece. */
export interface TokenSpan {
  readonly ids: Int32Array;
  readonly learned: boolean;
}

/**
 * Tokenizes pieces in order; neighbours with the same mask are joined first.
 *
 * Text that spells a special token becomes that token. When the tokenizer wants a BOS, the first span
 * begins with exactly the one that the text spells or, failing that, one that is put there.
 */
export function tokenizeSegments(segments: readonly Segment[], tokenizer: Tokenizer): TokenSpan[] {
  const spans: { ids: number[]; learned: boolean }[] = [];
  let previous: number | undefined;
  for (const segment of joinNeighbours(segments)) {
    const ids = 'ids' in segment ? segment.ids : encodePiece(segment.text, tokenizer, previous);
    const last = spans.at(-1);
    if (last !== undefined && last.learned === segment.learned) last.ids.push(...ids);
    else spans.push({ ids: [...ids], learned: segment.learned });
    previous = ids.at(-1) ?? previous;
  }
  addBos(spans, tokenizer);
  return spans.map(({ ids, learned }) => ({ ids: Int32Array.from(ids), learned }));
}

function joinNeighbours(segments: readonly Segment[]): Segment[] {
  const joined: Segment[] = [];
  for (const segment of segments) {
    const last = joined.at(-1);
    const canJoin =
      last !== undefined && last.learned === segment.learned && 'text' in last && 'text' in segment;
    if (canJoin) {
      joined[joined.length - 1] = { text: last.text + segment.text, learned: last.learned };
    } else joined.push(segment);
  }
  return joined;
}

/**
 * Encodes a piece that goes on from the token `previous`. A SentencePiece tokenizer puts a blank in front of
 * every text and after every special token, but not inside a text.
 */
function encodePiece(text: string, tokenizer: Tokenizer, previous: number | undefined): Int32Array {
  const plain = { addSpecialTokens: false, parseSpecial: true };
  const isFresh = previous === undefined || tokenizer.isSpecial(previous);
  if (text === '' || isFresh || tokenizer.kind !== 'sentencepiece-bpe') {
    return tokenizer.encode(text, plain);
  }
  // The blank in front cannot be switched off, but it can be spent on a line feed, which merges with nothing.
  const anchor = tokenizer.encode('\n', plain);
  const anchored = tokenizer.encode(`\n${text}`, plain);
  const isPrefix = anchor.every((id, index) => anchored[index] === id);
  return isPrefix ? anchored.subarray(anchor.length) : tokenizer.encode(text, plain);
}

function addBos(spans: { ids: number[]; learned: boolean }[], tokenizer: Tokenizer): void {
  const bos = tokenizer.bosTokenId;
  if (!tokenizer.addBos || bos === null || spans[0]?.ids[0] === bos) return;
  if (spans[0]?.learned === false) spans[0].ids.unshift(bos);
  else spans.unshift({ ids: [bos], learned: false });
}
