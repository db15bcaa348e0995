/**
 * Tells what the assistant writes apart from what it reads, for any chat template.
 *
 * Where the template marks answers with `{% generation %}`, the marks decide. Elsewhere answers are
 * found by differential rendering: the conversation before a turn, rendered with the generation
 * prompt, must be a prefix of the whole rendering, and what follows it is the answer. A turn ends with
 * its stop text; a line break after that belongs to the frame, not to the answer, because a
 * generating model has stopped by then. Text that the template writes only at the very end of a
 * conversation (Phi-3.5's `<|endoftext|>`) is found by asking what one more user turn would leave of
 * it, and is not learned.
 *
 * Source of the convention: TRL's training templates and LLaMA-Factory, which both learn the stop token
 * and nothing after it.
 */

import { TuneyardError } from '@tuneyard/core';
import type { ChatMessage, ChatTemplate } from './chat-template.js';
import { TEMPLATE_ERRORS } from './errors.js';

/** A stretch of a rendered conversation. */
export interface TextSegment {
  readonly text: string;
  /** True for what the assistant writes: the answer and the text that ends its turn. */
  readonly learned: boolean;
}

/** Options of {@link renderSegments}. */
export interface SegmentOptions {
  readonly tools?: readonly unknown[];
  readonly extra?: Readonly<Record<string, unknown>>;
}

/**
 * Renders a conversation cut into learned and other text; joined, it is exactly the template's
 * rendering without a generation prompt. Neighbours differ in `learned`, none is empty.
 *
 * Throws: `CHAT_TEMPLATE_NOT_PREFIX_PRESERVING` naming the turn, when the template rewrites history or
 * prompts for other text than it later shows; whatever {@link ChatTemplate.render} throws.
 * Cost: two renderings per assistant turn.
 */
export function renderSegments(
  template: ChatTemplate,
  messages: readonly ChatMessage[],
  options: SegmentOptions = {},
): readonly TextSegment[] {
  const full = template.render(messages, { ...options, addGenerationPrompt: false });
  const answers = template.hasGenerationMarkers
    ? markedAnswers(template, messages, options, full)
    : findAnswers({ template, messages, options, full });
  return cut(full, answers);
}

interface Range {
  readonly start: number;
  readonly end: number;
}

function cut(full: string, answers: readonly Range[]): readonly TextSegment[] {
  const segments: TextSegment[] = [];
  const add = (start: number, end: number, learned: boolean) => {
    const text = full.slice(start, end);
    const last = segments.at(-1);
    if (text !== '' && last?.learned === learned) {
      segments[segments.length - 1] = { text: last.text + text, learned };
    } else if (text !== '') {
      segments.push({ text, learned });
    }
  };
  let at = 0;
  for (const { start, end } of answers) {
    add(at, start, false);
    add(start, end, true);
    at = end;
  }
  add(at, full.length, false);
  return segments;
}

function markedAnswers(
  template: ChatTemplate,
  messages: readonly ChatMessage[],
  options: SegmentOptions,
  full: string,
): readonly Range[] {
  const marks = unusedMarks(full);
  const marked = template.renderMarked(messages, { ...options, addGenerationPrompt: false }, marks);
  const ranges: Range[] = [];
  let plain = '';
  for (const [i, part] of marked.split(marks.open).entries()) {
    const [inside, ...rest] = i === 0 ? ['', part] : part.split(marks.close);
    ranges.push({ start: plain.length, end: plain.length + (inside?.length ?? 0) });
    plain += inside + rest.join('');
  }
  if (plain !== full) {
    throw new TuneyardError(
      TEMPLATE_ERRORS.CHAT_TEMPLATE_NOT_PREFIX_PRESERVING,
      `The chat template of ${template.origin} alters the text between its generation markers, so answers cannot be located`,
      { details: { origin: template.origin } },
    );
  }
  return ranges.filter((range) => range.end > range.start);
}

/** Two private-use strings that the text does not hold. */
function unusedMarks(text: string): { readonly open: string; readonly close: string } {
  for (let n = 0; ; n++) {
    const open = `\ue000${n}\ue001`;
    const close = `\ue002${n}\ue003`;
    if (!text.includes(open) && !text.includes(close)) {
      return { open, close };
    }
  }
}

interface Search {
  readonly template: ChatTemplate;
  readonly messages: readonly ChatMessage[];
  readonly options: SegmentOptions;
  readonly full: string;
}

function findAnswers(search: Search): readonly Range[] {
  const ranges: Range[] = [];
  let previousEnd = 0;
  for (const [index, message] of search.messages.entries()) {
    if (message.role !== 'assistant') {
      continue;
    }
    const range = findAnswer(search, index);
    if (range.start < previousEnd) {
      throw notPreserving(search, index, 'the prompt of this turn ends inside an earlier answer');
    }
    ranges.push(range);
    previousEnd = range.end;
  }
  return ranges;
}

