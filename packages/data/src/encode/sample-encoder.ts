/** From a dialogue or a document to tokens and a mask. */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import {
  type Conversation,
  isRejection,
  type Rejection,
  type RowOrigin,
  reject,
  type TextDocument,
} from '../handlers/conversation.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { concatenateIds } from './concatenate-ids.js';
import type { Dialogue, PromptTemplate, TextPromptTemplate } from './prompt-template.js';
import { countLearned, type TokenizedSample } from './samples.js';
import { type TokenSpan, tokenizeSegments } from './segments.js';
import { buildSlotSample, slotLength } from './slot-sample.js';
import type { SlotPromptTemplate } from './slot-template.js';
import { type TokenTurn, truncateTurns } from './truncate.js';

/** What happens to a sample that is longer than the cutoff. Always counted with its row. */
export type OverlengthPolicy = 'drop' | 'truncate' | 'error';

/** How dialogues become samples. */
export interface SampleEncodeOptions {
  readonly tokenizer: Tokenizer;
  readonly template: PromptTemplate;
  /** Most tokens of a sample; at least 2. */
  readonly cutoffLength: number;
  /** Default `drop`. */
  readonly overlength?: OverlengthPolicy;
  /** Default false: learn every answer. True: only the last one. */
  readonly maskHistory?: boolean;
  /** Default false. True: learn questions and system text too. */
  readonly trainOnPrompt?: boolean;
}

/** A sample and what was done to make it. */
export interface EncodedSample {
  readonly sample: TokenizedSample;
  /** Tokens before cutting; equals the sample's length when nothing was cut. */
  readonly fullLength: number;
}

/**
 * Encodes one dialogue.
 *
 * With the model's own template, or `plain`, every answer with its stop token is learned, everything else is masked,
 * and there is one BOS where the tokenizer wants one. With a named template ids and labels are those of
 * LLaMA-Factory, whose answers include what the template writes after the stop token.
 *
 * Throws: `DATA_ROW_TOO_LONG` under `overlength: 'error'`; `DATA_BAD_OPTION` when `maskHistory` and
 * `trainOnPrompt` are both set, or `trainOnPrompt` with a template that learns ends of answers on questions.
 */
export function encodeConversation(
  conversation: Conversation,
  options: SampleEncodeOptions,
): EncodedSample | Rejection {
  checkOptions(options);
  if (conversation.media !== undefined) {
    // A placeholder would be learned as a word; what stands for media is written before this is called.
    return reject('unsupported_content', 'the dialogue has media; text alone can be encoded');
  }
  return options.template.form === 'slots'
    ? encodeSlots(conversation, options.template, options)
    : encodeText(conversation, options.template, options);
}

function encodeSlots(
  conversation: Conversation,
  template: SlotPromptTemplate,
  options: SampleEncodeOptions,
): EncodedSample | Rejection {
  const turns = template.encodeTurns(conversation);
  if (isRejection(turns)) return turns;
  const fullLength = slotLength(turns, template);
  const refused = checkLength(conversation, fullLength, options);
  if (refused !== undefined) return refused;
  const { cutoffLength, maskHistory = false, trainOnPrompt = false } = options;
  const built = buildSlotSample(turns, template, { cutoffLength, maskHistory, trainOnPrompt });
  const { hasAnswer, ...parts } = built;
  const { source, row } = conversation;
  return hasAnswer || trainOnPrompt
    ? finish({ ...parts, row, source }, fullLength)
    : reject('nothing_learned', nothingLearned(fullLength > built.ids.length));
}

function encodeText(
  conversation: Conversation,
  template: TextPromptTemplate,
  options: SampleEncodeOptions,
): EncodedSample | Rejection {
  const segments = template.renderDialogue(conversation);
  if (isRejection(segments)) return segments;
  const spans = tokenizeSegments(segments, options.tokenizer);
  const masked = options.maskHistory === true ? maskHistory(spans) : spans;
  const fullLength = lengthOf(masked);
  const refused = checkLength(conversation, fullLength, options);
  if (refused !== undefined) return refused;
  const kept = fullLength <= options.cutoffLength ? masked : cutSpans(spans, options);
  return finish(toSample(kept, options, conversation), fullLength);
}

/**
 * Applies the policy about long samples: undefined when this one is kept, be it cut.
 *
 * Throws: `DATA_ROW_TOO_LONG` under `overlength: 'error'`.
 */
export function checkLength(
  { source, row }: RowOrigin,
  tokens: number,
  { cutoffLength, overlength = 'drop' }: Pick<SampleEncodeOptions, 'cutoffLength' | 'overlength'>,
): Rejection | undefined {
  if (tokens <= cutoffLength || overlength === 'truncate') return undefined;
  const found = `${tokens} tokens; cutoff_len is ${cutoffLength}`;
  if (overlength === 'drop') return reject('over_length', found);
  throw new TuneyardError(DATA_ERRORS.DATA_ROW_TOO_LONG, `${source}, row ${row}: ${found}`, {
    details: { source, row, tokens },
    hint: 'Raise cutoff_len, or set overlength to drop or truncate.',
  });
}

/**
 * Encodes the prompt of a dialogue that ends with a question, up to where the answer begins.
 *
 * The tokens are those that the same dialogue has in training; named templates for models that think take the thoughts
 * of earlier answers out first, as LLaMA-Factory does when it serves a model.
 */
