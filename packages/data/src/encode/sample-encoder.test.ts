import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Conversation,
  type ConversationMessage,
  isRejection,
} from '../handlers/conversation.js';
import { describeDataFile } from '../handlers/dataset-spec.js';
import { loadTokenizer, type Tokenizer } from '../tokenizer/index.js';
import { buildDataReport, summarizeReport } from './data-report.js';
import { prepareConversations, prepareDocuments } from './prepare-samples.js';
import {
  chooseStopToken,
  openPromptTemplate,
  type PromptTemplate,
  plainPromptTemplate,
} from './prompt-template.js';
import {
  type EncodedSample,
  encodeConversation,
  encodeDocument,
  encodePrompt,
  type SampleEncodeOptions,
} from './sample-encoder.js';
import { tokenizeSegments } from './segments.js';

const modelDir = fileURLToPath(
  new URL('../../../../assets/models/stories260k-hf', import.meta.url),
);
const STOP = 1;
let tokenizer: Tokenizer;
let plain: PromptTemplate;
beforeAll(async () => {
  tokenizer = await loadTokenizer(modelDir);
  plain = plainPromptTemplate(STOP);
});

function dialogue(...texts: string[]): Conversation {
  const messages = texts.map(
    (content, i): ConversationMessage => ({ role: i % 2 === 0 ? 'user' : 'assistant', content }),
  );
  return { kind: 'conversation', source: 'test', row: 7, messages };
}

function encode(
  conversation: Conversation,
  options: Partial<SampleEncodeOptions> = {},
): EncodedSample {
  const all = { tokenizer, template: plain, cutoffLength: 512, ...options };
  const encoded = encodeConversation(conversation, all);
  if (isRejection(encoded)) throw new Error(encoded.reason);
  return encoded;
}

function learnedText({ sample }: EncodedSample): string {
  return tokenizer.decode(sample.ids.filter((_, i) => sample.learned[i] === 1));
}

const qa = dialogue('Tim has a red ball. What color is the ball?', 'red');

describe('encoding with the plain template', () => {
  it('equals one text with a stop token, and learns the answer and the stop alone', () => {
    const { sample, fullLength } = encode(qa);
    const whole = tokenizer.encode('Tim has a red ball. What color is the ball? red');
    expect([...sample.ids]).toEqual([...whole, STOP]);
    expect(fullLength).toBe(sample.ids.length);
    const answer = tokenizer.encode('red', { addSpecialTokens: false });
    const expected = new Uint8Array(sample.ids.length).fill(1, -answer.length - 1);
    expect(sample.learned).toEqual(expected);
    expect(sample).toMatchObject({ row: 7, source: 'test' });
  });

  it('puts one BOS in front, also when the text spells one', () => {
    expect([...encode(qa).sample.ids].filter((id) => id === 1)).toHaveLength(2);
    const spelled = encode(dialogue('<s>Tim has a ball.', 'ok'));
    expect([...spelled.sample.ids.subarray(0, 2)]).toEqual([
      1,
      tokenizer.encode('Tim has a ball.')[1],
    ]);
  });

  it('keeps one blank between question and answer', () => {
    const expected = encode(dialogue('Answer:', 'red')).sample.ids;
    for (const [question, answer] of [
      ['Answer: ', 'red'],
      ['Answer:', ' red'],
    ] as const) {
      const ids = encode(dialogue(question, answer)).sample.ids;
      expect(tokenizer.decode(ids)).toBe(tokenizer.decode(expected));
    }
  });

  it('gives a prompt the very tokens it has in training', () => {
    const three = dialogue('One day', 'Tim ran.', 'Then?', 'He sat.');
    for (const turns of [1, 3]) {
      const prompt = encodePrompt(
        { messages: three.messages.slice(0, turns) },
        { tokenizer, template: plain },
      );
      const sample = encode({ ...three, messages: three.messages.slice(0, turns + 1) }).sample;
      const masked = sample.learned.lastIndexOf(0) + 1;
      expect(prompt).toEqual(sample.ids.subarray(0, masked));
    }
  });

  it('learns every answer, the last one, or everything', () => {
    const two = dialogue('Hi', 'Hello Tim', 'Bye', 'See you');
    expect(learnedText(encode(two))).toBe('Hello Tim<s> See you<s>');
    expect(learnedText(encode(two, { maskHistory: true }))).toBe('See you<s>');
    const all = encode(two, { trainOnPrompt: true });
    expect(all.sample.learned).toEqual(new Uint8Array(all.sample.ids.length).fill(1, 1));
    expect(() => encode(two, { maskHistory: true, trainOnPrompt: true })).toThrow(
      'train_on_prompt learns everything',
    );
  });
});

