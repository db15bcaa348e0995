import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { openPromptTemplate, type PromptTemplate } from '../encode/prompt-template.js';
import { IGNORE_LABEL } from '../encode/samples.js';
import { loadTokenizer, type Tokenizer } from '../tokenizer/index.js';
import { isRejection, type Rejection } from './conversation.js';
import type { HandlerTools } from './handler-context.js';
import { describeHandlers, findHandler, HANDLER_NAMES, handlerNameFor } from './handler-table.js';
import { type HandlerSettings, openRowHandler } from './open-row-handler.js';
import { type RecordColumns, recordColumns, recordTags } from './record-columns.js';
import type { HandledRow } from './row-handler.js';
import { parseShareGpt } from './sharegpt.js';

const modelPath = fileURLToPath(
  new URL('../../test/fixtures/tokenizer/stories260k', import.meta.url),
);

let tokenizer: Tokenizer;
let tools: HandlerTools;
beforeAll(async () => {
  tokenizer = await loadTokenizer(modelPath);
  tools = { tokenizer, template: await templateOf('alpaca') };
});

const templateOf = (name: string): Promise<PromptTemplate> =>
  openPromptTemplate({ name, modelPath, tokenizer, generationConfig: null });

type JsonRecord = { readonly [key: string]: unknown };
type Change = Partial<HandlerSettings>;

const settingsOf = (handler: string, change: Change = {}): HandlerSettings => ({
  handler,
  cutoffLength: 1 << 20,
  overlength: 'drop',
  ...change,
});
const origin = { source: 'set', row: 7 };

const handle = (handler: string, record: JsonRecord, change: Change = {}) =>
  openRowHandler(settingsOf(handler, change), tools).handle(record, origin);

function rowsOf(handler: string, record: JsonRecord, change: Change = {}): readonly HandledRow[] {
  const rows = handle(handler, record, change);
  if (isRejection(rows)) throw new Error(rows.reason);
  return rows;
}

function refusal(handler: string, record: JsonRecord, change: Change = {}): Rejection {
  const rows = handle(handler, record, change);
  if (!isRejection(rows)) throw new Error('not refused');
  return rows;
}

const learnedText = ({ fields: [ids, labels] }: HandledRow): string =>
  tokenizer.decode(ids!.filter((_, i) => labels![i] !== IGNORE_LABEL));

const code = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    return (error as { code: unknown }).code;
  }
  return undefined;
};

const general = { instruction: 'Name a moon.', input: '', output: 'Europa is one.' };
const talk = {
  conversations: [
    { from: 'human', value: 'Hi' },
    { from: 'gpt', value: 'Hello' },
    { from: 'human', value: 'Bye' },
    { from: 'gpt', value: 'See you' },
  ],
};
const moss = {
  chat: {
    turn_1: { Human: '<|Human|>: Hi<eoh>', MOSS: '<|MOSS|>: Hello<eom>' },
    turn_2: { Human: '<|Human|>: Bye<eoh>', MOSS: '<|MOSS|>: See you<eom>' },
  },
};
const belle = {
  instruction: 'Human: Hi\nAssistant: Hello\nHuman: Bye\nAssistant:',
  output: 'Ciao',
};

