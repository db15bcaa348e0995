import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseAlpaca } from './alpaca.js';
import { isRejection, Rejection } from './conversation.js';
import { resolveDatasets } from './dataset-registry.js';
import { DEFAULT_TAGS, describeDataFile, OPENAI_TAGS } from './dataset-spec.js';
import { readConversations, readDocuments } from './read-dataset.js';
import { DEFAULT_RECORD_COLUMNS } from './record-columns.js';
import { parseShareGpt } from './sharegpt.js';

const assets = fileURLToPath(new URL('../../../../assets/', import.meta.url));

async function fileOf(name: string, content: unknown): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'tuneyard-handlers-'));
  const path = join(dir, name);
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const item of items) out.push(item);
  return out;
}

const alpaca = (record: { [key: string]: unknown }) => parseAlpaca(record, DEFAULT_RECORD_COLUMNS);
const sharegpt = (turns: unknown, extra: object = {}) =>
  parseShareGpt({ conversations: turns, ...extra }, DEFAULT_RECORD_COLUMNS, DEFAULT_TAGS);
const openai = (turns: unknown, extra: object = {}) =>
  parseShareGpt(
    { messages: turns, ...extra },
    { ...DEFAULT_RECORD_COLUMNS, messages: 'messages' },
    OPENAI_TAGS,
  );
const bucketOf = (value: unknown): string | undefined =>
  value instanceof Rejection ? value.bucket : undefined;

describe('alpaca records', () => {
  it('joins instruction and input, puts history and system first', () => {
    expect(
      alpaca({
        instruction: 'Add.',
        input: '1 2',
        output: '3',
        system: 'Be short.',
        history: [['hi', 'hello']],
      }),
    ).toEqual({
      messages: [
        { role: 'system', content: 'Be short.' },
        { role: 'user', content: 'hi' },
        { role: 'assistant', content: 'hello' },
        { role: 'user', content: 'Add.\n1 2' },
        { role: 'assistant', content: '3' },
      ],
    });
  });

  it('leaves out an empty or null input', () => {
    for (const input of ['', null, undefined]) {
      expect(alpaca({ instruction: 'a', input, output: 'b' })).toMatchObject({
        messages: [{ content: 'a' }, { content: 'b' }],
      });
    }
  });

  it.each([
    [{ instruction: 'a' }, 'missing_field'],
    [{ output: 'a' }, 'missing_field'],
    [{ instruction: 'a', output: null }, 'missing_field'],
    [{ instruction: 'a', output: 5 }, 'wrong_type'],
    [{ instruction: ['a'], output: 'b' }, 'wrong_type'],
    [{ instruction: 'a', input: {}, output: 'b' }, 'wrong_type'],
    [{ instruction: 'a', output: '  \n' }, 'empty_answer'],
    [{ instruction: 'a', output: 'b', history: 'x' }, 'wrong_type'],
    [{ instruction: 'a', output: 'b', history: [['x']] }, 'wrong_type'],
    [{ instruction: 'a', output: 'b', history: [['x', '']] }, 'empty_answer'],
    [{ instruction: 'a', output: 'b', tools: '{' }, 'bad_tools'],
  ])('puts %j into the bucket %s', (record, bucket) => {
    expect(bucketOf(alpaca(record))).toBe(bucket);
  });

  it('names the fields it found when one is missing', () => {
    const rejection = alpaca({ instruction: 'a', ouput: 'b' });
    expect(isRejection(rejection) && rejection.reason).toContain('instruction, ouput');
  });
});

