import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRng } from '@tuneyard/core';
import { SafetensorsReader, writeSafetensors } from '@tuneyard/formats';
import { describe, expect, it } from 'vitest';
import {
  mergeAdapters,
  mergeHfDirectory,
  openModel,
  plainCodec,
  readAdapter,
  readPeftAdapter,
} from '../src/index.js';
import { codeOf, temporaryDirectory, tinyModel } from './fixture-models.js';

const FIXTURES = fileURLToPath(new URL('./fixtures/peft-merge', import.meta.url));
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const CASES = [
  'dora',
  'dora-rslora',
  'saved',
  'bias-all',
  'bias-lora',
  'factor-bias',
  'embedding',
  'embedding-dora',
  'tied',
  'second',
] as const;
const HALVES = [
  ['dora', 'bf16'],
  ['dora', 'f16'],
  ['factor-bias', 'bf16'],
  ['saved', 'f16'],
] as const;

/** Rounding of single-precision sums of numbers around 1, which cancellation lays bare. */
const FLOOR = 2 ** -22;

type Plain = 'f32' | 'f16' | 'bf16';

async function tensorOf(reader: SafetensorsReader, name: string, type: Plain) {
  const bytes = (await reader.read(name)).slice();
  const units = type === 'f32' ? new Uint32Array(bytes.buffer) : new Uint16Array(bytes.buffer);
  return { units, values: plainCodec.toF32(type, bytes, units.length) };
}

type Tensor = Awaited<ReturnType<typeof tensorOf>>;

/** Distance in representable numbers, and how many elements are not equal; `floor` is an absolute distance that counts as none. */
function distance(a: Tensor, b: Tensor, floor: number) {
  const top = a.units.BYTES_PER_ELEMENT === 4 ? 0x8000_0000 : 0x8000;
  const ordered = (unit: number) => (unit >= top ? top - unit : unit);
  let max = 0;
  let unequal = 0;
  a.units.forEach((unit, i) => {
    if (Math.abs(a.values[i]! - b.values[i]!) <= floor) return;
    max = Math.max(max, Math.abs(ordered(unit) - ordered(b.units[i]!)));
    unequal++;
  });
  return { max, unequal, total: a.units.length };
}

async function mergeCase(name: string, dtype: Plain, adapters = [name]) {
  const fixture = JSON.parse(readFileSync(join(FIXTURES, name, 'fixture.json'), 'utf8')) as {
    base: string;
    unties: boolean;
  };
  const base = await openModel(join(ROOT, fixture.base));
  const out = join(temporaryDirectory(), 'merged');
  const read = await Promise.all(adapters.map((a) => readAdapter(join(FIXTURES, a))));
  const report = await mergeAdapters(base, read, out, { dtype, codec: plainCodec });
  return { base, report, merged: await SafetensorsReader.open(out), fixture, out };
}

/** Compares every parameter: changed ones with PEFT's, the others with the base. */
async function compare(
  { merged, base }: Awaited<ReturnType<typeof mergeCase>>,
  expected: SafetensorsReader,
  { prefix, type, floor }: { prefix: string; type: Plain; floor: number },
) {
  const sum = { max: 0, unequal: 0, total: 0 };
  for (const name of merged.tensors.keys()) {
    const ours = await tensorOf(merged, name, type);
    if (expected.tensors.has(prefix + name)) {
      const d = distance(ours, await tensorOf(expected, prefix + name, type), floor);
      sum.max = Math.max(sum.max, d.max);
      sum.unequal += d.unequal;
      sum.total += d.total;
    } else if (type === 'f32') {
      const stored = base.parameters.some((p) => p.name === name)
        ? name
        : 'model.embed_tokens.weight';
      const before = await base.read(stored);
      expect(Buffer.compare(await merged.read(name), before), name).toBe(0);
    }
  }
  return sum;
}