describe('the table of handlers', () => {
  it('refuses an unknown name with the nearest ones, where the original takes another handler', () => {
    const open = () => openRowHandler(settingsOf('AlpacaStyleInstrutionHandler'), tools);
    expect(open).toThrow(/no handler 'AlpacaStyleInstrutionHandler'; handlers are GeneralPretrain/);
    expect(open).toThrow(
      expect.objectContaining({
        code: 'DATA_UNKNOWN_HANDLER',
        hint: expect.stringContaining('Did you mean AlpacaStyleInstructionHandler'),
      }),
    );
    for (const name of ['', 'constructor', '__proto__']) {
      expect(code(() => findHandler(name))).toBe('DATA_UNKNOWN_HANDLER');
    }
  });

  it('finds every handler by its name and by short names that no other has', () => {
    const names = describeHandlers().flatMap(({ name, aliases }) => [name, ...aliases]);
    expect(new Set(names).size).toBe(names.length);
    for (const { name, aliases } of describeHandlers()) {
      for (const alias of [name, ...aliases]) expect(findHandler(alias).name).toBe(name);
    }
    expect(HANDLER_NAMES).toHaveLength(describeHandlers().length);
  });

  it('names a handler for every form and task', () => {
    expect(handlerNameFor('auto', 'instruction')).toBe('LlamaFactoryInstructionHandler');
    expect(handlerNameFor('openai', 'pairwise')).toBe('OpenAIPairwiseHandler');
    expect(handlerNameFor('sharegpt', 'kto')).toBe('SharegptStyleKtoHandler');
    expect(handlerNameFor('text', 'instruction')).toBe('GeneralPretrainHandler');
  });

  it('asks for a template only where dialogues are written with one', () => {
    for (const { name, needsTemplate } of describeHandlers()) {
      const open = () => openRowHandler(settingsOf(name), { tokenizer, template: null });
      expect(code(open), name).toBe(needsTemplate ? 'DATA_BAD_OPTION' : undefined);
    }
  });

  it('is set by plain data', () => {
    const settings = settingsOf('sharegpt', {
      mapKeys: { messages: 'm', tags: { user_tag: 'u' } },
    });
    expect(structuredClone(settings)).toEqual(settings);
  });
});

describe('mapped keys', () => {
  it('rename columns and roles, and leave out a column that is mapped to nothing', () => {
    const record = { q: 'Hi', a: 'Hello', input: 'not read' };
    const mapKeys = { prompt: 'q', query: '', response: 'a' };
    const plain = rowsOf('alpaca', { instruction: 'Hi', output: 'Hello' });
    expect(rowsOf('alpaca', record, { mapKeys })).toEqual(plain);
    const synonyms = { instruction: 'q', input: '', output: 'a' };
    expect(rowsOf('alpaca', record, { mapKeys: synonyms })).toEqual(plain);
    const turns = {
      dialog: talk.conversations.map(({ from, value }) => ({ who: from, says: value })),
    };
    const tags = { role_tag: 'who', content_tag: 'says' };
    expect(rowsOf('sharegpt', turns, { mapKeys: { messages: 'dialog', tags } })).toEqual(
      rowsOf('sharegpt', talk),
    );
  });

  it('win over the columns of a registered set', () => {
    const change = { columns: { prompt: 'x', response: 'a' }, mapKeys: { prompt: 'q' } };
    expect(rowsOf('alpaca', { q: 'Hi', a: 'Hello' }, change)).toEqual(
      rowsOf('alpaca', { instruction: 'Hi', output: 'Hello' }),
    );
  });

  it.each([
    [{ promt: 'q' }, /unknown key 'promt'/],
    [{ tags: 'from' }, /map_keys\.tags is not an object/],
    [{ tags: { user: 'u' } }, /map_keys\.tags has the unknown key 'user'/],
    [{ prompt: 5 }, /map_keys\.prompt is 5; expected a name/],
  ])('are refused when they are %j', (mapKeys, message) => {
    const open = () => handle('alpaca', {}, { mapKeys: mapKeys as never });
    expect(open).toThrow(message);
    expect(code(open)).toBe('DATA_BAD_OPTION');
  });
});