function findAnswer(search: Search, index: number): Range {
  const { template, messages, options, full } = search;
  const prompt = template.render(messages.slice(0, index), {
    ...options,
    addGenerationPrompt: true,
  });
  if (!full.startsWith(prompt)) {
    throw notPreserving(
      search,
      index,
      'the prompt for this turn is not how the conversation begins',
    );
  }
  const isLast = index === messages.length - 1;
  const through = isLast
    ? full
    : template.render(messages.slice(0, index + 1), { ...options, addGenerationPrompt: false });
  const turn: Turn = {
    through,
    contentEnd: endOfContent(through, prompt.length, messages[index]),
    eosToken: template.eosToken,
  };
  if (isLast) {
    return { start: prompt.length, end: endOfLastTurn(search, turn) };
  }
  const shared = sharedTurn(turn, full);
  if (shared === undefined) {
    throw notPreserving(search, index, 'later turns change how this one is written');
  }
  // A stop text of another spelling than at the end of a conversation: take the one that is there.
  const stop = losesStop(turn, shared) ? (/^<[^<>]*>/.exec(full.slice(shared))?.[0] ?? '') : '';
  return { start: prompt.length, end: endOfTurn(turn, full, shared + stop.length) };
}

function endOfLastTurn(search: Search, turn: Turn): number {
  const next = withUserTurn(search);
  const shared = next === null ? undefined : sharedTurn(turn, next);
  const kept = shared === undefined || losesStop(turn, shared) ? turn.through.length : shared;
  return endOfTurn(turn, turn.through, kept);
}

/** True when of all that follows the content nothing is shared: what is lost is the stop text. */
function losesStop(turn: Turn, shared: number): boolean {
  return shared <= turn.contentEnd && shared < turn.through.length;
}

function endOfTurn(turn: Turn, text: string, end: number): number {
  return Math.max(turn.contentEnd, withoutFinalBreak(text, end));
}

interface Turn {
  /** The rendering up to and with the turn, as if nothing came after. */
  readonly through: string;
  /** Where the turn's own content ends in it; the stop text cannot begin before. */
  readonly contentEnd: number;
  readonly eosToken: string | null;
}

/** The end of the message's text within the turn; the turn's start when it is not found there. */
function endOfContent(through: string, start: number, message: ChatMessage | undefined): number {
  const content = typeof message?.content === 'string' ? message.content.trim() : '';
  const at = content === '' ? -1 : through.indexOf(content, start);
  return at < 0 ? start : at + content.length;
}

/**
 * How much of the turn stays when the conversation goes on; undefined when more than closing tags is
 * lost, that is when the template rewrites the turn itself.
 */
function sharedTurn(turn: Turn, next: string): number | undefined {
  const { through, contentEnd, eosToken } = turn;
  let length = 0;
  while (length < through.length && through.charCodeAt(length) === next.charCodeAt(length)) {
    length++;
  }
  if (length === through.length) {
    return length;
  }
  // The next turn's first tag may begin like the lost one: "<|" of "<|user|>" and "<|endoftext|>".
  const openTag = /<[^<>]*$/.exec(through.slice(contentEnd, length));
  const kept = openTag === null ? length : contentEnd + openTag.index;
  const lost = through.slice(kept);
  const isClosing = lost === eosToken || /^(?:\s|<[^<>]*>)*$/.test(lost);
  return length >= contentEnd && isClosing ? kept : undefined;
}

/** The conversation with one more user turn; null when the template does not take one. */
function withUserTurn(search: Search): string | null {
  const more = [...search.messages, { role: 'user', content: 'x' }];
  try {
    return search.template.render(more, { ...search.options, addGenerationPrompt: false });
  } catch (error) {
    if (error instanceof TuneyardError) {
      return null;
    }
    throw error;
  }
}

function withoutFinalBreak(text: string, end: number): number {
  let at = end;
  while (at > 0 && (text[at - 1] === '\n' || text[at - 1] === '\r')) {
    at--;
  }
  return at;
}

function notPreserving(search: Search, index: number, why: string): TuneyardError {
  const { template, messages } = search;
  return new TuneyardError(
    TEMPLATE_ERRORS.CHAT_TEMPLATE_NOT_PREFIX_PRESERVING,
    `The chat template of ${template.origin} does not keep its prefix at message ${index + 1} of ${messages.length} (${messages[index]?.role}): ${why}`,
    {
      details: { origin: template.origin, message: index + 1, messages: messages.length },
      hint: 'Train with a built-in template of the same family (such as qwen3, mistral or deepseek3), or on single-turn conversations.',
    },
  );
}
