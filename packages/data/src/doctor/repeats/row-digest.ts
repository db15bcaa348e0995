/** What of a row is compared with other rows: hashes of the whole, the question and the answer, and its words. */
import type { TokenizedSample } from '../../encode/samples.js';
import type { Conversation, TextDocument } from '../../handlers/conversation.js';
import { type Hash64, hashIds, hashText, joinHashes, wordHashes } from './kernels/row-hash.js';

/** A row as the search for repeats sees it. */
export interface RowDigest {
  readonly whole: Hash64;
  /** Everything before the last answer; null where there is no question. */
  readonly question: Hash64 | null;
  /** All answers together: the last one alone is often the same thanks. */
  readonly answer: Hash64;
  /** What near repeats are compared by. */
  readonly words: Int32Array;
}

const NOTHING: Hash64 = { high: 0, low: 0 };

/** System text counts for the hashes, but not for likeness: it is the same in many rows. */
export function digestConversation({ messages, tools }: Conversation): RowDigest {
  const parts = messages.map((message) =>
    joinHashes(hashText(message.role), hashText(textOf(message))),
  );
  const last = parts.at(-1) ?? hashText('');
  const start = hashText(tools === undefined ? '' : JSON.stringify(tools));
  const question = parts.slice(0, -1).reduce(joinHashes, start);
  const spoken = messages.filter((message) => message.role !== 'system').map(textOf);
  return {
    whole: joinHashes(question, last),
    question: parts.length > 1 ? question : null,
    answer: parts.filter((_, i) => messages[i]?.role === 'assistant').reduce(joinHashes, NOTHING),
    words: wordHashes(spoken.join('\n')),
  };
}

/** A dialogue with something beside it: the rejected answer, or the verdict. Several answers to a question are normal. */
export function digestPair(conversation: Conversation, other: string): RowDigest {
  const digest = digestConversation(conversation);
  const whole = joinHashes(digest.whole, hashText(other));
  return { ...digest, whole, question: null, answer: whole };
}

/** Raw texts have no question. */
export function digestDocument({ text }: TextDocument): RowDigest {
  const whole = hashText(text);
  return { whole, question: null, answer: whole, words: wordHashes(text) };
}

/** `skipped`: tokens at the beginning that all samples share, which say nothing about likeness. */
export function digestSample(sample: TokenizedSample, skipped: number): RowDigest {
  const { ids, learned } = sample;
  const end = learned.lastIndexOf(1);
  let begin = end;
  while (begin > 0 && learned[begin - 1] === 1) begin--;
  return {
    whole: hashIds(ids),
    question: begin > 1 ? hashIds(ids.subarray(0, begin)) : null,
    answer: hashIds(ids.subarray(Math.max(begin, 0))),
    words: ids.subarray(Math.min(skipped, ids.length)),
  };
}

/** Tokens that all samples begin with. */
export function sharedBeginning(samples: readonly TokenizedSample[]): number {
  const first = samples[0]?.ids ?? new Int32Array(0);
  let shared = first.length;
  for (const { ids } of samples) {
    let at = 0;
    while (at < shared && ids[at] === first[at]) at++;
    shared = at;
  }
  return samples.length < 2 ? 0 : shared;
}

function textOf(message: Conversation['messages'][number]): string {
  const calls = message.tool_calls;
  return calls === undefined ? message.content : message.content + JSON.stringify(calls);
}
