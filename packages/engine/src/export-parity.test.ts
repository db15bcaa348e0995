/**
 * Exported GGUF files mean to llama.cpp what the models mean to us: the same ids for the same text, the
 * same tokens chosen greedily. llama.cpp is the libllama that ships with ggml 0.23.0.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { createRng } from '@tuneyard/core';
import { ggufTokenizerFields, loadTokenizer, tokenizerFilesFromGguf } from '@tuneyard/data';
import { type GgufValue, writeGguf } from '@tuneyard/formats';
import { ggmlCodec, LlamaModel } from '@tuneyard/ggml';
import {
  exportGguf,
  type GgufExportType,
  type GgufTokenizerFields,
  openModel,
} from '@tuneyard/weights';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from './generate/generate.js';
import { openTextModel } from './generate/text-model.js';

const FAMILIES = [
  'llama',
  'llama3',
  'llama-linear',
  'llama-bias',
  'llama-wide',
  'mistral',
  'qwen2',
  'qwen2-yarn',
  'qwen3',
];
const STORIES = fileURLToPath(new URL('../../../assets/models/stories260k-hf', import.meta.url));
const VOCABULARIES = new URL('../../data/test/fixtures/tokenizer/', import.meta.url);
const NEW_TOKENS = 60;
/**
 * Scores of llama.cpp nearer than this may change places by rounding; in f32 none may. Measured on the
 * three texts below: no choice differs in any type.
 */
const MARGINS = { f32: 0, f16: 0.05, bf16: 0.05, q8_0: 0.05 } as const;
/** Of 60 tokens, how many may be chosen differently for that reason. */
const DIFFERENCES_MAX = 2;

const NO_TOKENIZER: GgufTokenizerFields = new Map([
  ['tokenizer.ggml.model', { type: 'string', value: 'none' }],
]);

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'export-parity-'));
});
afterAll(() => rm(root, { recursive: true }));

async function exported(
  path: string,
  type: GgufExportType,
  tokenizer: GgufTokenizerFields,
): Promise<string> {
  const out = join(await mkdtemp(join(root, 'export-')), `${type}.gguf`);
  const source = await openModel(path);
  try {
    await exportGguf(source, out, { type, codec: ggmlCodec, tokenizer });
  } finally {
    await source.close();
  }
  return out;
}

describe('llama.cpp continues an exported model as PyTorch continues the original', () => {
  it.each(FAMILIES)('%s', async (family) => {
    const folder = fileURLToPath(new URL(`../test/fixtures/tiny/${family}`, import.meta.url));
    const { greedy } = JSON.parse(readFileSync(join(folder, 'fixture.json'), 'utf8')) as {
      greedy: { promptIds: number[]; ids: number[] };
    };
    const path = family === 'llama-wide' ? join(folder, 'model.gguf') : folder;
    using llama = new LlamaModel(await exported(path, 'f32', NO_TOKENIZER), { threads: 1 });
    const { ids } = await llama.greedy(greedy.promptIds, {
      maxNewTokens: greedy.ids.length,
      stopTokenIds: [],
    });
    expect(ids).toEqual(greedy.ids);
  });
});

const SENTENCES = [
  'Once upon a time, there was a little girl named Lily.',
  'Tom and his dog went to the park',
  'One day, a big red ball rolled down the hill.',
  '"Can I play?" asked the bird.',
  "It's a boy's toy; they'll share it.",
  ' The sun was hot',
  '  two spaces in front',
  'three   spaces   within',
  'a space at the end ',
  'The cat said:\n"Meow!"\n\nThen it slept.\n',
  '\tA tab and a line\r\n',
  'café, naïve, Zürich, Ångström',
  'e\u0301 is not é',
  '猫が好きです。日本語のテキスト',
  '中文和한국어',
  '🚀 to the moon 👨‍👩‍👧!',
  'function f(x) { return x + 1; } // 42',
  '1234567890 3.14159 0x1F',
  '<s>control</s> text <unk> here',
  '▁marks▁ and <0x41> bytes',
];

