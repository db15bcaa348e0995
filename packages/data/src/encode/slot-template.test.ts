import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Conversation,
  type ConversationMessage,
  isRejection,
} from '../handlers/conversation.js';
import { loadTokenizer, type Tokenizer } from '../tokenizer/index.js';
import { encodeAnswer, encodePreference } from './preference.js';
import {
  type OpenTemplateOptions,
  openPromptTemplate,
  type PromptTemplate,
  plainPromptTemplate,
} from './prompt-template.js';
import { encodeConversation, encodePrompt, type SampleEncodeOptions } from './sample-encoder.js';
import { slotDialogue } from './slot-messages.js';
import type { SlotPromptTemplate } from './slot-template.js';

// Ids and labels are held against LLaMA-Factory in test/template-golden.test.ts; here is what it does not do.

const modelPath = fileURLToPath(
  new URL('../../../../assets/models/stories260k-hf', import.meta.url),
);
let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await loadTokenizer(modelPath);
});

async function open(
  name: string,
  options: Partial<OpenTemplateOptions> = {},
): Promise<SlotPromptTemplate> {
  const base = { name, modelPath, tokenizer, generationConfig: null };
  const template = await openPromptTemplate({ ...base, ...options });
  if (template.form !== 'slots') throw new Error('not a named template');
  return template;
}

const user = (content: string): ConversationMessage => ({ role: 'user', content });
const answer = (content: string): ConversationMessage => ({ role: 'assistant', content });
const tool = (content: string): ConversationMessage => ({ role: 'tool', content });

function talk(...messages: ConversationMessage[]): Conversation {
  return { kind: 'conversation', source: 'test', row: 7, messages };
}

function encode(
  conversation: Conversation,
  template: PromptTemplate,
  options: Partial<SampleEncodeOptions> = {},
) {
  return encodeConversation(conversation, { tokenizer, template, cutoffLength: 4096, ...options });
}

const CALL = { type: 'function', function: { name: 'f', arguments: { a: 'x', b: [1] } } } as const;
const TOOL = {
  name: 'f',
  description: 'does',
  parameters: { type: 'object', properties: { a: { type: 'string' } } },
};

describe('opening a named template', () => {
  it('refuses one that is written with a token the vocabulary lacks, and names the token', async () => {
    for (const [name, token] of [
      ['chatml', '<|im_end|>'],
      ['baichuan', '<reserved_102>'],
      ['glm4', '<|user|>'],
    ] as const) {
      await expect(open(name)).rejects.toMatchObject({
        code: 'DATA_TEMPLATE_MISMATCH',
        message: expect.stringContaining(token) as string,
      });
    }
  });

  it('gives missing stop words ids at the end of the vocabulary when asked to', async () => {
    const template = await open('chatml', { resizeVocab: true });
    expect(template.addedTokens).toEqual(['<|im_end|>', '<|im_start|>']);
    expect(template.stopTokenIds).toEqual([tokenizer.vocabSize, tokenizer.vocabSize + 1]);
    const encoded = encode(talk(user('Hi'), answer('Yo')), template);
    if (isRejection(encoded)) throw new Error(encoded.reason);
    expect([...encoded.sample.ids].filter((id) => id >= tokenizer.vocabSize)).toEqual([
      513, 512, 513, 512,
    ]);
  });

  it('takes the fallback for EOS where the tokenizer has none', async () => {
    const bare: Tokenizer = Object.create(tokenizer, { eosTokenId: { value: null } });
    bare.encode = (text, options) => tokenizer.encode(text, options);
    bare.tokenToId = (token) => tokenizer.tokenToId(token);
    const options = { tokenizer: bare, generationConfig: { eos_token_id: 7 } };
    expect((await open('alpaca', options)).stopTokenIds).toEqual([7]);
    await expect(open('alpaca', { ...options, generationConfig: null })).rejects.toMatchObject({
      code: 'DATA_NO_STOP_TOKEN',
    });
  });
});

