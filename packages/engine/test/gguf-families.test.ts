/**
 * GGUF files of every family mean to llama.cpp what the checkpoint means to transformers: the same tokens chosen
 * greedily, by the same margins. The references were made by test/oracles/make_gguf_family_goldens.py; weights are
 * hashes of names, made there and here.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ggufTokenizerFields, loadTokenizer } from '@tuneyard/data';
import { ggmlCodec, LlamaModel } from '@tuneyard/ggml';
import { convertHfToGguf, type GgufExportType } from '@tuneyard/weights';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from '../src/generate/generate.js';
import { openTextModel } from '../src/generate/text-model.js';
import { FAMILIES, golden, type Plain, STORIES, writeFamily } from './gguf-families-fixtures.js';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'gguf-families-'));
});
afterAll(() => rm(root, { recursive: true }));

async function converted(family: string, from: Plain, to: GgufExportType): Promise<string> {
  const path = join(root, `${family}-${to}.gguf`);
  if (existsSync(path)) return path;
  const tokenizer = await ggufTokenizerFields(STORIES, { vocabSize: 512 });
  const directory = await writeFamily(root, family, from);
  // llama.cpp looks for Phi's own tokens when the name says phi-3.
  await convertHfToGguf(directory, path, { type: to, codec: ggmlCodec, tokenizer, name: 'tiny' });
  return path;
}

describe('llama.cpp continues a converted family as transformers continues the checkpoint', () => {
  it.each(FAMILIES)('%s in f32', async (family) => {
    using model = new LlamaModel(await converted(family, 'f32', 'f32'), { threads: 1 });
    const { cases } = golden(family);
    expect(cases).toHaveLength(10);
    // ggml looks GELU up in a table of f16 values.
    const tolerance = family.startsWith('gemma') ? 1e-3 : 3e-4;
    for (const { prompt_ids, new_ids, margins } of cases) {
      const found = await model.greedy(prompt_ids, {
        maxNewTokens: new_ids.length,
        stopTokenIds: [],
      });
      expect(found.ids).toEqual(new_ids);
      found.margins.forEach((margin, i) => {
        expect(Math.abs(margin - margins[i]!)).toBeLessThan(tolerance);
      });
    }
  });
});

/** Families that are trained here, and so computed here. */
const TRAINED = [
  'llama',
  'llama3',
  'llama-linear',
  'yi',
  'mistral',
  'qwen2',
  'qwen2-yarn',
  'qwen3',
] as const;

describe('this engine continues the file of a trained family alike', () => {
  it.each(TRAINED)('%s', async (family) => {
    using model = await openTextModel({ path: await converted(family, 'f32', 'f32') });
    for (const { prompt_ids, new_ids } of golden(family).cases) {
      const { ids } = await generate(model, [...prompt_ids], {
        maxNewTokens: new_ids.length,
        stopTokenIds: [],
      });
      expect(ids).toEqual(new_ids);
    }
  });
});

/** Choices are compared as long as the reference's margin is above what the type's rounding moves scores by. */
const MARGINS = { f16: 0.01, bf16: 0.05, q8_0: 0.15 } as const;

describe('llama.cpp makes the same choices from narrower types', () => {
  const cases = FAMILIES.flatMap((family) =>
    (Object.keys(MARGINS) as (keyof typeof MARGINS)[]).map((type) => [family, type] as const),
  );
  it.each(cases)('%s in %s', async (family, type) => {
    const from = type === 'q8_0' ? 'bf16' : type;
    using model = new LlamaModel(await converted(family, from, type), { threads: 1 });
    // Rounding adds up over layers.
    const isDeep = Number(golden(family).config['num_hidden_layers'] ?? 2) > 10;
    const least = isDeep ? 4 * MARGINS[type] : MARGINS[type];
    let compared = 0;
    for (const { prompt_ids, new_ids, margins } of golden(family).cases) {
      const clear = margins.findIndex((margin) => margin < least);
      const maxNewTokens = clear < 0 ? new_ids.length : clear;
      if (maxNewTokens === 0) continue;
      const { ids } = await model.greedy(prompt_ids, { maxNewTokens, stopTokenIds: [] });
      expect(ids).toEqual(new_ids.slice(0, maxNewTokens));
      compared += ids.length;
    }
    if (type === 'f16') expect(compared).toBeGreaterThan(0);
  });
});

describe('the way spaces are treated in Gemma', () => {
  it('is the same in llama.cpp', async () => {
    const file = JSON.parse(readFileSync(join(STORIES, 'tokenizer.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    const folder = join(root, 'gemma-tokenizer');
    mkdirSync(folder);
    const pattern = { String: ' ' };
    writeFileSync(
      join(folder, 'tokenizer.json'),
      JSON.stringify({
        ...file,
        normalizer: { type: 'Replace', pattern, content: '▁' },
        pre_tokenizer: { type: 'Split', pattern, behavior: 'MergedWithPrevious', invert: false },
      }),
    );
    const tokenizer = await loadTokenizer(folder);
    const path = join(root, 'gemma-tokenizer.gguf');
    const fields = await ggufTokenizerFields(folder, { vocabSize: 512 });
    expect(fields.get('tokenizer.ggml.add_space_prefix')?.value).toBe(false);
    await convertHfToGguf(await writeFamily(root, 'gemma2', 'f32'), path, {
      type: 'f16',
      codec: ggmlCodec,
      tokenizer: fields,
      name: 'tiny',
    });
    using model = new LlamaModel(path, { threads: 1 });
    for (const text of ['Once upon', ' two  spaces ', 'a\n\nb', 'naïve 猫', '<s> x', '']) {
      const ids = model.tokenize(text, { addSpecial: true, parseSpecial: true });
      expect(ids, JSON.stringify(text)).toEqual([...tokenizer.encode(text)]);
    }
  });
});