describe('texts to learn as they are', () => {
  it('gives one field for each key and nothing for an empty text', () => {
    const record = { title: '', body: 'A cat.' };
    const change = { jsonKeys: ['title', 'body'], appendEod: true };
    const [row] = rowsOf('pretrain', record, change);
    expect(row!.fields[0]).toHaveLength(0);
    expect([...row!.fields[1]!]).toEqual([...tokenizer.encode('A cat.'), tokenizer.eosTokenId]);
    expect(row!.fullLength).toBe(row!.fields[1]!.length);
  });

  it('takes the column that a registered set calls prompt', () => {
    expect(rowsOf('pretrain', { story: 'A cat.' }, { columns: { prompt: 'story' } })).toEqual(
      rowsOf('pretrain', { text: 'A cat.' }),
    );
  });

  it('reads the turns of a dialogue under the default key', () => {
    expect(rowsOf('sharegpt-pretrain', talk)).toEqual(
      rowsOf('pretrain', { text: 'HiHelloByeSee you' }),
    );
  });

  it('writes Stack Overflow records, for which the original fails', () => {
    const record = { title: 'loops', question_body: 'How?', answer_body: 'for' };
    const [row] = rowsOf('stackoverflow-python', record);
    expect(tokenizer.decode(row!.fields[0]!, { skipSpecialTokens: true })).toBe(
      'In python, loops\n### Question:\nHow?\n### Response:\nfor\n',
    );
  });

  it.each([
    ['pretrain', {}, 'missing_field', /no field 'text'; fields found: none/],
    ['pretrain', { text: ['a'] }, 'wrong_type', /'text' is a list; expected text/],
    ['pretrain', { text: '' }, 'empty_text', /'text': no text/],
    ['alpaca-pretrain', { output: 'a' }, 'missing_field', /no field 'instruction'/],
    ['sharegpt-pretrain', { conversations: [{}] }, 'wrong_type', /'conversations\[0\]\.value'/],
    ['sharegpt-pretrain', { conversations: 'a' }, 'wrong_type', /expected a list of turns/],
    ['sharegpt-pretrain', {}, 'missing_field', /no field 'conversations'/],
  ])('%s refuses %j', (handler, record, bucket, reason) => {
    const refused = refusal(handler, record);
    expect(refused).toMatchObject({ bucket, reason: expect.stringMatching(reason) });
  });
});

