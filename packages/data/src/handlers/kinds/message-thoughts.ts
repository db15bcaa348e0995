/** Thoughts that a record keeps apart from the answer. */
import type { PromptTemplate } from '../../encode/prompt-template.js';
import type { ConversationMessage } from '../conversation.js';

/**
 * Puts `reasoning_content` in front of the answer, between think tags, for templates that write the content alone. A
 * model's own template reads the field itself.
 */
export function withThoughts(
  messages: readonly ConversationMessage[],
  template: PromptTemplate,
): readonly ConversationMessage[] {
  if (template.form === 'text' || !messages.some(hasThought)) return messages;
  return messages.map((message) => {
    if (!hasThought(message)) return message;
    const { reasoning_content: thought, ...rest } = message;
    return { ...rest, content: `<think>\n${thought}\n</think>\n\n${message.content}` };
  });
}

function hasThought({ reasoning_content }: ConversationMessage): boolean {
  return reasoning_content !== undefined;
}
