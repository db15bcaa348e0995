import { copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRng } from '@tuneyard/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { plainPromptTemplate } from '../encode/prompt-template.js';
import { splitSamples } from '../encode/split-samples.js';
import { type DatasetSpec, describeDataFile } from '../handlers/dataset-spec.js';
import { loadTokenizer, type Tokenizer } from '../tokenizer/index.js';
import { writeCleanCopy } from './clean-copy.js';
import { type ExamineOptions, examineData } from './data-doctor.js';
import type { RowEncoding } from './encode-row.js';
import type { Finding } from './finding.js';

const MODEL = fileURLToPath(new URL('../../../../assets/models/stories260k-hf', import.meta.url));
const STOP = 1;
let tokenizer: Tokenizer;
let dir = '';
beforeAll(async () => {
  tokenizer = await loadTokenizer(MODEL);
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-doctor-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

let files = 0;
async function fileOf(rows: readonly (object | string)[]): Promise<string> {
  const path = join(dir, `rows${files++}.jsonl`);
  const lines = rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row)));
  await writeFile(path, `${lines.join('\n')}\n`);
  return path;
}

type Rest = Partial<Omit<ExamineOptions, 'encoding'>> & { encoding?: Partial<RowEncoding> };

async function examine(
  rows: readonly (object | string)[],
  rest: Rest = {},
  declared: Partial<DatasetSpec> = {},
) {
  const spec = { ...describeDataFile(await fileOf(rows)), ...declared };
  return await examineData({
    train: [spec],
    model: {
      vocabSize: 512,
      embeddingRows: 512,
      bosTokenId: 1,
      eosTokenIds: [2],
      padTokenId: 0,
      generationConfig: { eos_token_id: [1, 2] },
    },
    template: { name: 'plain', modelPath: MODEL, own: null },
    mediaDir: dir,
    ...rest,
    encoding: {
      tokenizer,
      template: plainPromptTemplate(STOP),
      stopTokenId: STOP,
      cutoffLength: 2048,
      overlength: 'truncate',
      maskHistory: false,
      trainOnPrompt: false,
      ...rest.encoding,
    },
  });
}

/** Rows that have nothing in common and nothing wrong with them. */
function goodRows(count: number, seed = 1): { instruction: string; output: string }[] {
  const rng = createRng(seed);
  const word = () =>
    Array.from({ length: 3 + rng.nextInt(5) }, () =>
      String.fromCharCode(97 + rng.nextInt(26)),
    ).join('');
  const text = (words: number) => Array.from({ length: words }, word).join(' ');
  return Array.from({ length: count }, () => ({
    instruction: `What is ${text(8)}?`,
    output: `It is ${text(20)}.`,
  }));
}

const found = (findings: readonly Finding[]) =>
  Object.fromEntries(
    findings.map((f) => [f.code, f.count === 0 ? 0 : f.rows.map(({ row }) => row)]),
  );

/** Good rows with one changed: the first row has the fault, the second nearly has it. */
async function compare(bad: object | string, nearly: object | string, rest: Rest = {}) {
  const rows = goodRows(100);
  const { findings } = await examine([...rows.slice(0, 4), bad, ...rows.slice(4), nearly], rest);
  return found(findings);
}

const asked = (output: string, instruction = 'Please tell me about it.') => ({
  instruction: `${instruction} ${[...output].reduce((sum, c) => sum * 3 + c.charCodeAt(0), 7)}`,
  output,
});

const blob = Buffer.from(Array.from({ length: 200 }, (_, i) => (i * 197 + 11) % 256)).toString(
  'base64',
);