describe('fixed prompts', () => {
  it('learn the last answer alone, or all on demand', () => {
    for (const [handler, record, answer] of [
      ['general', general, 'Europa is one.\n'],
      ['belle', belle, 'Ciao\n'],
    ] as const) {
      const [row] = rowsOf(handler, record);
      expect(learnedText(row!).trimStart()).toBe(answer);
      const [all] = rowsOf(handler, record, { trainOnPrompt: true });
      expect(all!.fields[1]).toEqual(all!.fields[0]);
    }
  });

  it.each([
    ['general', general],
    ['belle', belle],
    ['moss-multi-turn', moss],
  ])('%s drops, cuts or stops at a row that is too long', (handler, record) => {
    const [whole] = rowsOf(handler, record);
    const [ids, labels] = whole!.fields;
    const cutoffLength = ids!.length - 1;
    expect(refusal(handler, record, { cutoffLength })).toEqual({
      bucket: 'over_length',
      reason: `${ids!.length} tokens; cutoff_len is ${cutoffLength}`,
    });
    expect(rowsOf(handler, record, { cutoffLength, overlength: 'truncate' })).toEqual([
      {
        fields: [ids!.slice(0, cutoffLength), labels!.slice(0, cutoffLength)],
        fullLength: ids!.length,
      },
    ]);
    const stop = () => handle(handler, record, { cutoffLength, overlength: 'error' });
    expect(stop).toThrow(/set, row 7: \d+ tokens; cutoff_len is \d+/);
    expect(code(stop)).toBe('DATA_ROW_TOO_LONG');
    expect(rowsOf(handler, record, { cutoffLength: ids!.length })).toEqual([whole]);
    const short = { cutoffLength: 3, overlength: 'truncate' } as const;
    expect(refusal(handler, record, short).bucket).toBe('nothing_learned');
  });

  it.each([
    ['general', { instruction: 'a', output: ' ' }, 'empty_answer', /'output' is empty/],
    ['general', { instruction: 'a', input: 3, output: 'b' }, 'wrong_type', /'input' is a number/],
    ['general', { input: 'a', output: 'b' }, 'missing_field', /no field 'instruction'/],
    ['belle', { instruction: 'Human: q', output: 'a' }, 'wrong_role_order', /question 1, has none/],
    [
      'belle',
      { instruction: 'Human: q Assistant: a Assistant:', output: 'a' },
      'wrong_role_order',
      /has several; expected one 'Assistant:'/,
    ],
    [
      'belle',
      { instruction: 'Hey Human: q Assistant:', output: 'a' },
      'wrong_role_order',
      /begins with text before 'Human:'/,
    ],
    ['belle', { instruction: 'q', output: 'a' }, 'wrong_role_order', /begins with text/],
    ['belle', { instruction: '', output: 'a' }, 'no_messages', /has no 'Human:'/],
    ['belle', { instruction: 'Human: q Assistant:', output: '' }, 'empty_answer', /'output'/],
    [
      'leetcode-python',
      { code_with_problem: 'a', code_only: 'b' },
      'missing_field',
      /'explanation_only'/,
    ],
    ['moss', {}, 'missing_field', /no field 'chat'/],
    ['moss', { chat: [] }, 'wrong_type', /'chat' is a list; expected an object of turns/],
    ['moss', { chat: {} }, 'no_messages', /'chat' has no turns/],
    ['moss', { chat: { turn_1: { Human: 'a' } } }, 'wrong_type', /'chat\.turn_1\.MOSS'/],
    ['moss-multi-turn', { chat: { turn_1: 'a' } }, 'wrong_type', /'chat\.turn_1' is a string/],
    [
      'moss-multi-turn',
      { chat: { turn_1: { Human: 'a', MOSS: '<|MOSS|>: <eom>' } } },
      'empty_answer',
      /'chat\.turn_1\.MOSS'/,
    ],
  ])('%s refuses %j', (handler, record, bucket, reason) => {
    const refused = refusal(handler, record);
    expect(refused).toMatchObject({ bucket, reason: expect.stringMatching(reason) });
  });

  it('give MOSS dialogues answer by answer, and count the record as cut where later ones are too long', () => {
    const rows = rowsOf('moss', moss);
    expect(rows.map((row) => learnedText(row).trim())).toEqual(['Hello', 'See you']);
    const [first, second] = rows;
    const cutoffLength = first!.fullLength;
    expect(rowsOf('moss', moss, { cutoffLength })).toEqual([
      { fields: first!.fields, fullLength: second!.fullLength },
    ]);
    expect(refusal('moss', moss, { cutoffLength: cutoffLength - 1 }).bucket).toBe('over_length');
  });

  it('learn in MOSS dialogues every answer, the last one, or everything', () => {
    const eos = tokenizer.eosTokenId!;
    const [row] = rowsOf('moss-multi-turn', moss);
    const [ids, labels] = row!.fields;
    const starts = [...ids!.keys()].filter((i) => ids![i] === 195);
    expect(starts.map((i) => labels![i])).toEqual([eos, eos]);
    expect(labels!.at(-1)).toBe(eos);
    const [last] = rowsOf('moss-multi-turn', moss, { maskHistory: true });
    expect(last!.fields[1]!.slice(0, starts[1])).toEqual(new Int32Array(starts[1]!).fill(-100));
    expect(last!.fields[1]!.slice(starts[1])).toEqual(labels!.slice(starts[1]));
    const [all] = rowsOf('moss-multi-turn', moss, { trainOnPrompt: true });
    expect(all!.fields[1]).toEqual(ids);
  });
});