export function encodePrompt(
  dialogue: Dialogue,
  options: Pick<SampleEncodeOptions, 'tokenizer' | 'template'>,
): Int32Array | Rejection {
  const { template, tokenizer } = options;
  if (template.form === 'slots') return template.encodePrompt(dialogue);
  const segments = template.renderPrompt(dialogue);
  if (isRejection(segments)) return segments;
  return concatenateIds(tokenizeSegments(segments, tokenizer).map((span) => span.ids));
}

/** Options of {@link encodeDocument}. */
export interface DocumentOptions {
  readonly tokenizer: Tokenizer;
  /** Appended to every document and learned. */
  readonly stopTokenId: number;
  readonly cutoffLength: number;
}

/**
 * Encodes a raw text for pre-training: BOS where the tokenizer wants one, the text, the stop token; every
 * token but the first is learned. A longer text is cut into consecutive samples, so no token is lost but
 * the first of each piece is not learned.
 */
export function encodeDocument(document: TextDocument, options: DocumentOptions): EncodedSample[] {
  const { tokenizer, stopTokenId, cutoffLength } = options;
  const body = tokenizer.encode(document.text, { addSpecialTokens: false, parseSpecial: true });
  const spans = tokenizeSegments(
    [
      { ids: [...body], learned: true },
      { ids: [stopTokenId], learned: true },
    ],
    tokenizer,
  );
  const ids = concatenateIds(spans.map((span) => span.ids));
  const samples: EncodedSample[] = [];
  for (let begin = 0; begin < ids.length - 1; begin += cutoffLength) {
    const piece = ids.slice(begin, begin + cutoffLength);
    const learned = new Uint8Array(piece.length).fill(1);
    learned[0] = 0;
    const sample = { ids: piece, learned, row: document.row, source: document.source };
    samples.push({ sample, fullLength: piece.length });
  }
  return samples;
}

function checkOptions(options: SampleEncodeOptions): void {
  const { template } = options;
  if (options.trainOnPrompt === true && template.form === 'slots' && template.endTokenId !== null) {
    throw new TuneyardError(
      DATA_ERRORS.DATA_BAD_OPTION,
      `template '${template.name}' learns where answers end on the questions that follow; train_on_prompt learns the questions themselves`,
      { hint: 'Leave train_on_prompt out, or choose another template.' },
    );
  }
  if (options.maskHistory === true && options.trainOnPrompt === true) {
    throw new TuneyardError(
      DATA_ERRORS.DATA_BAD_OPTION,
      'mask_history learns the last answer alone; train_on_prompt learns everything',
      { hint: 'Set one of the two.' },
    );
  }
}

function finish(sample: TokenizedSample, fullLength: number): EncodedSample | Rejection {
  if (countLearned(sample.learned) > 0) return { sample, fullLength };
  return reject('nothing_learned', nothingLearned(fullLength > sample.ids.length));
}

function nothingLearned(isCut: boolean): string {
  return isCut ? 'no answer is left after cutting' : 'all is masked';
}

function maskHistory(spans: readonly TokenSpan[]): TokenSpan[] {
  const last = spans.findLastIndex((span) => span.learned);
  return spans.map((span, index) => ({ ids: span.ids, learned: span.learned && index === last }));
}

/**
 * Cuts spans by the turn rule. When the last turns are the ones kept, a BOS is put aside and stays in front;
 * otherwise it is the beginning of the first question and stays by itself.
 */
function cutSpans(spans: readonly TokenSpan[], options: SampleEncodeOptions): TokenSpan[] {
  const { tokenizer, cutoffLength } = options;
  const keepsLast = options.maskHistory === true;
  const bos = tokenizer.bosTokenId;
  const hasBos = keepsLast && bos !== null && spans[0]?.ids[0] === bos;
  const turns = toTurns(hasBos ? withoutFirst(spans) : spans);
  const budget = cutoffLength - (hasBos ? 1 : 0);
  const kept = truncateTurns(turns, budget, keepsLast ? 'last' : 'first');
  const cut = kept.flatMap((turn, index): TokenSpan[] => [
    { ids: turn.source, learned: false },
    { ids: turn.target, learned: !keepsLast || index === kept.length - 1 },
  ]);
  return hasBos ? [{ ids: Int32Array.of(bos), learned: false }, ...cut] : cut;
}

/** Pairs masked and learned spans as question and answer; masked text after the last answer is left out. */
function toTurns(spans: readonly TokenSpan[]): TokenTurn[] {
  const turns: TokenTurn[] = [];
  let source = new Int32Array(0);
  for (const span of spans) {
    if (!span.learned) {
      source = Int32Array.from(span.ids);
      continue;
    }
    turns.push({ source, target: span.ids });
    source = new Int32Array(0);
  }
  return turns;
}

function withoutFirst(spans: readonly TokenSpan[]): TokenSpan[] {
  return spans.map((span, index) => (index === 0 ? { ...span, ids: span.ids.subarray(1) } : span));
}

function toSample(
  spans: readonly TokenSpan[],
  options: SampleEncodeOptions,
  origin: RowOrigin,
): TokenizedSample {
  const ids = concatenateIds(spans.map((span) => span.ids));
  const learned = new Uint8Array(ids.length);
  let at = 0;
  for (const span of spans) {
    if (span.learned || options.trainOnPrompt === true) learned.fill(1, at, at + span.ids.length);
    at += span.ids.length;
  }
  if (learned.length > 0) learned[0] = 0;
  return { ids, learned, row: origin.row, source: origin.source };
}

function lengthOf(spans: readonly TokenSpan[]): number {
  return spans.reduce((sum, span) => sum + span.ids.length, 0);
}
