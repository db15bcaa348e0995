/** Placeholders in the text of a conversation: counting them and writing what they stand for. */
import { type Rejection, reject } from '../handlers/conversation.js';
import { LIST_OF_KIND, MEDIA_KINDS, type MediaKind } from './media-types.js';

/** The text that stands for one medium of each kind. */
export type Placeholders = { readonly [kind in MediaKind]: string };

/** Placeholders as in LLaMA-Factory, and `<ts>` for a series. */
export const DEFAULT_PLACEHOLDERS: Placeholders = {
  image: '<image>',
  video: '<video>',
  audio: '<audio>',
  series: '<ts>',
};

/** A message as far as media are concerned. */
export interface MediaMessage {
  readonly role: string;
  readonly content: string;
}

/** How many of each kind. */
export type KindCounts = { readonly [kind in MediaKind]: number };

/**
 * Compares placeholders with lists; undefined when all fit.
 *
 * The system message is not looked at: its placeholders stay text, as in LLaMA-Factory. `<ts>` is only looked for when
 * there are series, since programs have it too.
 */
export function checkCounts(
  messages: readonly MediaMessage[],
  listed: KindCounts,
  placeholders: Placeholders,
): Rejection | undefined {
  for (const kind of MEDIA_KINDS) {
    if (kind === 'series' && listed.series === 0) continue;
    const mark = placeholders[kind];
    const found = messages.reduce((sum, message) => sum + countIn(message, mark), 0);
    if (found === listed[kind]) continue;
    const column = LIST_OF_KIND[kind];
    const entries = listed[kind] === 1 ? 'entry' : 'entries';
    return reject(
      'media_count_mismatch',
      `the text has ${found} ${mark}, '${column}' has ${listed[kind]} ${entries}`,
    );
  }
  return undefined;
}

function countIn({ role, content }: MediaMessage, mark: string): number {
  return role === 'system' ? 0 : content.split(mark).length - 1;
}

/** Writes the texts of each kind for its placeholders, in order. */
export function fillPlaceholders<M extends MediaMessage>(
  messages: readonly M[],
  texts: { readonly [kind in MediaKind]: readonly string[] },
  placeholders: Placeholders,
): readonly M[] {
  const kinds = MEDIA_KINDS.filter((kind) => texts[kind].length > 0);
  if (kinds.length === 0) return messages;
  const kindOfMark = new Map(kinds.map((kind) => [placeholders[kind], kind]));
  const pattern = new RegExp(kinds.map((kind) => escapePattern(placeholders[kind])).join('|'), 'g');
  const next = { image: 0, video: 0, audio: 0, series: 0 };
  return messages.map((message) => {
    if (message.role === 'system') return message;
    const content = message.content.replace(pattern, (mark) => {
      const kind = kindOfMark.get(mark);
      if (kind === undefined) return mark;
      const text = texts[kind][next[kind]] ?? mark;
      next[kind] += 1;
      return text;
    });
    return content === message.content ? message : { ...message, content };
  });
}

function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}