describe('mergeAdapters', () => {
  it.each(CASES)("equals PEFT's float64 merge, rounded once: %s", async (name) => {
    const run = await mergeCase(name, 'f32');
    const expected = await SafetensorsReader.open(join(FIXTURES, name, 'expected.safetensors'));
    const sum = await compare(run, expected, { prefix: 'exact.', type: 'f32', floor: 0 });
    const count = [...expected.tensors.keys()].filter((key) => key.startsWith('exact.')).length;
    expect(run.report.merged.filter((t) => t.changedElements > 0).length).toBe(count);
    expect(sum.total).toBeGreaterThan(0);
    expect(sum.max).toBeLessThanOrEqual(1);
    // Sums in another order round the other way once in a very long while.
    expect(sum.unequal).toBeLessThanOrEqual(sum.total / 1000);
    expect(run.report.untied).toBe(run.fixture.unties);
    await Promise.all([run.base.close(), run.merged.close(), expected.close()]);
  });

  it.each(HALVES)(
    "is within one unit in the last place of PEFT's merge in the base's type: %s %s",
    async (name, type) => {
      const run = await mergeHalf(name, type);
      const expected = await SafetensorsReader.open(join(FIXTURES, name, 'expected.safetensors'));
      const sum = await compare(run, expected, { prefix: `${type}.`, type, floor: FLOOR });
      expect(sum.total).toBeGreaterThan(0);
      expect(sum.max).toBeLessThanOrEqual(1);
      await Promise.all([run.base.close(), run.merged.close(), expected.close()]);
    },
  );

  it('merges several adapters in turn, each onto the result of the one before', async () => {
    const run = await mergeCase('dora', 'f32', ['dora', 'second']);
    const expected = await SafetensorsReader.open(join(FIXTURES, 'in-turn.safetensors'));
    const sum = await compare(run, expected, { prefix: '', type: 'f32', floor: FLOOR });
    expect(sum.total).toBeGreaterThan(0);
    expect(sum.max).toBeLessThanOrEqual(4);
    await Promise.all([run.base.close(), run.merged.close(), expected.close()]);
  });

  it('writes a tied model with a head of its own when only the embedding is adapted', async () => {
    const { base, merged, out } = await mergeCase('tied', 'f32');
    const head = await merged.read('lm_head.weight');
    expect(Buffer.compare(head, await base.read('model.embed_tokens.weight'))).toBe(0);
    const again = await openModel(out);
    expect(again.config.tieWordEmbeddings).toBe(false);
    await Promise.all([base.close(), merged.close(), again.close()]);
  });
});

/** A merge onto the base cast to the type first, as PEFT does it. */
async function mergeHalf(name: string, type: Plain) {
  const fixture = JSON.parse(readFileSync(join(FIXTURES, name, 'fixture.json'), 'utf8')) as {
    base: string;
    unties: boolean;
  };
  const full = await openModel(join(ROOT, fixture.base));
  const cast = join(temporaryDirectory(), 'cast');
  await mergeAdapters(full, [], cast, { dtype: type, codec: plainCodec });
  await full.close();
  const base = await openModel(cast);
  const out = join(temporaryDirectory(), 'merged');
  const adapter = await readAdapter(join(FIXTURES, name));
  const report = await mergeAdapters(base, [adapter], out, { codec: plainCodec });
  return { base, report, merged: await SafetensorsReader.open(out), fixture, out };
}

describe('mergeHfDirectory', () => {
  it.each(CASES)('writes the same weights as the merge of an opened model: %s', async (name) => {
    const { merged, base, out, fixture, report } = await mergeCase(name, 'f32');
    const other = join(temporaryDirectory(), 'other');
    const adapter = await readAdapter(join(FIXTURES, name));
    const again = await mergeHfDirectory(join(ROOT, fixture.base), [adapter], other);
    const reader = await SafetensorsReader.open(other);
    expect([...reader.tensors.keys()].sort()).toEqual([...merged.tensors.keys()].sort());
    for (const key of merged.tensors.keys()) {
      expect(Buffer.compare(await reader.read(key), await merged.read(key)), key).toBe(0);
    }
    const byName = (tensors: typeof report.merged) =>
      tensors.toSorted((x, y) => (x.name < y.name ? -1 : 1));
    expect(byName(again.merged)).toEqual(byName(report.merged));
    expect(again).toMatchObject({ carried: report.carried, untied: report.untied });
    const config = (directory: string) =>
      JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8')) as unknown;
    expect(config(other)).toEqual(config(out));
    await Promise.all([merged.close(), base.close(), reader.close()]);
  });

  it.each([
    ['baichuan', ['W_pack', 'o_proj']],
    ['chatglm', ['query_key_value', 'dense_h_to_4h']],
    ['mixtral', ['q_proj', 'w2']],
    ['gemma2', ['q_proj', 'down_proj']],
  ])('merges families that are not trained here, by a naive sum: %s', async (family, leaves) => {
    const fixture = JSON.parse(
      readFileSync(
        fileURLToPath(new URL(`./fixtures/families/${family}.json`, import.meta.url)),
        'utf8',
      ),
    ) as { config: object; published: [string, number[]][] };
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'config.json'), JSON.stringify(fixture.config));
    const rng = createRng(4);
    const random = (n: number) => Float32Array.from({ length: n }, () => rng.nextGaussian());
    const weights = new Map<string, { shape: number[]; values: Float32Array }>();
    for (const [name, shape] of fixture.published) {
      const values = plainCodec.toF32(
        'bf16',
        plainCodec.fromF32('bf16', random(shape.reduce((n, d) => n * d, 1)), 1),
        shape.reduce((n, d) => n * d, 1),
      );
      weights.set(name, { shape, values });
    }
    await writeSafetensors(
      join(directory, 'model.safetensors'),
      [...weights].map(([name, { shape, values }]) => ({
        ...{ name, shape, dtype: 'BF16' as const },
        data: plainCodec.fromF32('bf16', values, 1),
      })),
    );
    const pairs = [...weights]
      .filter(([name]) => leaves.includes(name.split('.').at(-2)!) && name.endsWith('.weight'))
      .map(
        ([
          name,
          {
            shape: [outFeatures = 0, inFeatures = 0],
          },
        ]) => ({
          module: name.replace(/\.weight$/, ''),
          ...{ rank: 2, outFeatures, inFeatures },
          ...{ a: random(2 * inFeatures), b: random(2 * outFeatures) },
        }),
      );
    const adapter = {
      config: {
        ...{ rank: 2, alpha: 3, rslora: false, dropout: 0, targetModules: leaves },
        ...{ baseModel: null, rankPattern: {}, alphaPattern: {} },
      },
      pairs,
    };
    const out = join(temporaryDirectory(), 'out');
    const report = await mergeHfDirectory(directory, [adapter], out);
    expect(report.merged.length).toBe(pairs.length);
    expect(pairs.length).toBeGreaterThan(3);
    const merged = await SafetensorsReader.open(out);
    for (const [name, { shape, values }] of weights) {
      const pair = pairs.find((p) => `${p.module}.weight` === name);
      const [, columns = 0] = shape;
      const expected = values.map((value, i) => {
        if (pair === undefined) return value;
        const [o, j] = [Math.floor(i / columns), i % columns];
        const sum = pair.b[2 * o]! * pair.a[j]! + pair.b[2 * o + 1]! * pair.a[columns + j]!;
        return value + 1.5 * sum;
      });
      const bytes = plainCodec.fromF32('bf16', expected, 1);
      expect(Buffer.compare(await merged.read(name), bytes), name).toBe(0);
    }
    await merged.close();
  });
});

