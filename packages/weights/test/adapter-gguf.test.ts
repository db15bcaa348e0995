import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GgufReader } from '@tuneyard/formats';
import { describe, expect, it } from 'vitest';
import { writeGgufAdapter } from '../src/adapter/gguf-adapter.js';
import { hfLayout } from '../src/convert/hf-layout.js';
import { logicalModel } from '../src/convert/logical-config.js';
import { type LoraAdapter, moduleScale, plainCodec, readAdapter } from '../src/index.js';
import { codeOf, PEFT_FIXTURES, temporaryDirectory, tinyModel } from './fixture-models.js';

const FIXTURES = fileURLToPath(new URL('./fixtures', import.meta.url));

function modelOf(family: Parameters<typeof tinyModel>[0]) {
  const path = join(tinyModel(family), 'config.json');
  return logicalModel(JSON.parse(readFileSync(path, 'utf8')), path);
}

async function write(adapter: LoraAdapter, family: Parameters<typeof tinyModel>[0]) {
  const path = join(temporaryDirectory(), 'adapter.gguf');
  const model = modelOf(family);
  const report = await writeGgufAdapter(path, { adapter, model }, { name: 'test' });
  return { report, file: await GgufReader.open(path) };
}

async function valuesOf(file: GgufReader, name: string): Promise<Float32Array> {
  const bytes = await file.read(name);
  return plainCodec.toF32('f32', bytes, bytes.length / 4);
}

const CASES = [
  ['plain', join(PEFT_FIXTURES, 'plain'), 'llama'],
  ['rslora', join(PEFT_FIXTURES, 'rslora'), 'llama'],
  ['patterns', join(PEFT_FIXTURES, 'patterns'), 'llama'],
  ['embedding', join(FIXTURES, 'peft-merge/embedding'), 'llama-linear'],
  ['qwen2', join(tinyModel('qwen2'), 'adapter'), 'qwen2'],
] as const;