describe('dialogues with a template', () => {
  it('are told by each record under auto', () => {
    const messages = [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello' },
    ];
    const conversations = [
      { from: 'human', value: 'Hi' },
      { from: 'gpt', value: 'Hello' },
    ];
    const alpaca = { instruction: 'Hi', output: 'Hello' };
    const want = rowsOf('alpaca', alpaca);
    for (const record of [alpaca, { messages }, { conversations }]) {
      expect(rowsOf('auto', record)).toEqual(want);
    }
    const refused = refusal('auto', { text: 'a' });
    expect(refused.reason).toMatch(/expected instruction, conversations or messages; .*: text$/);
  });

  it('learn every answer, the last one, or everything', () => {
    const [row] = rowsOf('sharegpt', talk);
    const [last] = rowsOf('sharegpt', talk, { maskHistory: true });
    const [all] = rowsOf('sharegpt', talk, { trainOnPrompt: true });
    expect(learnedText(row!)).toMatch(/^Hello.*See you/s);
    expect(learnedText(last!)).toMatch(/^See you/);
    expect(all!.fields[1]!.slice(1)).toEqual(all!.fields[0]!.slice(1));
    const both = { maskHistory: true, trainOnPrompt: true };
    expect(code(() => handle('sharegpt', talk, both))).toBe('DATA_BAD_OPTION');
  });

  it('end with the token of documents within the cutoff', () => {
    const [plain] = rowsOf('sharegpt', talk);
    const length = plain!.fields[0]!.length;
    const [ended] = rowsOf('sharegpt', talk, { appendEod: true, cutoffLength: length + 1 });
    expect([...ended!.fields[0]!]).toEqual([...plain!.fields[0]!, tokenizer.eosTokenId]);
    expect(ended!.fields[1]!.at(-1)).toBe(tokenizer.eosTokenId);
    expect(ended!.fullLength).toBe(length + 1);
    const full = { appendEod: true, cutoffLength: length } as const;
    expect(refusal('sharegpt', talk, full)).toMatchObject({
      bucket: 'over_length',
      reason: `${length + 1} tokens; cutoff_len is ${length}`,
    });
    const [cut] = rowsOf('sharegpt', talk, { ...full, overlength: 'truncate' });
    expect(cut!.fields.map((field) => field.length)).toEqual([length, length]);
    expect(cut!.fields[0]!.at(-1)).toBe(tokenizer.eosTokenId);
    expect(cut!.fullLength).toBe(length + 1);
  });

  it.each([
    [
      'sharegpt',
      { conversations: talk.conversations.slice(0, 3), system: 's' },
      'no_answer',
      "the dialogue ends with 'conversations[2]', a user turn; expected an answer",
    ],
    [
      'sharegpt',
      { conversations: talk.conversations.slice(1) },
      'wrong_role_order',
      "'conversations[0]', the first turn, is assistant; expected user",
    ],
    [
      'sharegpt',
      { conversations: [...talk.conversations.slice(0, 1), ...talk.conversations], system: 's' },
      'wrong_role_order',
      "'conversations[1]', after user, is user; expected assistant",
    ],
    [
      'sharegpt',
      { conversations: [talk.conversations[0], { from: 'gpt', value: '' }] },
      'empty_answer',
      "the answer in 'conversations[1]' is empty",
    ],
    [
      'sharegpt',
      { conversations: [{ from: 'bot', value: 'x' }] },
      'unknown_role',
      "'conversations[0]' has the role 'bot'; known: human, gpt, system, observation, function_call",
    ],
    [
      'sharegpt',
      { conversations: [{ from: 'human' }] },
      'wrong_type',
      "'conversations[0].value' is missing; expected text",
    ],
    [
      'openai',
      {
        messages: [
          { role: 'user', content: 'a' },
          { role: 'assistant', tool_calls: [{ function: {} }] },
        ],
      },
      'bad_tools',
      "'messages[1].tool_calls[0]' is not a call with a name and arguments",
    ],
    [
      'alpaca',
      { instruction: 'a', output: ' ', system: 's' },
      'empty_answer',
      "the answer in 'output' is empty",
    ],
    [
      'alpaca',
      {
        instruction: 'a',
        output: 'b',
        system: 's',
        history: [
          ['x', 'y'],
          ['z', ''],
        ],
      },
      'empty_answer',
      "the answer in 'history[1][1]' is empty",
    ],
    [
      'alpaca',
      { instruction: 'a', output: 'b', history: [['x', 'y', 'z']] },
      'wrong_type',
      "'history[0]' is a list; expected a pair of texts [question, answer]",
    ],
  ])('%s refuses %j', (handler, record, bucket, reason) => {
    expect(refusal(handler, record)).toEqual({ bucket, reason });
  });

  it('put thoughts that stand apart in front of the answer', () => {
    const ask = { role: 'user', content: 'Hi' };
    const apart = { role: 'assistant', content: 'Hello', reasoning_content: 'A greeting.' };
    const inside = { role: 'assistant', content: '<think>\nA greeting.\n</think>\n\nHello' };
    expect(rowsOf('openai', { messages: [ask, apart] })).toEqual(
      rowsOf('openai', { messages: [ask, inside] }),
    );
    const pair = (answer: object) => ({ messages: [ask], chosen: answer, rejected: inside });
    expect(rowsOf('openai-pairwise', pair(apart))).toEqual(rowsOf('openai-pairwise', pair(inside)));
  });

  it('are refused with media, unless the column is left out', () => {
    const record = { ...talk, images: ['a.png', 'b.png'], audios: 'c.wav' };
    for (const handler of ['sharegpt', 'sharegpt-kto', 'r1-sharegpt']) {
      expect(refusal(handler, { ...record, kto_tag: true })).toMatchObject({
        bucket: 'unsupported_content',
        reason: expect.stringContaining('the record has 2 images, 1 audios'),
      });
    }
    const mapKeys = { images: '', audios: '' };
    expect(rowsOf('sharegpt', record, { mapKeys })).toEqual(rowsOf('sharegpt', talk));
    expect(refusal('sharegpt', { ...talk, videos: [4] }).reason).toMatch(
      /'videos\[0\]' is a number/,
    );
  });
});