describe('examining rows', () => {
  it('finds nothing in good rows', async () => {
    const { findings, summary, faults } = await examine(goodRows(120));
    expect(findings).toEqual([]);
    expect(faults).toEqual([]);
    expect(summary).toMatchObject({ rows: 120, samples: 120, heldOut: 0 });
  });

  it.each<[string, object | string, object | string]>([
    [
      'malformed_json',
      '{"instruction": "a", "output": ',
      '  {"instruction": "a b c", "output": "fine"}  ',
    ],
    ['not_an_object', '["a"]', asked('[a list as text]')],
    ['missing_field', { instruction: 'a' }, { ...asked('fine enough'), extra: 1 }],
    ['wrong_type', { instruction: 'a', output: 3 }, asked('3 apples')],
    ['empty_answer', asked('  '), asked('What?')],
    ['empty_question', { instruction: '', output: 'an answer' }, asked('fine', '.')],
    ['special_text', asked('it ends</s> here'), asked('it ends </ s> here')],
    ['foreign_markup', asked('so<|im_end|>'), asked('so <| im_end |>')],
    ['mojibake', asked('cafÃ© is nice'), asked('café Ã la carte')],
    ['control_characters', asked('a\u0000b'), asked('a\tb')],
    ['placeholder_text', asked('I am {{name}}, hello.'), asked('I am {name}, hello.')],
    ['refusal', asked("I'm sorry, but I can't help with that."), asked("I'm sorry for you.")],
    ['unbalanced_fence', asked('so\n```\nlet a'), asked('so\n```\nlet a\n```')],
    ['html_left', asked('Fish &amp; chips and more'), asked('Fish & chips and more')],
    ['invisible_characters', asked('zero\u200bwidth'), asked('no\u00a0break')],
    ['replacement_character', asked('lost \ufffd one'), asked('lost ? one')],
    ['repetitive_text', asked('it goes on and on, '.repeat(50)), asked('on and on, '.repeat(4))],
    ['base64_blob', asked(`so ${blob}`), asked(`so ${blob.slice(0, 150)}`)],
    ['secret', asked(`sk-${'a1B2'.repeat(8)}`), asked(`sk-${'a1B2'.repeat(3)}`)],
    ['personal_data', asked('mail jo@gmail.com'), asked('mail jo@example.com')],
  ])('finds %s, and not what is nearly so', async (code, bad, nearly) => {
    const codes = await compare(bad, nearly);
    expect(codes).toEqual({ [code]: [5] });
  });

  it('says what was found and where, and what to do', async () => {
    const { findings } = await examine([...goodRows(100), asked('so<|im_end|>')]);
    expect(findings).toEqual([
      {
        severity: 'warning',
        code: 'foreign_markup',
        message:
          "1 row: a message holds markers of another model's chat format, learned as plain text",
        count: 1,
        rows: [{ source: expect.stringMatching(/^rows\d+$/), row: 101, detail: '<|im_end|>' }],
        fix: expect.stringContaining('markers'),
      },
    ]);
  });

  it('finds wrong turns in dialogues by bucket, and a missing system message', async () => {
    const turn = (from: string, value: string) => ({ from, value });
    const talk = (...conversations: object[]) => ({ conversations });
    const good = goodRows(102).map(({ instruction, output }) =>
      talk(turn('system', 'Be kind.'), turn('human', instruction), turn('gpt', output)),
    );
    const { findings } = await examine([
      ...good,
      talk(turn('gpt', 'first'), turn('human', 'then')),
      talk(turn('human', 'left alone')),
      talk(turn('bot', 'who')),
      talk(turn('human', 'one two three'), turn('gpt', 'no system here')),
    ]);
    expect(found(findings)).toEqual({
      wrong_role_order: [103],
      no_answer: [104],
      unknown_role: [105],
      mixed_system: [106],
    });
  });

  it('tells what would be cut, dropped or lost, and recommends a cutoff', async () => {
    const long = { instruction: 'Count.', output: goodRows(1, 5)[0]!.output.repeat(4) };
    const lost = { instruction: 'one two three '.repeat(200), output: 'x y z' };
    const rows = [...goodRows(300), long, lost];
    const encoding = { cutoffLength: 300 };
    const { findings, summary } = await examine(rows, { encoding });
    expect(found(findings)).toMatchObject({ truncated: [301, 302], answer_cut: [301] });
    expect(findings.find(({ code }) => code === 'truncated')!.rows[0]!.detail).toMatch(
      /\d+ tokens/,
    );
    const dropped = await examine(rows, { encoding: { ...encoding, overlength: 'drop' } });
    expect(found(dropped.findings)).toEqual({ over_length: [301, 302] });
    expect(dropped.faults.map(({ row }) => row)).toEqual([301, 302]);
    expect(dropped.summary.lengths).toEqual(summary.lengths);
    const stopped = await examine(rows, { encoding: { ...encoding, overlength: 'error' } });
    expect(stopped.findings[0]).toMatchObject({ code: 'over_length', severity: 'error', count: 2 });
  });

  it('finds rows whose answers are cut away altogether', async () => {
    const talk = { instruction: 'one two three '.repeat(200), output: 'x' };
    const rows = [...goodRows(100), talk];
    const encoding = { cutoffLength: 2, overlength: 'truncate' } as const;
    const { findings } = await examine(rows.slice(100), { encoding });
    expect(found(findings)).toMatchObject({ answers_cut_away: [1] });
    const whole = await examine(rows, {});
    expect(Object.keys(found(whole.findings))).not.toContain('answers_cut_away');
  });

  it('notes a tiny and a small data set, and not one of a hundred rows', async () => {
    const codesOf = async (n: number) => found((await examine(goodRows(n))).findings);
    const none = await examine([{ instruction: 'a', output: '' }]);
    expect(none.findings[0]).toMatchObject({ code: 'nothing_to_train', severity: 'error' });
    expect(await codesOf(9)).toEqual({ few_rows: 0 });
    expect(await codesOf(10)).toEqual({ small_set: 0 });
    expect(await codesOf(100)).toEqual({});
  });

  it('notes very short answers only among long ones', async () => {
    const yes = goodRows(100);
    expect(found((await examine([...yes, asked('B')])).findings)).toEqual({ short_answer: [101] });
    const brief = yes.map((row, i) => ({ ...row, output: `${i}` }));
    expect(found((await examine(brief)).findings)).toEqual({});
  });

  it('notes another script among many rows, and a question in another script than its answer', async () => {
    const chinese = {
      instruction: '今天天气怎么样呢，请告诉我',
      output: '今天天气很好，阳光明媚，适合出门',
    };
    const mixed = await examine([...goodRows(100), chinese]);
    expect(found(mixed.findings)).toMatchObject({ mixed_scripts: [101] });
    expect(mixed.findings.find((f) => f.code === 'mixed_scripts')!.message).toMatch(
      /Latin 99 %, Han/,
    );
    const crossed = { ...chinese, instruction: 'How is the weather today, my friend?' };
    const cross = await examine([...goodRows(100), crossed]);
    expect(found(cross.findings)).toMatchObject({ answer_script: [101] });
    const word = { ...goodRows(1, 9)[0]!, instruction: 'What does 天气 mean in English, please?' };
    expect(found((await examine([...goodRows(100), word])).findings)).toEqual({});
  });

  it('finds a tokenizer that spells a script byte by byte', async () => {
    const rows = goodRows(100).map((row, i) => ({
      ...row,
      output: `${'это русский текст '.repeat(3)}${i}`,
    }));
    const { findings } = await examine(rows);
    expect(findings.find(({ code }) => code === 'byte_tokens')).toMatchObject({
      severity: 'warning',
      count: 100,
    });
    const few = goodRows(100).map((row, i) =>
      i < 3 ? { ...row, output: `${row.output} это` } : row,
    );
    expect(Object.keys(found((await examine(few)).findings))).not.toContain('byte_tokens');
  });
});