describe('writeGgufAdapter', () => {
  it.each(CASES)(
    "has the tensors of llama.cpp's converter, and PEFT's scales: %s",
    async (name, directory, family) => {
      const adapter = await readAdapter(directory);
      const { file, report } = await write(adapter, family);
      const theirs = await GgufReader.open(join(FIXTURES, 'gguf-adapters', `${name}.gguf`));
      expect([...file.tensors.keys()].sort()).toEqual([...theirs.tensors.keys()].sort());
      expect([...file.metadata.keys()]).toEqual([...theirs.metadata.keys()]);
      for (const key of ['general.architecture', 'general.type', 'adapter.type']) {
        expect(file.metadata.get(key)).toEqual(theirs.metadata.get(key));
      }
      const alpha = report.alpha;
      expect(file.metadata.get('adapter.lora.alpha')).toEqual({ type: 'f32', value: alpha });
      const scales = new Set<number>();
      for (const [key, { shape, type }] of theirs.tensors) {
        expect(file.tensors.get(key)).toMatchObject({ shape, type });
        const [ours, expected] = [await valuesOf(file, key), await valuesOf(theirs, key)];
        if (key.endsWith('lora_a') || !report.rescaled.includes(key.replace('.lora_b', ''))) {
          expect(ours, key).toEqual(expected);
          continue;
        }
        // What llama.cpp computes with: alpha over the tensor's rank, times B.
        const rank = shape[0]!;
        const at = expected.findIndex((value) => value !== 0);
        scales.add(Math.fround(((alpha / rank) * ours[at]!) / expected[at]!));
      }
      const modules = [...adapter.pairs, ...adapter.additions.embeddings].map((p) => p.module);
      const stated = modules.map((module) => Math.fround(moduleScale(adapter.config, module)));
      for (const scale of scales) {
        expect(Math.min(...stated.map((s) => Math.abs(s / scale - 1)))).toBeLessThan(1e-6);
      }
      expect(scales.size > 0).toBe(name === 'patterns');
      if (name === 'rslora') expect(alpha).toBe(adapter.config.alpha * 2);
      await Promise.all([file.close(), theirs.close()]);
    },
  );

  it('gives every tensor the product that PEFT computes, rows in the file order', async () => {
    const adapter = await readAdapter(join(PEFT_FIXTURES, 'patterns'));
    const { file, report } = await write(adapter, 'llama');
    const half = 8;
    for (const pair of adapter.pairs) {
      const layer = /layers\.(\d+)/.exec(pair.module)![1];
      const leaf = pair.module.slice(pair.module.lastIndexOf('.') + 1);
      const stem = {
        q_proj: 'attn_q',
        k_proj: 'attn_k',
        o_proj: 'attn_output',
        up_proj: 'ffn_up',
        down_proj: 'ffn_down',
      }[leaf]!;
      const a = await valuesOf(file, `blk.${layer}.${stem}.weight.lora_a`);
      const b = await valuesOf(file, `blk.${layer}.${stem}.weight.lora_b`);
      const scale = moduleScale(adapter.config, pair.module);
      for (let row = 0; row < pair.outFeatures; row++) {
        // Neighbours in the file are half a head apart in Hugging Face's order.
        const [head, at] = [Math.floor(row / (2 * half)), row % (2 * half)];
        const isRotated = leaf === 'q_proj' || leaf === 'k_proj';
        const from = isRotated ? head * 2 * half + (at % 2) * half + Math.floor(at / 2) : row;
        let [ours, theirs] = [0, 0];
        for (let r = 0; r < pair.rank; r++) {
          ours +=
            (report.alpha / pair.rank) * b[row * pair.rank + r]! * a[r * pair.inFeatures + 3]!;
          theirs += scale * pair.b[from * pair.rank + r]! * pair.a[r * pair.inFeatures + 3]!;
        }
        expect(Math.abs(ours - theirs)).toBeLessThan(1e-6);
      }
    }
    await file.close();
  });

  it('stacks experts into one tensor, idle ones as zeros, and keeps packed weights packed', async () => {
    const path = join(FIXTURES, 'families/mixtral.json');
    const { config } = JSON.parse(readFileSync(path, 'utf8')) as { config: object };
    const model = logicalModel(config, path);
    const pairs = hfLayout(model)
      .filter(({ name }) => /layers\.1\..*experts\.[02]\.w1\.weight$/.test(name))
      .map(({ name, shape: [outFeatures = 0, inFeatures = 0] }, i) => ({
        module: name.replace('.weight', ''),
        rank: 2,
        outFeatures,
        inFeatures,
        a: new Float32Array(2 * inFeatures).fill(i + 1),
        b: new Float32Array(2 * outFeatures).fill(i + 3),
      }));
    expect(pairs.length).toBe(2);
    const config2 = {
      rank: 2,
      alpha: 4,
      rslora: false,
      dropout: 0,
      targetModules: ['w1'],
      baseModel: null,
      rankPattern: {},
      alphaPattern: {},
    };
    const out = join(temporaryDirectory(), 'a.gguf');
    await writeGgufAdapter(out, { adapter: { config: config2, pairs }, model }, { name: 'x' });
    const file = await GgufReader.open(out);
    expect([...file.tensors.keys()]).toEqual([
      'blk.1.ffn_gate_exps.weight.lora_a',
      'blk.1.ffn_gate_exps.weight.lora_b',
    ]);
    const { experts, hidden, expertFfn } = model.sizes;
    const a = await valuesOf(file, 'blk.1.ffn_gate_exps.weight.lora_a');
    expect(file.tensors.get('blk.1.ffn_gate_exps.weight.lora_a')?.shape).toEqual([
      hidden,
      2,
      experts,
    ]);
    expect(file.tensors.get('blk.1.ffn_gate_exps.weight.lora_b')?.shape).toEqual([
      2,
      expertFfn,
      experts,
    ]);
    const firsts = Array.from({ length: experts }, (_, e) => a[e * 2 * hidden]);
    expect(firsts.slice(0, 4)).toEqual([1, 0, 2, 0]);
    await file.close();
  });

  it.each([
    ['DoRA', 'dora', 'llama-bias'],
    ['stored whole', 'saved', 'llama-linear'],
    ['bias of B', 'factor-bias', 'llama-bias'],
    ['also the head', 'tied', 'llama3'],
  ] as const)('refuses what such a file cannot hold: %s', async (words, name, family) => {
    const adapter = await readAdapter(join(FIXTURES, 'peft-merge', name));
    const thrown = await codeOf(() => write(adapter, family));
    expect(thrown).toContain('WEIGHTS_ADAPTER_UNSUPPORTED');
    expect(thrown).toContain(words);
    expect(thrown).toContain('tuneyard merge');
  });

  it('refuses an adapter of another model, and an output that is there', async () => {
    const adapter = await readAdapter(join(PEFT_FIXTURES, 'plain'));
    expect(await codeOf(() => write(adapter, 'qwen2'))).toContain('WEIGHTS_ADAPTER_MISMATCH');
    const embedding = await readAdapter(join(FIXTURES, 'peft-merge/embedding'));
    const other = { ...embedding, pairs: [] };
    expect(await codeOf(() => write(other, 'llama'))).toContain('WEIGHTS_ADAPTER_MISMATCH');
    const path = join(FIXTURES, 'gguf-adapters/plain.gguf');
    const input = { adapter, model: modelOf('llama') };
    expect(await codeOf(() => writeGgufAdapter(path, input, { name: 'x' }))).toContain(
      'WEIGHTS_OUTPUT_EXISTS',
    );
  });
});