describe('dialogue records', () => {
  it('lets a leading system turn win over the system column', () => {
    const turns = [
      { from: 'system', value: 'inner' },
      { from: 'human', value: 'q' },
      { from: 'gpt', value: 'a' },
    ];
    expect(sharegpt(turns, { system: 'outer' })).toMatchObject({
      messages: [{ role: 'system', content: 'inner' }, {}, {}],
    });
    expect(sharegpt(turns.slice(1), { system: 'outer' })).toMatchObject({
      messages: [{ role: 'system', content: 'outer' }, {}, {}],
    });
  });

  it('reads function calls, observations and a tool list given as text', () => {
    const parsed = sharegpt(
      [
        { from: 'human', value: 'weather?' },
        { from: 'function_call', value: '{"name":"w","arguments":{"city":"Rome"}}' },
        { from: 'observation', value: '{"t":20}' },
        { from: 'gpt', value: 'Warm.' },
      ],
      { tools: '[{"name":"w"}]' },
    );
    expect(parsed).toEqual({
      messages: [
        { role: 'user', content: 'weather?' },
        {
          role: 'assistant',
          content: '',
          tool_calls: [{ type: 'function', function: { name: 'w', arguments: { city: 'Rome' } } }],
          call_text: '{"name":"w","arguments":{"city":"Rome"}}',
        },
        { role: 'tool', content: '{"t":20}' },
        { role: 'assistant', content: 'Warm.' },
      ],
      tools: [{ name: 'w' }],
      toolsText: '[{"name":"w"}]',
    });
  });

  it('reads the OpenAI form with parts, tool calls and parallel results', () => {
    const parsed = openai([
      { role: 'developer', content: 'Be short.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
      },
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: 'c1', type: 'function', function: { name: 'f', arguments: '{"x":1}' } },
          { id: 'c2', type: 'function', function: { name: 'g', arguments: '{}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'c1', content: '1' },
      { role: 'tool', tool_call_id: 'c2', content: '2' },
      { role: 'assistant', content: 'done' },
    ]);
    expect(parsed).toMatchObject({
      messages: [
        { role: 'system' },
        { content: 'ab' },
        { tool_calls: [{ id: 'c1', function: { arguments: { x: 1 } } }, { id: 'c2' }] },
        { tool_call_id: 'c1' },
        { tool_call_id: 'c2' },
        { content: 'done' },
      ],
    });
  });

  const q = { from: 'human', value: 'q' };
  const a = { from: 'gpt', value: 'a' };
  it.each([
    ['not a list', 'wrong_type'],
    [[], 'no_messages'],
    [[{ from: 'system', value: 's' }], 'no_messages'],
    [[a, q], 'wrong_role_order'],
    [[q, q, a], 'wrong_role_order'],
    [[q, a, a], 'wrong_role_order'],
    [[q, a, q], 'no_answer'],
    [[q, { from: 'gpt', value: '' }], 'empty_answer'],
    [[q, { from: 'bot', value: 'a' }], 'unknown_role'],
    [[q, { from: 'gpt', value: 3 }], 'wrong_type'],
    [[q, { from: 'gpt' }], 'wrong_type'],
    [[q, 'a'], 'wrong_type'],
    [[q, { from: 'function_call', value: 'call it' }, a], 'bad_tools'],
  ])('puts %j into the bucket %s', (turns, bucket) => {
    expect(bucketOf(sharegpt(turns))).toBe(bucket);
  });

  it('refuses a picture and a missing dialogue by name', () => {
    const picture = [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }];
    expect(bucketOf(openai(picture))).toBe('unsupported_content');
    expect(bucketOf(openai(undefined))).toBe('missing_field');
  });
});

describe('reading data sets', () => {
  it('detects each form from the first record', async () => {
    const forms = [
      [{ instruction: 'q', output: 'a', bucket: 'a field of that name' }],
      [
        {
          conversations: [
            { from: 'human', value: 'q' },
            { from: 'gpt', value: 'a' },
          ],
        },
      ],
      [
        {
          messages: [
            { role: 'user', content: 'q' },
            { role: 'assistant', content: 'a' },
          ],
        },
      ],
    ];
    for (const form of forms) {
      const spec = describeDataFile(await fileOf('x.json', form));
      expect(await all(readConversations(spec))).toEqual([
        {
          kind: 'conversation',
          source: 'x',
          row: 1,
          messages: [
            { role: 'user', content: 'q' },
            { role: 'assistant', content: 'a' },
          ],
        },
      ]);
    }
  });

  it('keeps rejections in file order with their rows', async () => {
    const lines = '{"instruction":"q","output":"a"}\n{bad\n5\n{"instruction":"q"}\n';
    const spec = describeDataFile(await fileOf('x.jsonl', lines));
    const items = await all(readConversations(spec));
    expect(items.map((i) => [i.row, i.kind === 'rejected' ? i.bucket : i.kind])).toEqual([
      [1, 'conversation'],
      [2, 'malformed_json'],
      [3, 'not_an_object'],
      [4, 'missing_field'],
    ]);
  });

  it('explains fields of no known form and points raw text to pre-training', async () => {
    const spec = describeDataFile(await fileOf('x.jsonl', '{"text":"once"}\n'));
    await expect(all(readConversations(spec))).rejects.toMatchObject({
      code: 'DATA_UNKNOWN_FORMAT',
      hint: expect.stringContaining('stage: pt'),
    });
    expect(await all(readDocuments(spec))).toEqual([
      { kind: 'document', source: 'x', row: 1, text: 'once' },
    ]);
  });
});

