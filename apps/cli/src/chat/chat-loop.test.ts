import type { ConversationMessage } from '@tuneyard/data';
import { describe, expect, it } from 'vitest';
import { runChatLoop } from './chat-loop.js';

async function converse(lines: string[], system?: string) {
  const asked: string[][] = [];
  const notes: string[] = [];
  let prompts = 0;
  await runChatLoop({
    lines: (async function* () {
      yield* lines;
    })(),
    system,
    reply: (messages: readonly ConversationMessage[]) => {
      asked.push(messages.map(({ role, content }) => `${role}: ${content}`));
      return Promise.resolve(`answer ${asked.length}`);
    },
    note: (text) => notes.push(text),
    prompt: () => {
      prompts++;
    },
  });
  return { asked, notes, prompts };
}

describe('runChatLoop', () => {
  it('sends the whole conversation with every message', async () => {
    const { asked, prompts } = await converse(['hello', '', ' more ']);
    expect(asked).toEqual([['user: hello'], ['user: hello', 'assistant: answer 1', 'user: more']]);
    expect(prompts).toBe(4);
  });

  it('keeps the system message through /reset and replaces it with /system', async () => {
    const { asked } = await converse(
      ['a', '/reset', 'b', '/system be brief', 'c', '/system', 'd'],
      'be kind',
    );
    expect(asked).toEqual([
      ['system: be kind', 'user: a'],
      ['system: be kind', 'user: b'],
      ['system: be brief', 'user: c'],
      ['user: d'],
    ]);
  });

  it('ends at /exit and does not send what follows', async () => {
    expect((await converse(['/exit', 'a'])).asked).toEqual([]);
  });

  it('explains an unknown command instead of sending it to the model', async () => {
    const { asked, notes } = await converse(['/sytem x']);
    expect(asked).toEqual([]);
    expect(notes[0]).toMatch(/^unknown command \/sytem\n.*\/system TEXT/);
  });
});