describe('dialogues that a named template cannot write', () => {
  it('are refused with a reason', async () => {
    const template = await open('vicuna');
    const glm = await open('glm4', { resizeVocab: true });
    const withText = { ...answer('Let me see.'), tool_calls: [CALL] };
    const calling = { ...answer(''), tool_calls: [CALL] };
    const twice = { ...answer(''), tool_calls: [CALL, CALL] };
    const said = (text: string) => ({ ...answer(''), call_text: text });
    const cases: [Conversation, PromptTemplate, string, string][] = [
      [talk(user('a'), withText, tool('1'), answer('b')), template, 'bad_tools', 'text and calls'],
      [
        talk(user('a'), calling, tool('1'), tool('2'), answer('b')),
        template,
        'wrong_role_order',
        'turn 4 is tool',
      ],
      [talk(user('a'), twice, tool('1'), answer('b')), glm, 'bad_tools', 'one call in a turn'],
      [
        talk(user('a'), said('{"name": "f"'), tool('1'), answer('b')),
        template,
        'bad_tools',
        'JSON',
      ],
      [talk(user('a'), said('{"name": "f"}')), template, 'bad_tools', 'name and arguments'],
      [
        { ...talk(user('a'), answer('b')), tools: [{ name: 'f' }] },
        template,
        'bad_tools',
        'missing',
      ],
      [{ ...talk(user('a'), answer('b')), tools: ['f'] }, template, 'bad_tools', 'not an object'],
      [talk(user('a')), template, 'no_answer', 'no answer'],
      [talk(), template, 'no_answer', 'no answer'],
    ];
    for (const [conversation, used, bucket, reason] of cases) {
      expect(encode(conversation, used)).toMatchObject({
        bucket,
        reason: expect.stringContaining(reason) as string,
      });
    }
    const bad = { ...talk(user('a'), answer('b')), toolsText: '[' };
    expect(slotDialogue(bad)).toMatchObject({ bucket: 'bad_tools' });
  });
});

describe('tools and calls', () => {
  it('are the same tokens as parsed values and as the text of the record', async () => {
    const template = await open('vicuna', { toolFormat: 'qwen' });
    const parsed = { ...answer('<think>why</think>'), tool_calls: [CALL] };
    const text = `<think>why</think>[${JSON.stringify(CALL.function)}]`;
    const spelled = { ...answer(''), call_text: text };
    const rest = [tool('1'), answer('b')];
    const one = encode({ ...talk(user('a'), parsed, ...rest), tools: [TOOL] }, template);
    const other = { ...talk(user('a'), spelled, ...rest), toolsText: JSON.stringify([TOOL]) };
    expect(encode(other, template)).toEqual(one);
    expect(one).toHaveProperty('sample');
  });

  it('leave text of the data alone that looks like a placeholder', async () => {
    const template = await open('vicuna');
    const encoded = encode(talk(user('{{idx}} {{content}} $& $1'), answer('ok')), template);
    if (isRejection(encoded)) throw new Error(encoded.reason);
    expect(tokenizer.decode(encoded.sample.ids)).toContain('{{idx}} {{content}} $& $1');
  });
});

describe('long samples of named templates', () => {
  const long = talk(user('Tim ran to the big park with mom. Why?'), answer('He was happy'));

  it('are dropped, refused or cut by policy', async () => {
    const template = await open('alpaca');
    const options = { cutoffLength: 40 };
    expect(encode(long, template, options)).toMatchObject({ bucket: 'over_length' });
    expect(() => encode(long, template, { ...options, overlength: 'error' })).toThrow(
      /test, row 7: .* cutoff_len is 40/,
    );
    const cut = encode(long, template, { ...options, overlength: 'truncate' });
    if (isRejection(cut)) throw new Error(cut.reason);
    expect(cut.sample.ids).toHaveLength(40);
    expect(cut.fullLength).toBeGreaterThan(40);
  });

  it('are refused when nothing of an answer is left', async () => {
    for (const name of ['alpaca', 'falcon']) {
      const template = await open(name);
      const options = { cutoffLength: 3, overlength: 'truncate' } as const;
      const question = user('a b c d e f g '.repeat(20));
      expect(encode(talk(question, answer('x')), template, options)).toMatchObject({
        bucket: 'nothing_learned',
        reason: 'no answer is left after cutting',
      });
    }
  });
});