describe('the bundled model, exported', () => {
  it.each(Object.keys(MARGINS) as (keyof typeof MARGINS)[])(
    'as %s is tokenized and continued by llama.cpp as by us',
    async (type) => {
      const path = await exported(STORIES, type, await ggufTokenizerFields(STORIES));
      const tokenizer = await loadTokenizer(STORIES);
      using llama = new LlamaModel(path, { threads: 1 });
      for (const text of SENTENCES) {
        const ids = llama.tokenize(text, { addSpecial: true, parseSpecial: true });
        expect(ids, JSON.stringify(text)).toEqual([...tokenizer.encode(text)]);
      }
      // In f32 the original is continued, else the exported file itself.
      using model = await openTextModel({ path: type === 'f32' ? STORIES : path });
      for (const text of SENTENCES.slice(0, 3)) {
        const prompt = [...tokenizer.encode(text)];
        const { ids } = await generate(model, prompt, {
          maxNewTokens: NEW_TOKENS,
          stopTokenIds: [],
        });
        expect(ids).toHaveLength(NEW_TOKENS);
        await expectSameChoices(llama, { prompt, ids, margin: MARGINS[type] });
      }
    },
  );
});

/**
 * Follows `ids` through llama.cpp. A different choice is let pass where llama.cpp's best two scores are
 * nearer than `margin`; from there on llama.cpp is asked again behind our choice.
 */
async function expectSameChoices(
  llama: LlamaModel,
  job: { prompt: readonly number[]; ids: readonly number[]; margin: number },
): Promise<void> {
  let from = 0;
  for (let differences = 0; from < job.ids.length; differences++) {
    const rest = job.ids.slice(from);
    const theirs = await llama.greedy([...job.prompt, ...job.ids.slice(0, from)], {
      maxNewTokens: rest.length,
      stopTokenIds: [],
    });
    const at = rest.findIndex((id, i) => id !== theirs.ids[i]);
    if (at < 0) return;
    expect(theirs.margins[at], `margin at token ${from + at}`).toBeLessThan(job.margin);
    expect(differences).toBeLessThan(DIFFERENCES_MAX);
    from += at + 1;
  }
}

const unpacked = (path: string): Uint8Array =>
  gunzipSync(readFileSync(new URL(path, VOCABULARIES)));

/** Directory files of published tokenizers. */
const PUBLISHED: Readonly<Record<string, () => Readonly<Record<string, Uint8Array>>>> = {
  'gpt-2': () => ({
    'vocab.json': unpacked('gpt2/vocab.json.gz'),
    'merges.txt': unpacked('gpt2/merges.txt.gz'),
  }),
  qwen3: () => ({ 'tokenizer.json': unpacked('qwen3/tokenizer.json.gz') }),
  mistral: () => ({
    'tokenizer.json': unpacked('mistral-7b-v0.1/tokenizer.json.gz'),
    'tokenizer_config.json': readFileSync(
      new URL('mistral-7b-v0.1/tokenizer_config.json', VOCABULARIES),
    ),
  }),
  'phi-3': () => ({
    'tokenizer.json': unpacked('phi-3-mini/tokenizer.json.gz'),
    'tokenizer_config.json': readFileSync(
      new URL('phi-3-mini/tokenizer_config.json', VOCABULARIES),
    ),
  }),
};

describe('llama.cpp reads a published tokenizer from our metadata', () => {
  it.each(Object.keys(PUBLISHED))('%s: the same ids', async (name) => {
    const folder = await mkdtemp(join(root, 'published-'));
    for (const [file, content] of Object.entries(PUBLISHED[name]!())) {
      await writeFile(join(folder, file), content);
    }
    const path = await emptyModel(await ggufTokenizerFields(folder));
    const tokenizer = await loadTokenizer(folder);
    using llama = new LlamaModel(path, { threads: 1 });
    // llama.cpp takes any token spelled like a known end of text for a control token, whatever the file says.
    const isForced = (text: string): boolean =>
      text.includes('</s>') && (name === 'qwen3' || name === 'phi-3');
    for (const text of [...SENTENCES, ...randomTexts(60)]) {
      if (isForced(text)) continue;
      const fair = statable(name, text);
      for (const parseSpecial of [true, false]) {
        const ids = llama.tokenize(fair, { addSpecial: true, parseSpecial });
        expect(ids, JSON.stringify(fair)).toEqual([...tokenizer.encode(fair, { parseSpecial })]);
      }
    }
  });

  it('and the same from a directory made of a GGUF file', async () => {
    const path = await exported(STORIES, 'f16', await ggufTokenizerFields(STORIES));
    const folder = await mkdtemp(join(root, 'files-'));
    for (const { name, content } of await tokenizerFilesFromGguf(path)) {
      await writeFile(join(folder, name), content);
    }
    const tokenizer = await loadTokenizer(folder);
    using llama = new LlamaModel(path, { threads: 1 });
    for (const text of [...SENTENCES, ...randomTexts(100)]) {
      const ids = llama.tokenize(text, { addSpecial: true, parseSpecial: true });
      expect(ids, JSON.stringify(text)).toEqual([...tokenizer.encode(text)]);
    }
  });
});