describe('repeats', () => {
  it('finds copies, near copies, contradictions and common answers, and counts them exactly', async () => {
    const rows = goodRows(200);
    const [a, b, c] = [rows[0]!, rows[1]!, rows[2]!];
    const { findings, faults } = await examine([
      ...rows,
      { ...a, input: '' },
      { ...b, output: 'It is something else.' },
      { instruction: c.instruction.toUpperCase(), output: c.output.replace('.', '!') },
      { instruction: a.instruction, output: `  ${a.output} ` },
    ]);
    expect(found(findings)).toEqual({
      exact_duplicate: [201, 204],
      contradiction: [202],
      near_duplicate: [203],
    });
    expect(findings[0]!.rows[0]!.detail).toBe('row 1');
    expect(faults.map(({ row, code }) => [row, code])).toEqual([
      [201, 'exact_duplicate'],
      [204, 'exact_duplicate'],
    ]);
  });

  it('finds one answer to many questions, and a label that is nearly always right', async () => {
    const same = goodRows(200).map((row, i) =>
      i < 12 ? { ...row, output: 'I do not know.' } : row,
    );
    expect(found((await examine(same)).findings)).toEqual({
      repeated_answer: Array.from({ length: 12 }, (_, i) => i + 1),
    });
    const fewer = same.map((row, i) => (i < 4 ? { ...row, output: `Answer ${i}.` } : row));
    expect(found((await examine(fewer)).findings)).toEqual({});
    const labels = (share: number) =>
      goodRows(200).map((row, i) => ({ ...row, output: i < 200 * share ? 'yes' : 'no' }));
    expect(Object.keys(found((await examine(labels(0.95))).findings))).toEqual(['label_imbalance']);
    expect(found((await examine(labels(0.7))).findings)).toEqual({});
  });

  it('finds what leaks into held-out data', async () => {
    const rows = goodRows(120);
    const [a, b, c] = [rows[0]!, rows[1]!, rows[2]!];
    const held = [
      a,
      { ...b, output: 'Another answer.' },
      { ...c, output: `${c.output} Yes` },
      { instruction: `Well, ${c.instruction}`, output: c.output },
      ...goodRows(3, 77),
    ];
    const validation = [describeDataFile(await fileOf(held))];
    const { findings, summary } = await examine(rows, { validation });
    expect(found(findings)).toEqual({
      validation_leak: [1],
      validation_prompt_leak: [2, 3],
      validation_near_leak: [4],
    });
    expect(summary.heldOut).toBe(7);
  });

  it('finds leaks of a drawn split with the very rows that training holds out', async () => {
    const rows = goodRows(60);
    const all = [...rows, ...rows.slice(0, 30)];
    const split = { valSize: 0.2, seed: 42 };
    const { findings } = await examine(all, { split });
    const held = new Set(
      splitSamples(
        all.map((_, i) => i),
        split.valSize,
        split.seed,
      ).validation,
    );
    const copyOf = (i: number) => (i < 60 ? i + 60 : i - 60);
    const leaks = [...held].filter((i) => copyOf(i) < 90 && !held.has(copyOf(i)));
    const leak = findings.find(({ code }) => code === 'validation_leak')!;
    expect(leak.count).toBe(leaks.length);
    expect(leaks.length).toBeGreaterThan(3);
    const doubles = Array.from({ length: 30 }, (_, i) => i).filter(
      (i) => !held.has(i) && !held.has(i + 60),
    );
    expect(findings.find(({ code }) => code === 'exact_duplicate')!.count).toBe(doubles.length);
  });
});