describe('opening templates', () => {
  const generationConfig = { eos_token_id: [STOP, 2] };
  const open = (name: string, defaultSystem?: string) =>
    openPromptTemplate({
      name,
      modelPath: modelDir,
      tokenizer,
      generationConfig,
      ...(defaultSystem === undefined ? {} : { defaultSystem }),
    });
  const tokens = (template: PromptTemplate, conversation: Conversation) => {
    const { sample } = encode(conversation, { template });
    return { text: tokenizer.decode(sample.ids), learned: learnedText({ sample, fullLength: 0 }) };
  };

  it('refuses a name, a model without a template, and a stop text that is no token', async () => {
    await expect(open('chatmm')).rejects.toMatchObject({ code: 'CHAT_TEMPLATE_UNKNOWN' });
    await expect(open('auto')).rejects.toMatchObject({
      code: 'CHAT_TEMPLATE_MISSING',
      hint: expect.stringContaining('template: plain'),
    });
    await expect(open('chatml')).rejects.toMatchObject({ code: 'DATA_TEMPLATE_MISMATCH' });
  });

  it('writes the slots of a named template one by one and ends answers with EOS', async () => {
    const alpaca = await open('alpaca', '');
    const eos = tokenizer.eosTokenId!;
    expect(alpaca.stopTokenIds).toEqual([eos]);
    const { sample } = encode(dialogue('Add $1', 'two {content}', 'More', 'ok'), {
      template: alpaca,
    });
    const piece = (text: string) => [...tokenizer.encode(text, { addSpecialTokens: false })];
    const source = (text: string) => piece(`### Instruction:\n${text}\n\n### Response:\n`);
    const target = (text: string) => [...piece(text), eos, ...piece('\n\n')];
    const turns = [source('Add $1'), target('two {content}'), source('More'), target('ok')];
    expect([...sample.ids]).toEqual(turns.flat());
    expect([...sample.learned]).toEqual(turns.flatMap((ids, i) => ids.map(() => i % 2)));
  });

  it('writes the default system text where a row has none', async () => {
    const own: Conversation = {
      ...qa,
      messages: [{ role: 'system', content: 'Own.' }, ...qa.messages],
    };
    for (const name of ['plain', 'default']) {
      const template = await open(name, 'Be short.');
      expect(tokens(template, qa).text).toContain('Be short.');
      expect(tokens(template, own).text).toContain('Own.');
      expect(tokens(template, own).text).not.toContain('Be short.');
    }
  });

  it("tells a model's own template whether to think, when that is said", async () => {
    const directory = await mkdtemp(join(tmpdir(), 'tuneyard-thinking-'));
    const source =
      '{% if enable_thinking is defined %}{{ enable_thinking }} {% endif %}{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}';
    await writeFile(join(directory, 'chat_template.jinja'), source);
    const base = { name: 'auto', modelPath: directory, tokenizer, generationConfig: null };
    const textOf = async (options: { enableThinking?: boolean | null }) => {
      const template = await openPromptTemplate({ ...base, ...options });
      return tokens(template, dialogue('a', 'b')).text.trimStart();
    };
    expect(await textOf({})).toBe(await textOf({ enableThinking: null }));
    expect(await textOf({ enableThinking: false })).toMatch(/false/);
    expect(await textOf({ enableThinking: true })).toMatch(/true/);
  });

  it('rejects a row that the template cannot write, and goes on', async () => {
    const tool: Conversation = {
      ...qa,
      messages: [
        ...qa.messages,
        { role: 'tool', content: '1' },
        { role: 'assistant', content: 'x' },
      ],
    };
    const options = { tokenizer, cutoffLength: 512 };
    expect(encodeConversation(tool, { ...options, template: plain })).toMatchObject({
      bucket: 'bad_tools',
      reason: expect.stringContaining('cannot write'),
    });
  });

  it('never leaves tools or calls out in silence', async () => {
    const call = { type: 'function', function: { name: 'f', arguments: {} } } as const;
    const [question, answer] = qa.messages;
    const calling: Conversation = {
      ...qa,
      messages: [question!, { ...answer!, content: '', tool_calls: [call] }],
    };
    for (const template of [plain]) {
      for (const conversation of [{ ...qa, tools: [{}] }, calling]) {
        const options = { tokenizer, cutoffLength: 512, template };
        expect(encodeConversation(conversation, options)).toMatchObject({ bucket: 'bad_tools' });
        expect(encodePrompt(conversation, options)).toMatchObject({ bucket: 'bad_tools' });
      }
    }
  });

  it('chooses the stop token of the generation config before the tokenizer', () => {
    expect(chooseStopToken({ eos_token_id: [1, 2] }, tokenizer)).toBe(1);
    expect(chooseStopToken({ eos_token_id: 5 }, tokenizer)).toBe(5);
    expect(chooseStopToken(null, tokenizer)).toBe(tokenizer.eosTokenId);
    const none = { ...tokenizer, origin: 'x', eosTokenId: null } as Tokenizer;
    expect(() => chooseStopToken({}, none)).toThrow('no token that ends an answer');
  });
});