describe('adapters that do not fit', () => {
  async function altered(
    name: string,
    edit: (tensors: Map<string, { shape: number[]; data: Uint8Array }>) => void,
    config: object = {},
  ): Promise<string> {
    const directory = temporaryDirectory();
    const raw = JSON.parse(
      readFileSync(join(FIXTURES, name, 'adapter_config.json'), 'utf8'),
    ) as object;
    writeFileSync(join(directory, 'adapter_config.json'), JSON.stringify({ ...raw, ...config }));
    const reader = await SafetensorsReader.open(join(FIXTURES, name, 'adapter_model.safetensors'));
    const tensors = new Map<string, { shape: number[]; data: Uint8Array }>();
    for (const [key, { shape }] of reader.tensors) {
      tensors.set(key, { shape: [...shape], data: await reader.read(key) });
    }
    edit(tensors);
    await writeSafetensors(
      join(directory, 'adapter_model.safetensors'),
      [...tensors].map(([key, t]) => ({ name: key, dtype: 'F32' as const, ...t })),
    );
    await reader.close();
    return directory;
  }

  const Q = 'base_model.model.model.layers.0.self_attn.q_proj';
  it.each([
    ['has no lora_magnitude_vector', 'dora', `${Q}.lora_magnitude_vector`],
    ['has only lora_B', 'dora', `${Q}.lora_A.weight`],
    ['has only lora_A', 'dora', `${Q}.lora_B.weight`],
  ])('is refused when a module %s', async (words, name, key) => {
    const directory = await altered(name, (tensors) => tensors.delete(key));
    const thrown = await codeOf(() => readAdapter(directory));
    expect(thrown).toContain('WEIGHTS_ADAPTER_TENSOR');
    expect(thrown).toContain(words);
  });

  it('is refused when a magnitude has another length or no factors', async () => {
    const short = await altered('dora', (tensors) =>
      tensors.set(`${Q}.lora_magnitude_vector`, { shape: [4], data: new Uint8Array(16) }),
    );
    expect(await codeOf(() => readAdapter(short))).toContain('imply [32]');
    const stray = await altered('dora', (tensors) =>
      tensors.set('base_model.model.x.lora_magnitude_vector', {
        shape: [1],
        data: new Uint8Array(4),
      }),
    );
    expect(await codeOf(() => readAdapter(stray))).toContain('no factors beside it');
  });

  it.each([
    ['does not exist', { 'base_model.model.model.layers.9.mlp.up_proj.bias': [4] }],
    ['is [32] in the base model and [4]', { [`${Q}.bias`]: [4] }],
  ])('is refused when a replaced tensor %s', async (words, added) => {
    const directory = await altered('bias-all', (tensors) => {
      for (const [key, shape] of Object.entries(added)) {
        tensors.delete(`${Q}.base_layer.bias`);
        tensors.set(key, { shape, data: new Uint8Array(4 * shape[0]!) });
      }
    });
    const base = await openModel(tinyModel('llama-bias'));
    const adapter = await readAdapter(directory);
    const out = join(temporaryDirectory(), 'x');
    const thrown = await codeOf(() => mergeAdapters(base, [adapter], out, { codec: plainCodec }));
    expect(thrown).toContain('WEIGHTS_ADAPTER_MISMATCH');
    expect(thrown).toContain(words);
    await base.close();
  });

  it('names the vocabulary when it was resized, and the bias that a base does not have', async () => {
    const merge = async (base: Parameters<typeof tinyModel>[0], directory: string) => {
      const source = await openModel(tinyModel(base));
      const adapter = await readAdapter(directory);
      const out = join(temporaryDirectory(), 'x');
      const code = await codeOf(() => mergeAdapters(source, [adapter], out, { codec: plainCodec }));
      await source.close();
      return code;
    };
    const resized = await altered('saved', (tensors) =>
      tensors.set('base_model.model.lm_head.weight', {
        shape: [100, 32],
        data: new Uint8Array(12800),
      }),
    );
    expect(await merge('llama-linear', resized)).toContain('vocabulary was resized');
    expect(await merge('mistral', join(FIXTURES, 'factor-bias'))).toMatch(/MISMATCH/);
    expect(await merge('qwen2', join(FIXTURES, 'embedding'))).toMatch(/MISMATCH|changed/);
  });

  it('merges a resized vocabulary when embedding and head are both stored whole', async () => {
    const table = (seed: number) => {
      const rng = createRng(seed);
      const values = Float32Array.from({ length: 100 * 32 }, () => rng.nextGaussian());
      return { shape: [100, 32], data: new Uint8Array(values.buffer) };
    };
    const [embedding, head] = [table(1), table(2)];
    const directory = await altered('saved', (tensors) => {
      tensors.set('base_model.model.lm_head.weight', head);
      tensors.set('base_model.model.model.embed_tokens.weight', embedding);
    });
    writeFileSync(join(directory, 'tokenizer_config.json'), '{"of": "adapter"}');
    const adapter = await readAdapter(directory);
    const out = join(temporaryDirectory(), 'out');
    const base = tinyModel('llama-linear');
    const report = await mergeHfDirectory(base, [adapter], out, { adapterDirs: [directory] });
    expect(report.sidecarFiles).toContain('tokenizer_config.json');
    const merged = await openModel(out);
    expect(merged.config.vocabSize).toBe(100);
    expect(Buffer.compare(await merged.read('lm_head.weight'), head.data)).toBe(0);
    const tokens = await merged.read('model.embed_tokens.weight');
    expect(Buffer.compare(tokens, embedding.data)).toBe(0);
    await merged.close();
  });

  it('keeps a tie whose matrix is stored twice, and refuses a resized one without its head', async () => {
    const rng = createRng(3);
    const values = Float32Array.from({ length: 100 * 32 }, () => rng.nextGaussian());
    const table = { shape: [100, 32], data: new Uint8Array(values.buffer) };
    const names = ['lm_head.weight', 'model.embed_tokens.weight'];
    const adapterWith = async (stored: readonly string[]) =>
      await readAdapter(
        await altered('tied', (tensors) => {
          for (const key of tensors.keys()) if (key.includes('embed_tokens')) tensors.delete(key);
          for (const name of stored) tensors.set(`base_model.model.${name}`, table);
        }),
      );
    const out = join(temporaryDirectory(), 'out');
    const base = tinyModel('llama3');
    const report = await mergeHfDirectory(base, [await adapterWith(names)], out);
    expect(report.untied).toBe(false);
    const merged = await openModel(out);
    expect(merged.config).toMatchObject({ vocabSize: 100, tieWordEmbeddings: true });
    expect(Buffer.compare(await merged.read('model.embed_tokens.weight'), table.data)).toBe(0);
    await merged.close();
    const alone = await adapterWith(names.slice(1));
    const thrown = await codeOf(() =>
      mergeHfDirectory(base, [alone], join(temporaryDirectory(), 'x')),
    );
    expect(thrown).toContain('WEIGHTS_ADAPTER_MISMATCH');
    expect(thrown).toContain('does not hold lm_head.weight');
  });

  it('is not taken for plain LoRA by training and generation', async () => {
    for (const name of CASES) {
      const thrown = await codeOf(() => readPeftAdapter(join(FIXTURES, name)));
      expect(thrown, name).toContain('WEIGHTS_ADAPTER_UNSUPPORTED');
      expect(thrown, name).toContain('tuneyard merge');
    }
  });
});