describe('preferences and media', () => {
  const pair = (i: number, chosen: string, rejected: string) => ({
    ...goodRows(1, 100 + i)[0]!,
    chosen,
    rejected,
  });

  it('finds equal sides and a bias towards length', async () => {
    const balanced = Array.from({ length: 100 }, (_, i) => {
      const [long, short] = [`a long answer number ${i}, really long`, `short ${i}`];
      return i % 2 === 0 ? pair(i, long, short) : pair(i, short, long);
    });
    expect(found((await examine(balanced, {}, { ranking: true })).findings)).toEqual({});
    const equal = [...balanced, pair(200, 'same answer', 'same answer ')];
    expect(found((await examine(equal, {}, { ranking: true })).findings)).toEqual({
      preference_equal: [101],
    });
    const biased = balanced.map((_, i) =>
      pair(i, `a long answer number ${i}, really`, `short ${i}`),
    );
    const { findings } = await examine(biased, {}, { ranking: true });
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({
      code: 'preference_length_bias',
      severity: 'note',
      count: 0,
    });
    expect(findings[0]!.message).toContain('100 % of 100 pairs');
  });

  it('finds verdicts that are all the same', async () => {
    const rows = goodRows(100).map((row) => ({ ...row, kto_tag: true }));
    expect(found((await examine(rows, {}, { kto: true })).findings)).toEqual({
      preference_one_sided: 0,
    });
    const both = rows.map((row, i) => ({ ...row, kto_tag: i !== 3 }));
    expect(found((await examine(both, {}, { kto: true })).findings)).toEqual({});
  });

  it('says when it takes records for preferences that nobody declared', async () => {
    const pairs = goodRows(100).map(({ instruction, output }, i) => ({
      instruction,
      chosen: i % 2 === 0 ? output : 'no',
      rejected: i % 2 === 0 ? 'no' : output,
    }));
    const { findings } = await examine(pairs);
    expect(found(findings)).toMatchObject({ read_as_preferences: 0 });
    expect(found((await examine(pairs, {}, { ranking: true })).findings)).not.toHaveProperty(
      'read_as_preferences',
    );
    const answered = pairs.map((row) => ({ ...row, output: `${row.chosen} and ${row.rejected}` }));
    expect(found((await examine(answered)).findings)).not.toHaveProperty('read_as_preferences');
  });

  it('counts placeholders against files, and looks the files up', async () => {
    const picture = new URL('../../test/fixtures/media/files/rgb.png', import.meta.url);
    await copyFile(picture, join(dir, 'cat.png'));
    await writeFile(join(dir, 'broken.png'), 'not a picture');
    const rows = goodRows(100);
    const { findings } = await examine([
      ...rows,
      { instruction: '<image>What is it now?', output: 'a cat of mine', images: ['cat.png'] },
      { instruction: '<image><image>Which one is it?', output: 'that cat', images: ['cat.png'] },
      { instruction: '<image>And what is this?', output: 'a dog', images: ['dog.png'] },
      { instruction: '<image>And this one?', output: 'a bird', images: ['broken.png'] },
      { instruction: 'The <image> tag of SVG', output: 'shows a picture' },
    ]);
    expect(found(findings)).toEqual({
      media_count_mismatch: [102],
      media_not_found: [103],
      media_unreadable: [104],
    });
    expect(findings.map(({ severity }) => severity)).toEqual(['error', 'error', 'error']);
    expect(findings[0]!.rows[0]!.detail).toBe("the text has 2 <image>, 'images' has 1 entry");
  });
});