describe('media of a record', () => {
  const parse = (extra: JsonRecord, columns: Partial<RecordColumns> = {}) =>
    parseShareGpt(
      { ...talk, ...extra },
      recordColumns('sharegpt', columns),
      recordTags('sharegpt'),
    );

  it('are kept as lists, whatever form each has', () => {
    const frames = ['1.png', '2.png'];
    const extra = { images: 'a.png', videos: [frames, { bytes: 'AAAA' }], audios: null };
    expect(parse(extra)).toMatchObject({
      media: { images: ['a.png'], videos: [frames, { bytes: 'AAAA' }], audios: [] },
    });
    expect(parse({ images: [], videos: null })).not.toHaveProperty('media');
  });

  it('have time series only where a column is named', () => {
    const series = { pulse: [1, 2.5] };
    expect(parse({ ...series, series: 'a book' })).not.toHaveProperty('media');
    expect(parse(series, { series: 'pulse' })).toMatchObject({ media: { series: [[1, 2.5]] } });
    const two = { pulse: [[1], { values: [2], sampling_rate: 8 }] };
    expect(parse(two, { series: 'pulse' })).toMatchObject({ media: { series: two.pulse } });
    expect(parse({ pulse: 'x' }, { series: 'pulse' })).toMatchObject({
      bucket: 'wrong_type',
      reason: expect.stringMatching(/^'pulse' is a string; expected a list of numbers/),
    });
  });
});

