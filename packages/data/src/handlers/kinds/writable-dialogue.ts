/** What a template can write of a parsed dialogue: text, with thoughts in it. */
import type { PromptTemplate } from '../../encode/prompt-template.js';
import type { ParsedDialogue } from '../alpaca.js';
import { type ConversationMessage, isRejection, type Rejection, reject } from '../conversation.js';

/**
 * Makes a dialogue ready for a template, or refuses it for its media: their placeholders would be learned as words.
 *
 * Thoughts that a record keeps apart (`reasoning_content`) go in front of the answer, between think tags, for templates
 * that write the content alone; a model's own template reads the field itself.
 */
export function writableDialogue<T extends ParsedDialogue>(
  parsed: T | Rejection,
  template: PromptTemplate,
): T | Rejection {
  if (isRejection(parsed)) return parsed;
  if (parsed.media !== undefined) return refuseMedia(parsed.media);
  if (template.form === 'text' || !parsed.messages.some(hasThought)) return parsed;
  return { ...parsed, messages: parsed.messages.map(withThought) };
}

/** A message with its thought in the text. */
export function withThought(message: ConversationMessage): ConversationMessage {
  if (!hasThought(message)) return message;
  const { reasoning_content: thought, ...rest } = message;
  return { ...rest, content: `<think>\n${thought}\n</think>\n\n${message.content}` };
}

function hasThought({ reasoning_content }: ConversationMessage): boolean {
  return reasoning_content !== undefined;
}

function refuseMedia(media: NonNullable<ParsedDialogue['media']>): Rejection {
  const found = (['images', 'videos', 'audios', 'series'] as const)
    .map((list) => ({ list, count: media[list]?.length ?? 0 }))
    .filter(({ count }) => count > 0)
    .map(({ list, count }) => `${count} ${list}`)
    .join(', ');
  return reject(
    'unsupported_content',
    `the record has ${found}; expected text alone (a column mapped to '' is left out)`,
  );
}