describe('tokenizing pieces', () => {
  it('continues a text as the whole would be, whatever the split', () => {
    const text = 'Once upon a time, there was a big dog. He was very happy.';
    const whole = tokenizer.encode(text);
    for (let at = text.indexOf(' '); at > 0; at = text.indexOf(' ', at + 1)) {
      const spans = tokenizeSegments(
        [
          { text: text.slice(0, at), learned: false },
          { text: text.slice(at), learned: true },
        ],
        tokenizer,
      );
      expect(spans.flatMap((span) => [...span.ids])).toEqual([...whole]);
    }
  });

  it('adds no blank inside a text, but one after a special token as the tokenizer itself does', () => {
    const span = (text: string, before: string) =>
      tokenizeSegments(
        [
          { text: before, learned: false },
          { text, learned: true },
        ],
        tokenizer,
      )[1]!.ids;
    expect(tokenizer.decode([1, ...span('red', 'Answer:')])).toBe('<s>red');
    expect([...span('red', 'Answer:<s>')]).toEqual([
      ...tokenizer.encode('red', { addSpecialTokens: false }),
    ]);
  });
});

describe('samples longer than the cutoff', () => {
  const long = dialogue(
    'Tim ran and ran and ran and ran to the big park with mom. Why?',
    'He was happy',
  );

  it('drops, refuses or cuts by policy', () => {
    const { fullLength } = encode(long);
    const options = { tokenizer, template: plain, cutoffLength: fullLength - 1 };
    expect(encodeConversation(long, options)).toMatchObject({
      bucket: 'over_length',
      reason: `${fullLength} tokens; cutoff_len is ${fullLength - 1}`,
    });
    expect(() => encodeConversation(long, { ...options, overlength: 'error' })).toThrow(
      /test, row 7: .* cutoff_len/,
    );
    const cut = encode(long, { ...options, overlength: 'truncate' });
    expect(cut.fullLength).toBe(fullLength);
    expect(cut.sample.ids).toHaveLength(fullLength - 1);
    expect(learnedText(cut)).toBe('He was happy<s>');
    expect(cut.sample.ids[0]).toBe(1);
  });

  it('keeps what fits exactly', () => {
    const { fullLength } = encode(long);
    expect(encode(long, { cutoffLength: fullLength }).sample.ids).toHaveLength(fullLength);
  });

  it('keeps BOS and the last answer when history is masked', () => {
    const three = dialogue(
      'One day Tim ran far away',
      'ok',
      'Then he sat down',
      'yes',
      'Why',
      'fun',
    );
    const { fullLength } = encode(three);
    const cut = encode(three, {
      cutoffLength: fullLength - 6,
      overlength: 'truncate',
      maskHistory: true,
    });
    expect(cut.sample.ids).toHaveLength(fullLength - 6);
    expect(cut.sample.ids[0]).toBe(1);
    expect(learnedText(cut)).toBe('fun<s>');
  });

  it('rejects a row whose answer was cut away', () => {
    const options = {
      tokenizer,
      template: plain,
      cutoffLength: 2,
      overlength: 'truncate',
    } as const;
    expect(encodeConversation(dialogue('a b c d e f g h i j k l', 'x'), options)).toMatchObject({
      bucket: 'nothing_learned',
      reason: 'no answer is left after cutting',
    });
  });
});

describe('documents', () => {
  it('learns everything but the first token and cuts long texts without losing one', () => {
    const text = 'Once upon a time, there was a dog. The dog ran and ran.';
    const document = { kind: 'document', source: 'd', row: 1, text } as const;
    const whole = encodeDocument(document, { tokenizer, stopTokenId: STOP, cutoffLength: 512 });
    expect(whole).toHaveLength(1);
    const { ids, learned } = whole[0]!.sample;
    expect([...ids]).toEqual([...tokenizer.encode(text), STOP]);
    expect(learned).toEqual(new Uint8Array(ids.length).fill(1, 1));
    const pieces = encodeDocument(document, { tokenizer, stopTokenId: STOP, cutoffLength: 5 });
    expect(pieces.flatMap(({ sample }) => [...sample.ids])).toEqual([...ids]);
    expect(pieces.every(({ sample }) => sample.learned[0] === 0)).toBe(true);
  });
});