describe('preferences', () => {
  const ask = { conversations: talk.conversations.slice(0, 3), system: 's' };
  const gpt = (value: string) => ({ from: 'gpt', value });

  it('share the question and learn both answers', () => {
    const record = { ...ask, chosen: gpt('See you'), rejected: [gpt('Go away')] };
    const [row] = rowsOf('sharegpt-pairwise', record);
    const [chosen, chosenLabels, rejected, rejectedLabels] = row!.fields;
    expect(learnedText({ fields: [chosen!, chosenLabels!], fullLength: 0 })).toMatch(/^See you/);
    expect(learnedText({ fields: [rejected!, rejectedLabels!], fullLength: 0 })).toMatch(
      /^Go away/,
    );
    const learned = chosenLabels!.findIndex((label) => label !== IGNORE_LABEL);
    expect(rejected!.slice(0, learned)).toEqual(chosen!.slice(0, learned));
    const [single] = rowsOf(
      'sharegpt',
      { ...ask, conversations: talk.conversations },
      { maskHistory: true },
    );
    expect([chosen, chosenLabels]).toEqual(single!.fields);
  });

  it('read an answer that is a call, and both answers from one column', () => {
    const call = { from: 'function_call', value: '{"name": "f", "arguments": {}}' };
    const [row] = rowsOf('sharegpt-pairwise', { ...ask, chosen: call, rejected: gpt('No') });
    expect(learnedText({ fields: row!.fields.slice(0, 2), fullLength: 0 })).toContain('f');
    const mapKeys = { chosen: 'output', rejected: 'output' };
    expect(
      rowsOf('alpaca-pairwise', { instruction: 'a', output: ['b', 'c'] }, { mapKeys }),
    ).toEqual(rowsOf('alpaca-pairwise', { instruction: 'a', chosen: 'b', rejected: 'c' }));
  });

  it.each([
    [
      'sharegpt-pairwise',
      { ...talk, chosen: gpt('a'), rejected: gpt('b') },
      'wrong_role_order',
      "the dialogue ends with 'conversations[3]', an answer; expected a question",
    ],
    [
      'sharegpt-pairwise',
      { ...ask, chosen: 'a', rejected: gpt('b') },
      'wrong_type',
      "'chosen' is a string; expected an object with from and value",
    ],
    [
      'sharegpt-pairwise',
      { ...ask, chosen: gpt('a') },
      'missing_field',
      "no field 'rejected'; fields found: conversations, system, chosen",
    ],
    [
      'sharegpt-pairwise',
      { ...ask, chosen: { from: 'human', value: 'a' }, rejected: gpt('b') },
      'wrong_role_order',
      `'chosen' has the role "human"; expected gpt or function_call`,
    ],
    [
      'sharegpt-pairwise',
      { ...ask, chosen: gpt('a'), rejected: gpt(' ') },
      'empty_answer',
      "'rejected' is empty",
    ],
    [
      'alpaca-pairwise',
      { instruction: 'a', chosen: ['b'], rejected: 'c' },
      'wrong_type',
      "'chosen' is a list; expected the text of an answer",
    ],
    ['sharegpt-kto', talk, 'missing_field', "no field 'kto_tag'; fields found: conversations"],
    [
      'sharegpt-kto',
      { ...talk, kto_tag: 'yes' },
      'wrong_type',
      "'kto_tag' is a string; expected true or false",
    ],
    [
      'sharegpt-kto',
      { ...ask, kto_tag: true },
      'no_answer',
      "the dialogue ends with 'conversations[2]', a user turn; expected an answer",
    ],
  ])('%s refuses %j', (handler, record, bucket, reason) => {
    expect(refusal(handler, record)).toEqual({ bucket, reason });
  });

  it('keep the verdict as one token and the question masked', () => {
    for (const liked of [true, false]) {
      const [row] = rowsOf('sharegpt-kto', { ...talk, kto_tag: liked });
      const [single] = rowsOf('sharegpt', talk, { maskHistory: true });
      expect(row!.fields).toEqual([...single!.fields, Int32Array.of(liked ? 1 : 0)]);
      const cell = { ...talk, kto_tag: liked ? 'True' : 'false' };
      expect(rowsOf('sharegpt-kto', cell)).toEqual([row]);
    }
  });

  it('have no use for other masks', () => {
    expect(code(() => handle('alpaca-kto', {}, { trainOnPrompt: true }))).toBe('DATA_BAD_OPTION');
    expect(code(() => handle('alpaca-pairwise', {}, { maskHistory: true }))).toBe(
      'DATA_BAD_OPTION',
    );
  });
});