/**
 * Leaves out what GGUF cannot state: Qwen's NFC, the white space that Phi-3's tokens take along, and
 * `</s>`, which llama.cpp holds for a control token in any vocabulary.
 */
function statable(name: string, text: string): string {
  if (name === 'qwen3') return text.normalize('NFC').replaceAll('</s>', '');
  return name === 'phi-3' ? text.replace(/>\s+/gu, '>').replaceAll('</s>', '') : text;
}

/** The smallest model that llama.cpp opens: one layer of zeros under the given vocabulary. */
async function emptyModel(tokenizer: GgufTokenizerFields): Promise<string> {
  const tokens = tokenizer.get('tokenizer.ggml.tokens') as { value: readonly string[] };
  const u32 = (value: number): GgufValue => ({ type: 'u32', value });
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', { type: 'string', value: 'llama' }],
    ['llama.block_count', u32(1)],
    ['llama.context_length', u32(64)],
    ['llama.embedding_length', u32(32)],
    ['llama.feed_forward_length', u32(32)],
    ['llama.attention.head_count', u32(2)],
    ['llama.attention.layer_norm_rms_epsilon', { type: 'f32', value: 1e-5 }],
    ...tokenizer,
  ]);
  const zeros = (name: string, type: 'f32' | 'q8_0', ...shape: number[]) => {
    const elements = shape.reduce((product, n) => product * n, 1);
    const data = new Uint8Array(type === 'f32' ? elements * 4 : (elements / 32) * 34);
    return { name, type, shape, data };
  };
  const matrices = ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'];
  const path = join(await mkdtemp(join(root, 'empty-')), 'model.gguf');
  await writeGguf(path, {
    metadata,
    tensors: [
      zeros('token_embd.weight', 'q8_0', 32, tokens.value.length),
      zeros('output_norm.weight', 'f32', 32),
      zeros('blk.0.attn_norm.weight', 'f32', 32),
      zeros('blk.0.ffn_norm.weight', 'f32', 32),
      ...matrices.map((name) => zeros(`blk.0.${name}.weight`, 'f32', 32, 32)),
    ],
  });
  return path;
}

const PARTS = [
  ...[' ', '  ', '\n', '\n\n', '\t', ' \n ', '\u00a0', '\u3000', "'s", "'LL", "I'VE", '...', '!!!'],
  ...['the ', ' and', 'Hello', 'WORLD', 'camelCase', 'snake_case', '3.14', '1234567', '½', '²'],
  ...['é', 'ß', 'Ω', 'привет', 'שלום', 'مرحبا', 'नमस्ते', 'สวัสดี', '中文', '日本語', '한국어', 'ﬁ'],
  ...[
    '🚀',
    '👨‍👩‍👧',
    '🏳️‍🌈',
    '€',
    '“quoted”',
    '—',
    '▁',
    'Ġ',
    '<0x0A>',
    '{ x: [1] }',
    '&&',
    '<s',
    'end|>',
  ],
  ...[
    '<s>',
    '</s>',
    '<|endoftext|>',
    '<|im_start|>',
    '<|im_end|>',
    '<|user|>',
    '<|end|>',
    '<think>',
  ],
];

/** Seeded texts of up to 25 parts that every version of Unicode in use knows. */
function randomTexts(count: number): string[] {
  const rng = createRng(41);
  return Array.from({ length: count }, () =>
    Array.from({ length: rng.nextInt(25) }, () => PARTS[rng.nextInt(PARTS.length)]!).join(''),
  );
}