describe('preparing a data set', () => {
  async function dataFile(lines: readonly unknown[]): Promise<string> {
    const path = join(await mkdtemp(join(tmpdir(), 'tuneyard-prepare-')), 'rows.jsonl');
    const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line)));
    await writeFile(path, text.join('\n'));
    return path;
  }

  it('accounts for every row', async () => {
    const path = await dataFile([
      { instruction: 'Who ran?', output: 'Tim' },
      '{broken',
      { instruction: 'Who ran?', output: '' },
      { instruction: 'Who ran?', output: 'Tim' },
      { instruction: `Who ran? ${'and then he ran '.repeat(20)}`, output: 'Sam' },
    ]);
    const encoding = { tokenizer, template: plain, cutoffLength: 40 };
    const { samples, report } = await prepareConversations([describeDataFile(path)], encoding, {
      dropDuplicates: true,
      packing: true,
    });
    expect(samples.map((sample) => sample.row)).toEqual([1]);
    expect(report).toMatchObject({
      rows: 5,
      keptRows: 1,
      samples: 1,
      truncated: { count: 0 },
      dropped: {
        malformed_json: { count: 1, rows: [{ row: 2 }] },
        empty_answer: { count: 1, rows: [{ row: 3 }] },
        duplicate: { count: 1, rows: [{ row: 4, reason: 'the same tokens as rows, row 1' }] },
        over_length: { count: 1, rows: [{ row: 5 }] },
      },
      packing: { rows: 1, capacity: 40 },
    });
    const cut = await prepareConversations([describeDataFile(path)], {
      ...encoding,
      overlength: 'truncate',
    });
    expect(cut.report.truncated).toMatchObject({ count: 1, rows: [{ row: 5, tokensAfter: 40 }] });
    expect(cut.report.tokens).toBe(cut.samples.reduce((n, s) => n + s.ids.length, 0));
  });

  it('fails with the buckets when nothing is kept', async () => {
    const path = await dataFile([{ instruction: 'a', output: '' }]);
    const encoding = { tokenizer, template: plain, cutoffLength: 40 };
    await expect(prepareConversations([describeDataFile(path)], encoding)).rejects.toMatchObject({
      code: 'DATA_NOTHING_KEPT',
      message: expect.stringContaining('empty_answer 1; first: rows, row 1'),
    });
  });

  it('prepares raw texts', async () => {
    const path = await dataFile([{ text: 'Once upon a time.' }, { text: '' }]);
    const encoding = { tokenizer, stopTokenId: STOP, cutoffLength: 40 };
    const { samples, report } = await prepareDocuments([describeDataFile(path)], encoding);
    expect(samples).toHaveLength(1);
    expect(report.dropped.empty_text?.count).toBe(1);
  });
});

describe('the report', () => {
  const sampleOf = (length: number, row: number) => ({
    ids: new Int32Array(length),
    learned: new Uint8Array(length).fill(1, 1),
    row,
    source: 's',
  });

  it('counts lengths into bins that cover all of them', () => {
    const samples = [1, 2, 3, 40, 64].map(sampleOf);
    const report = buildDataReport({
      rows: 5,
      keptRows: 5,
      samples,
      truncated: [],
      rejected: [],
      packCapacity: 64,
    });
    expect(report.lengthHistogram.reduce((n, bin) => n + bin.count, 0)).toBe(5);
    expect(report.lengthHistogram[0]).toEqual({ from: 1, to: 4, count: 3 });
    expect(report.paddingShare).toBeCloseTo(1 - 110 / (5 * 64), 12);
    expect(report.packing).toEqual({ rows: 2, capacity: 64, emptyShare: 1 - 110 / 128 });
    expect(report.learnedTokens).toBe(105);
  });

  it('shortens row lists for a terminal but not the counts', () => {
    const rejected = Array.from({ length: 30 }, (_, i) => ({
      kind: 'rejected' as const,
      source: 's',
      row: i + 1,
      bucket: 'over_length' as const,
      reason: 'x',
    }));
    const report = buildDataReport({
      rows: 31,
      keptRows: 1,
      samples: [sampleOf(3, 1)],
      truncated: [],
      rejected,
      packCapacity: null,
    });
    const summary = summarizeReport(report);
    expect(summary.dropped.over_length?.count).toBe(30);
    expect(summary.dropped.over_length?.rows).toHaveLength(20);
    expect(report.dropped.over_length?.rows).toHaveLength(30);
  });
});
