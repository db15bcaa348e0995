import { readdirSync, readFileSync } from 'node:fs';
import { TuneyardError } from '@tuneyard/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ChatMessage, ChatTemplate, renderSegments } from '../src/templates/index.js';

const FIXTURES = new URL('./fixtures/chat-templates/', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, FIXTURES), 'utf8');

interface Conversation {
  readonly messages: readonly ChatMessage[];
  readonly gp: boolean;
  readonly tools?: readonly unknown[];
}

interface Row {
  readonly template: string;
  readonly conversation: string;
  readonly text?: string;
  readonly error?: string;
  readonly message?: string;
}

const { conversations } = JSON.parse(read('conversations.json')) as {
  conversations: Record<string, Conversation>;
};
const rows = read('expected.jsonl')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Row);
const names = readdirSync(new URL('templates/', FIXTURES));

function load(name: string): ChatTemplate {
  return new ChatTemplate(read(`templates/${name}`), name, {
    bosToken: '<s>',
    eosToken: '</s>',
    now: () => new Date(2026, 0, 15, 10, 30),
  });
}

function attempt<T>(run: () => T): T | TuneyardError {
  try {
    return run();
  } catch (error) {
    expect(error).toBeInstanceOf(TuneyardError);
    return error as TuneyardError;
  }
}

describe('real chat templates render as Jinja2 renders them', () => {
  it.each(names)('%s', (name) => {
    const template = load(name);
    const mine = rows.filter((row) => row.template === name);
    expect(mine).toHaveLength(Object.keys(conversations).length);
    for (const row of mine) {
      const { messages, gp, tools } = conversations[row.conversation]!;
      const result = attempt(() =>
        template.render(messages, { addGenerationPrompt: gp, ...(tools ? { tools } : {}) }),
      );
      if (row.text !== undefined) {
        expect(result, row.conversation).toBe(row.text);
      } else if (row.error === 'TemplateError') {
        expect(result, row.conversation).toMatchObject({
          code: 'CHAT_TEMPLATE_REFUSED',
          details: { templateMessage: row.message },
        });
      }
      // Python's own type errors have no counterpart here: the interpreter may accept or refuse.
    }
  });
});

const content = fc.oneof(
  fc.constantFrom(
    '4',
    'user',
    '\n\nspaced\n',
    '<|im_end|>',
    'a < b',
    '</s>',
    'x\n',
    '[/INST]',
    '…',
  ),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
);
const exchange = fc.tuple(content, content).map(([user, assistant]): ChatMessage[] => [
  { role: 'user', content: user },
  { role: 'assistant', content: assistant },
]);
const conversation = fc
  .tuple(fc.option(content, { nil: undefined }), fc.array(exchange, { minLength: 1, maxLength: 3 }))
  .map(([system, exchanges]): ChatMessage[] => [
    ...(system === undefined ? [] : [{ role: 'system', content: system }]),
    ...exchanges.flat(),
  ]);

/** Raises unless it is one of the errors that a conversation may meet. */
const NAMED = [
  'CHAT_TEMPLATE_NOT_PREFIX_PRESERVING',
  'CHAT_TEMPLATE_REFUSED',
  'CHAT_TEMPLATE_FAILED',
];

describe('segments of any conversation', () => {
  it.each(names)('join to the exact rendering, or the trouble is named: %s', (name) => {
    const template = load(name);
    fc.assert(
      fc.property(conversation, (messages) => {
        const segments = attempt(() => renderSegments(template, messages));
        if (segments instanceof TuneyardError) {
          expect(NAMED).toContain(segments.code);
          return;
        }
        const full = template.render(messages, { addGenerationPrompt: false });
        expect(segments.map(({ text }) => text).join('')).toBe(full);
        const learned = segments.filter((segment) => segment.learned);
        const answers = messages.filter((message) => message.role === 'assistant');
        expect(learned).toHaveLength(answers.length);
        for (const [i, answer] of answers.entries()) {
          // A template may drop a thinking part and trim; what is left of the answer is learned.
          if (!answer.content.includes('think')) {
            expect(learned[i]!.text).toContain(answer.content.trim());
          }
          expect(learned[i]!.text.endsWith('|>\n')).toBe(false);
        }
      }),
      { numRuns: 60, seed: 5 },
    );
  });

  it.each([
    ['Qwen-Qwen2.5-7B-Instruct.jinja', ['4<|im_end|>', '6<|im_end|>']],
    ['microsoft-Phi-3.5-mini-instruct.jinja', ['4<|end|>', '6<|end|>']],
    ['deepseek-ai-DeepSeek-V3.1.jinja', ['4<｜end▁of▁sentence｜>', '6<｜end▁of▁sentence｜>']],
    ['ibm-granite-granite-3.3-2B-Instruct.jinja', ['4<|end_of_text|>', '6<|end_of_text|>']],
    ['Mistral-Small-3.2-24B-Instruct-2506.jinja', ['4</s>', '6</s>']],
    [
      'openai-gpt-oss-120b.jinja',
      ['<|channel|>final<|message|>4<|end|>', '<|channel|>final<|message|>6<|return|>'],
    ],
  ])('learn the answer with its stop text in %s', (name, expected) => {
    const segments = renderSegments(load(name), conversations['train_pair']!.messages);
    expect(segments.filter(({ learned }) => learned).map(({ text }) => text)).toEqual(expected);
  });

  it.each([
    ['Qwen-Qwen3-0.6B.jinja', /at message 3 of 5 \(assistant\): later turns change/],
    [
      'deepseek-ai-DeepSeek-R1-Distill-Qwen-32B.jinja',
      /at message 3 of 5 .*the prompt for this turn/,
    ],
    ['mistralai-Mistral-Nemo-Instruct-2407.jinja', /at message 3 of 5 .*the prompt for this turn/],
  ])('name the turn where %s rewrites history', (name, message) => {
    expect(() => renderSegments(load(name), conversations['train_pair']!.messages)).toThrow(
      expect.objectContaining({
        code: 'CHAT_TEMPLATE_NOT_PREFIX_PRESERVING',
        message: expect.stringMatching(message) as string,
      }) as Error,
    );
  });

  it('learn a single turn of Qwen3 with the think block it is asked to write', () => {
    const messages = conversations['train_pair']!.messages.slice(0, 3);
    const learned = renderSegments(load('Qwen-Qwen3-0.6B.jinja'), messages).filter(
      (s) => s.learned,
    );
    expect(learned.map(({ text }) => text)).toEqual(['<think>\n\n</think>\n\n4<|im_end|>']);
  });
});