describe('what is learned', () => {
  it('is EOS in place of the first token of a later question where answers have no end', async () => {
    const template = await open('falcon');
    const encoded = encode(talk(user('a'), answer('b'), user('c'), answer('d')), template);
    if (isRejection(encoded)) throw new Error(encoded.reason);
    const { ids, learned, labels } = encoded.sample;
    const eos = tokenizer.eosTokenId;
    const other = [...ids.keys()].filter((i) => learned[i] === 1 && labels?.[i] !== ids[i]);
    expect(other).toHaveLength(1);
    expect(labels?.[other[0]!]).toBe(eos);
    expect(learned[0]).toBe(0);
    expect([ids.at(-1), labels?.at(-1)]).toEqual([eos, eos]);
    expect(() => encode(long(), template, { trainOnPrompt: true })).toThrow(/train_on_prompt/);
  });

  it('has no labels of its own where they are the tokens', async () => {
    const encoded = encode(talk(user('a'), answer('b')), await open('alpaca'));
    expect(encoded).not.toHaveProperty('sample.labels');
  });

  const long = () => talk(user('a'), answer('b'));
});

describe('preferences', () => {
  const pair = {
    source: 'pairs',
    row: 3,
    messages: [user('Who ran?')],
    chosen: answer('Tim'),
    rejected: answer('a big red dog ran'),
  };

  it('share one question and learn each answer, with any kind of template', async () => {
    for (const template of [plainPromptTemplate(1), await open('alpaca')]) {
      const options = { tokenizer, template, cutoffLength: 512 };
      const encoded = encodePreference(pair, options);
      const prompt = encodePrompt({ messages: pair.messages }, options);
      if (isRejection(encoded) || isRejection(prompt)) throw new Error('refused');
      for (const [side, said] of [
        [encoded.chosen, pair.chosen],
        [encoded.rejected, pair.rejected],
      ] as const) {
        expect(side.ids.subarray(0, prompt.length)).toEqual(prompt);
        expect(side.labels.subarray(0, prompt.length).every((label) => label === -100)).toBe(true);
        expect(side.labels.subarray(prompt.length)).toEqual(side.ids.subarray(prompt.length));
        const whole = encode({ ...talk(user('Who ran?'), said) }, template);
        expect(whole).toMatchObject({ sample: { ids: side.ids } });
      }
      expect(encoded.fullLength).toBe(encoded.rejected.ids.length);
    }
  });

  it('follow the policy about long samples', async () => {
    const template = await open('alpaca');
    const options = { tokenizer, template, cutoffLength: 20 };
    expect(encodePreference(pair, options)).toMatchObject({ bucket: 'over_length' });
    expect(() => encodePreference(pair, { ...options, overlength: 'error' })).toThrow(
      /pairs, row 3/,
    );
    const cut = encodePreference(pair, { ...options, overlength: 'truncate' });
    expect(cut).toMatchObject({ rejected: { ids: expect.objectContaining({ length: 20 }) } });
    const rated = { ...talk(user('Who ran?'), answer('Tim')) };
    expect(encodeAnswer(rated, options)).toMatchObject({ bucket: 'over_length' });
    const none = { ...options, cutoffLength: 2, overlength: 'truncate' } as const;
    expect(encodeAnswer(talk(user('a '.repeat(90)), answer('x')), none)).toMatchObject({
      bucket: 'nothing_learned',
    });
  });
});