describe('dataset_info.json', () => {
  it('resolves the bundled identity set and reads all 91 rows', async () => {
    const [spec] = await resolveDatasets(['identity'], {
      baseDir: '.',
      datasetDir: join(assets, 'datasets'),
    });
    const items = await all(readConversations(spec!));
    expect(items).toHaveLength(91);
    expect(items.every((item) => item.kind === 'conversation')).toBe(true);
  });

  it('maps columns and tags and applies the smaller of two limits', async () => {
    const info = {
      chat: {
        file_name: 'chat.json',
        formatting: 'sharegpt',
        columns: { messages: 'messages' },
        tags: {
          role_tag: 'role',
          content_tag: 'content',
          user_tag: 'user',
          assistant_tag: 'assistant',
        },
        num_samples: 9,
      },
      web: { file_name: 'web.jsonl', columns: { prompt: 'body' } },
    };
    const path = await fileOf('dataset_info.json', info);
    const dir = join(path, '..');
    await writeFile(
      join(dir, 'chat.json'),
      JSON.stringify(
        Array.from({ length: 5 }, () => ({
          messages: [
            { role: 'user', content: 'q' },
            { role: 'assistant', content: 'a' },
          ],
        })),
      ),
    );
    await writeFile(join(dir, 'web.jsonl'), '{"body":"text"}\n{"body":" "}\n');
    const [chat, web] = await resolveDatasets(['chat', 'web'], {
      baseDir: dir,
      datasetDir: dir,
      maxSamples: 3,
    });
    expect((await all(readConversations(chat!))).map((i) => i.kind)).toEqual(
      Array(3).fill('conversation'),
    );
    expect((await all(readDocuments(web!))).map((i) => i.kind)).toEqual(['document', 'rejected']);
  });

  it.each([
    [{ file_name: 'a.json', colums: {} }, "unknown key 'colums'"],
    [{ file_name: 'a.json', columns: { promt: 'x' } }, "unknown key 'promt'"],
    [{ file_name: 'a.json', formatting: 'chatml' }, "formatting is 'chatml'"],
    [{ file_name: 'a.json', ranking: true }, 'preference'],
    [{ file_name: 'a.json', columns: { images: 'i' } }, 'media'],
    [{ file_name: 'a.json', num_samples: 0 }, 'num_samples'],
    [{ hf_hub_url: 'a/b' }, 'remote'],
    [{}, 'file_name is missing'],
    ['a.json', 'not an object'],
  ])('refuses the entry %j', async (entry, part) => {
    const dir = join(await fileOf('dataset_info.json', { set: entry }), '..');
    await expect(resolveDatasets(['set'], { baseDir: dir })).rejects.toMatchObject({
      code: 'DATA_BAD_REGISTRY',
      message: expect.stringContaining(part),
    });
  });

  it('names what is registered when a name is not', async () => {
    const dir = join(
      await fileOf('dataset_info.json', { identity: { file_name: 'i.json' } }),
      '..',
    );
    await expect(resolveDatasets(['identiti'], { baseDir: dir })).rejects.toMatchObject({
      code: 'DATA_NOT_REGISTERED',
      message: expect.stringContaining('identity'),
    });
    const file = resolveDatasets(['none/x.json'], { baseDir: dir });
    expect((await file)[0]).toMatchObject({ name: 'x', path: join(dir, 'none/x.json') });
  });
});