describe('which rows are read', () => {
  it('follows the split, the limit, and folders of files', async () => {
    const rows = goodRows(200);
    const slices = await examine(rows, {}, { split: 'train[10:60]+train[-60:]' });
    expect(slices.summary.rows).toBe(110);
    const half = await examine(rows, {}, { split: 'train[:50%]' });
    expect(half.summary.rows).toBe(100);
    expect((await examine(rows, {}, { maxSamples: 120 })).summary.rows).toBe(120);
    expect((await examine(rows, {}, { numSamples: 10, maxSamples: 5 })).summary.rows).toBe(200);
    const folder = join(dir, 'folder');
    await mkdir(folder);
    for (const [name, part] of [
      ['b.jsonl', [...rows.slice(100), rows[0]!]],
      ['a.jsonl', rows.slice(0, 100)],
    ] as const) {
      await writeFile(join(folder, name), part.map((row) => `${JSON.stringify(row)}\n`).join(''));
    }
    const { findings, summary } = await examine([], { train: [describeDataFile(folder)] });
    expect(summary.rows).toBe(201);
    expect(findings[0]!.rows).toEqual([
      { source: 'folder/b.jsonl', row: 101, detail: 'folder/a.jsonl row 1' },
    ]);
  });
});

describe('writing a clean copy', () => {
  it('leaves out copies and unusable rows, keeps all fields, and does not touch the input', async () => {
    const rows = goodRows(20).map((row, i) => ({ ...row, id: i, note: 'ü {"a":1}' }));
    const path = await fileOf([...rows, rows[0]!, '{broken', { instruction: 'a', output: '' }]);
    const before = { text: await readFile(path, 'utf8'), time: (await stat(path)).mtimeMs };
    const spec = describeDataFile(path);
    const { faults } = await examine([] as object[], { train: [spec] });
    const out = join(dir, 'clean.jsonl');
    const report = await writeCleanCopy(spec, faults, { path: out });
    expect(report).toEqual({
      path: out,
      kept: 20,
      dropped: { exact_duplicate: 1, malformed_json: 1, empty_answer: 1 },
    });
    const copied = (await readFile(out, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(copied).toEqual(rows);
    expect({ text: await readFile(path, 'utf8'), time: (await stat(path)).mtimeMs }).toEqual(
      before,
    );
    const again = await examine(copied);
    expect(again.faults).toEqual([]);
  });

  it('overwrites nothing', async () => {
    const spec = describeDataFile(await fileOf(goodRows(3)));
    await expect(writeCleanCopy(spec, [], { path: spec.path })).rejects.toMatchObject({
      code: 'DATA_BAD_OPTION',
    });
    expect((await readFile(spec.path, 'utf8')).split('\n')).toHaveLength(4);
  });
});
