/**
 * The conversation of `tuneyard chat`: lines in, replies out, a handful of slash commands.
 *
 * Knows nothing of models or terminals; both are given.
 */
import type { ConversationMessage } from '@tuneyard/data';

/** What a conversation runs on. */
export interface ChatLoopOptions {
  /** What the user types, one line at a time; the end of it ends the conversation. */
  readonly lines: AsyncIterable<string>;
  /** First system message, if any. */
  readonly system: string | undefined;
  /** Writes the reply to the conversation and returns its text. */
  readonly reply: (messages: readonly ConversationMessage[]) => Promise<string>;
  /** Shows a note that is not part of the conversation. */
  readonly note: (text: string) => void;
  /** Called whenever the next line is awaited. */
  readonly prompt: () => void;
}

/** What can be typed besides messages. */
export const CHAT_COMMANDS_HELP = [
  '/system TEXT  set the system message and start again',
  '/reset        forget the conversation, keep the system message',
  '/help         show this list',
  '/exit         end',
] as const;

type Step = 'go on' | 'end';

/** Talks until `/exit` or the end of the lines. */
export async function runChatLoop(options: ChatLoopOptions): Promise<void> {
  const conversation = new Conversation(options.system);
  options.prompt();
  for await (const line of options.lines) {
    const step = await handleLine(line.trim(), conversation, options);
    if (step === 'end') return;
    options.prompt();
  }
}

async function handleLine(
  line: string,
  conversation: Conversation,
  options: ChatLoopOptions,
): Promise<Step> {
  if (line === '') return 'go on';
  if (line.startsWith('/')) return handleCommand(line, conversation, options);
  const messages = conversation.with({ role: 'user', content: line });
  const content = await options.reply(messages);
  conversation.messages = [...messages, { role: 'assistant', content }];
  return 'go on';
}

function handleCommand(line: string, conversation: Conversation, options: ChatLoopOptions): Step {
  const [command = '', ...rest] = line.split(' ');
  switch (command) {
    case '/exit':
    case '/quit':
      return 'end';
    case '/reset':
      conversation.reset();
      options.note('conversation forgotten');
      return 'go on';
    case '/system':
      conversation.system = rest.join(' ').trim() || undefined;
      conversation.reset();
      options.note(
        conversation.system === undefined ? 'system message removed' : 'system message set',
      );
      return 'go on';
    case '/help':
      options.note(CHAT_COMMANDS_HELP.join('\n'));
      return 'go on';
    default:
      options.note(`unknown command ${command}\n${CHAT_COMMANDS_HELP.join('\n')}`);
      return 'go on';
  }
}

class Conversation {
  system: string | undefined;
  messages: readonly ConversationMessage[] = [];

  constructor(system: string | undefined) {
    this.system = system;
    this.reset();
  }

  reset(): void {
    this.messages = this.system === undefined ? [] : [{ role: 'system', content: this.system }];
  }

  with(message: ConversationMessage): readonly ConversationMessage[] {
    return [...this.messages, message];
  }
}