describe('handlers for one purpose', () => {
  it('Hunyuan asks for the chat template and the tokens of its model', async () => {
    expect(code(() => handle('hunyuan', talk))).toBe('DATA_BAD_OPTION');
    const plain = { tokenizer, template: await templateOf('plain') };
    const open = () => openRowHandler(settingsOf('hunyuan'), plain);
    expect(code(open)).toBe('DATA_TEMPLATE_MISMATCH');
    expect(open).toThrow(/learns between <\|extra_0\|> and <\|eos\|>/);
  });

  it('prompts are never cut and need every key that is asked for', () => {
    const record = { ...general, level: 'easy' };
    const [row] = rowsOf('r1-alpaca', record, { additionalKeys: ['labels', 'level'] });
    const [ids, mask, labels, level] = row!.fields;
    expect(mask).toEqual(new Int32Array(ids!.length).fill(1));
    expect(tokenizer.decode(labels!).trim()).toBe('Europa is one.');
    expect(tokenizer.decode(level!).trim()).toBe('easy');
    const short = { cutoffLength: ids!.length - 1, overlength: 'truncate' } as const;
    expect(refusal('ppo', record, short).bucket).toBe('over_length');
    expect(refusal('r1-alpaca', general, { additionalKeys: ['level'] }).bucket).toBe(
      'missing_field',
    );
  });
});

describe('whatever a record holds', () => {
  const word = fc.constantFrom(
    'Hi',
    '',
    'Human: a\nAssistant:',
    '<|Human|>: x<eoh>',
    'human',
    'gpt',
    'user',
    '\ud800',
  );
  const { value } = fc.letrec<{ value: unknown; turn: unknown }>((tie) => ({
    turn: fc.record(
      {
        from: word,
        value: tie('value'),
        role: word,
        content: tie('value'),
        Human: word,
        MOSS: word,
      },
      { requiredKeys: [] },
    ),
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      word,
      fc.constantFrom(null, true, 3),
      fc.array(fc.oneof(tie('turn'), tie('value')), { maxLength: 4 }),
      fc.dictionary(fc.constantFrom('turn_1', 'turn_2'), tie('turn')),
    ),
  }));
  const keys = [
    'text',
    'instruction',
    'input',
    'output',
    'history',
    'system',
    'tools',
    'chosen',
    'rejected',
    'kto_tag',
    'conversations',
    'messages',
    'chat',
    'images',
  ];
  const record = fc.dictionary(fc.constantFrom(...keys), value, { maxKeys: 8 });

  it('gives rows of equal fields whose labels are their tokens, or a reason', () => {
    const handlers = HANDLER_NAMES.filter((name) => name !== 'HunyuanInstructionHandler').map(
      (name) =>
        openRowHandler(settingsOf(name, { cutoffLength: 200, overlength: 'truncate' }), tools),
    );
    fc.assert(
      fc.property(record, (anything) => {
        for (const handler of handlers) {
          const rows = handler.handle(anything, origin);
          if (isRejection(rows)) {
            expect(rows.reason).not.toBe('');
            continue;
          }
          for (const { fields } of rows) {
            expect(fields).toHaveLength(handler.fields.length);
            if (handler.kind !== 'instruction') continue;
            const [ids, labels] = fields;
            expect(labels).toHaveLength(ids!.length);
            expect(ids!.length).toBeLessThanOrEqual(200);
            for (const [i, label] of labels!.entries()) {
              expect([IGNORE_LABEL, ids![i], tokenizer.eosTokenId]).toContain(label);
            }
          }
        }
      }),
      { numRuns: 150 },
    );
  });
});
