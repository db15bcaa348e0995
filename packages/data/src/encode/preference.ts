/**
 * Samples for learning from preferences: one question with two answers, or with one that is liked or not.
 *
 * The question is masked, the last answer learned, history never. The cutoff is shared between the question and the
 * longer answer. Named templates give the ids and labels of LLaMA-Factory v0.9.3 (`processor/pairwise.py`,
 * `processor/feedback.py`); other templates follow the same rule on their own tokens.
 */
import {
  type ConversationMessage,
  isRejection,
  type Rejection,
  type RowOrigin,
  reject,
} from '../handlers/conversation.js';
import { concatenateIds } from './concatenate-ids.js';
import type { Dialogue, TextPromptTemplate } from './prompt-template.js';
import { checkLength, type SampleEncodeOptions } from './sample-encoder.js';
import { IGNORE_LABEL } from './samples.js';
import { tokenizeSegments } from './segments.js';
import type { LabeledIds } from './slot-sample.js';
import type { SlotPromptTemplate } from './slot-template.js';
import { shareLength, type TokenTurn } from './truncate.js';

/** A dialogue that ends with a question, and two answers to it. */
export interface Preference extends Dialogue, RowOrigin {
  readonly chosen: ConversationMessage;
  readonly rejected: ConversationMessage;
}

/** Both sides as tokens. */
export interface EncodedPreference {
  readonly chosen: LabeledIds;
  readonly rejected: LabeledIds;
  /** Tokens of the longer side before cutting. */
  readonly fullLength: number;
}

/** How preferences become samples. */
export type PreferenceOptions = Omit<SampleEncodeOptions, 'maskHistory' | 'trainOnPrompt'>;

/** Encodes a question with two answers. Throws: `DATA_ROW_TOO_LONG` under `overlength: 'error'`. */
export function encodePreference(
  preference: Preference,
  options: PreferenceOptions,
): EncodedPreference | Rejection {
  const { chosen, rejected, ...dialogue } = preference;
  const liked = lastTurn(withAnswer(dialogue, chosen), options);
  const disliked = lastTurn(withAnswer(dialogue, rejected), options);
  if (isRejection(liked)) return liked;
  if (isRejection(disliked)) return disliked;
  // Both sides begin with the same question: the one that was written for the chosen answer.
  const target = Math.max(liked.target.length, disliked.target.length);
  const lengths = { source: liked.source.length, target };
  const fullLength = lengths.source + target;
  const refused = checkLength(preference, fullLength, options);
  if (refused !== undefined) return refused;
  const kept = shareLength(lengths, options.cutoffLength);
  if (kept.target === 0) return reject('nothing_learned', 'no answer is left after cutting');
  const source = liked.source.subarray(0, kept.source);
  return {
    chosen: labeled(source, liked.target.subarray(0, kept.target)),
    rejected: labeled(source, disliked.target.subarray(0, kept.target)),
    fullLength,
  };
}

/** The last answer of a dialogue as tokens. */
export interface EncodedAnswer extends LabeledIds {
  /** Tokens before cutting. */
  readonly fullLength: number;
}

/**
 * Encodes a dialogue of which only the last answer counts, as for KTO.
 *
 * Throws: `DATA_ROW_TOO_LONG` under `overlength: 'error'`.
 */
export function encodeAnswer(
  dialogue: Dialogue & RowOrigin,
  options: PreferenceOptions,
): EncodedAnswer | Rejection {
  const turn = lastTurn(dialogue, options);
  if (isRejection(turn)) return turn;
  const lengths = { source: turn.source.length, target: turn.target.length };
  const fullLength = lengths.source + lengths.target;
  const refused = checkLength(dialogue, fullLength, options);
  if (refused !== undefined) return refused;
  const kept = shareLength(lengths, options.cutoffLength);
  if (kept.target === 0) return reject('nothing_learned', 'no answer is left after cutting');
  const source = turn.source.subarray(0, kept.source);
  return { ...labeled(source, turn.target.subarray(0, kept.target)), fullLength };
}

function withAnswer(dialogue: Dialogue, answer: ConversationMessage): Dialogue {
  return { ...dialogue, messages: [...dialogue.messages, answer] };
}

function labeled(source: Int32Array, target: Int32Array): LabeledIds {
  const masked = new Int32Array(source.length).fill(IGNORE_LABEL);
  return { ids: concatenateIds([source, target]), labels: concatenateIds([masked, target]) };
}

function lastTurn(dialogue: Dialogue, options: PreferenceOptions): TokenTurn | Rejection {
  const { template } = options;
  return template.form === 'slots'
    ? lastSlotTurn(dialogue, template)
    : lastTextTurn(dialogue, template, options);
}

function lastSlotTurn(dialogue: Dialogue, template: SlotPromptTemplate): TokenTurn | Rejection {
  const turn = template.encodeLastTurn(dialogue);
  if (isRejection(turn) || template.endTokenId === null) return turn;
  return { source: turn.source, target: concatenateIds([turn.target, [template.endTokenId]]) };
}

function lastTextTurn(
  dialogue: Dialogue,
  template: TextPromptTemplate,
  { tokenizer }: PreferenceOptions,
): TokenTurn | Rejection {
  const segments = template.renderDialogue(dialogue);
  if (isRejection(segments)) return segments;
  const spans = tokenizeSegments(segments, tokenizer);
  const at = spans.findLastIndex((span) => span.learned);
  const target = spans[at]?.ids;
  if (target === undefined) return reject('no_answer', 'there is no answer to encode');
  return { source: concatenateIds(spans.slice(0, at).map((span) => span.ids)), target };
}
