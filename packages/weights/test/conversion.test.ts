import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SafetensorsReader } from '@tuneyard/formats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ConversionRequest, planConversion } from '../src/conversion/plan-checkpoint.js';
import { runConversion } from '../src/conversion/run-conversion.js';
import { verifyConversion } from '../src/convert/execute/verify-conversion.js';
import type { MegatronSettings } from '../src/megatron/settings.js';
import { FAMILY_FIXTURES, makeTinyCheckpoint } from './tiny-checkpoint.js';

let root = '';
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'tuneyard-conversion-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

let count = 0;
const fresh = (): string => join(root, String(count++));

const FILES = { dtype: null, naming: 'shards', maxShardBytes: 1e9 } as const;

async function convert(
  source: string,
  request: Partial<ConversionRequest> & Pick<ConversionRequest, 'to'>,
): Promise<string> {
  const target = fresh();
  const planned = await planConversion({ ...FILES, source, ...request });
  await runConversion(planned, target, { workers: 0 });
  const { mismatch } = await verifyConversion(planned.plan, target, { workers: 0 });
  expect(mismatch).toBeNull();
  return target;
}

/** Every tensor by name, as bytes. */
async function tensorsOf(directory: string): Promise<Map<string, string>> {
  await using reader = await SafetensorsReader.open(directory);
  const tensors = new Map<string, string>();
  for (const { name, dtype, shape } of reader.tensors.values()) {
    const bytes = Buffer.from(await reader.read(name)).toString('base64');
    tensors.set(name, `${dtype} ${shape.join()} ${bytes}`);
  }
  return tensors;
}

async function expectSame(a: string, b: string): Promise<void> {
  const [first, second] = [await tensorsOf(a), await tensorsOf(b)];
  expect([...second.keys()].sort()).toEqual([...first.keys()].sort());
  const different = [...first].filter(([name, bytes]) => second.get(name) !== bytes);
  expect(different.map(([name]) => name)).toEqual([]);
}

describe('conversion through files', () => {
  it('goes on with what belongs to the weights when that failed', async () => {
    const [source, target] = [fresh(), fresh()];
    await makeTinyCheckpoint('llama', source);
    const planned = await planConversion({ ...FILES, source, to: 'megatron' });
    const from = join(root, 'late.json');
    const request = { ...planned, carried: [{ from, to: 'late.json' }] };
    await expect(runConversion(request, target, { workers: 0 })).rejects.toMatchObject({
      code: 'WEIGHTS_CONVERT_WRITE',
    });
    expect(existsSync(join(target, 'latest_checkpointed_iteration.txt'))).toBe(false);

    writeFileSync(from, '{}');
    const result = await runConversion(request, target, { workers: 0 });
    expect(result).toMatchObject({ readBytes: 0, writtenBytes: 0, resumedFiles: 1 });
    expect(readFileSync(join(target, 'late.json'), 'utf8')).toBe('{}');
    expect(readFileSync(join(target, 'latest_checkpointed_iteration.txt'), 'utf8')).toBe('1');
    expect(existsSync(join(target, '.conversion'))).toBe(false);
    await expect(runConversion(request, target, { workers: 0 })).rejects.toMatchObject({
      code: 'WEIGHTS_OUTPUT_EXISTS',
    });
  });

  /** This variant has biases in its attention that Megatron's has no place for. */
  const unplaced = ['deepseek2-lite'];
  const families = FAMILY_FIXTURES.filter((name) => !unplaced.includes(name));

  it.each(unplaced)('says what of %s has no place', async (family) => {
    const hf = fresh();
    await makeTinyCheckpoint(family, hf);
    await expect(convert(hf, { to: 'megatron' })).rejects.toMatchObject({
      code: 'WEIGHTS_LAYOUT_UNPLACED',
      message: expect.stringContaining('kv_a_proj_with_mqa.bias'),
    });
  });

  it.each(families)('gives every byte of %s back', async (family) => {
    const hf = fresh();
    await makeTinyCheckpoint(family, hf);
    const megatron = await convert(hf, { to: 'megatron', target: { tensorParallel: 1 } });
    const back = await convert(megatron, { to: 'hf' });
    await expectSame(hf, back);
  });

  const layouts: (readonly [string, Partial<MegatronSettings>])[] = [
    ['tensor parallel 2', { tensorParallel: 2 }],
    ['pipeline parallel 2', { pipelineParallel: 2 }],
    [
      'both, names of transformer_engine',
      {
        tensorParallel: 2,
        pipelineParallel: 2,
        spec: 'transformer_engine',
      },
    ],
    ['virtual stages', { pipelineParallel: 2, layersPerVirtualStage: 1 }],
    ['stages of 1 and 3 layers', { pipelineParallel: 2, numLayerList: [1, 3] }],
    ['the legacy names', { tensorParallel: 2, spec: 'legacy' }],
    [
      'a padded vocabulary',
      {
        tensorParallel: 2,
        vocabularyPadding: 'last_row',
        vocabularyDivisibleBy: 64,
      },
    ],
  ];

  it.each(layouts)('gives every byte back over %s', async (_, target) => {
    const hf = fresh();
    await makeTinyCheckpoint('qwen2', hf, { config: { num_hidden_layers: 4, vocab_size: 104 } });
    const megatron = await convert(hf, { to: 'megatron', target });
    const back = await convert(megatron, { to: 'hf' });
    await expectSame(hf, back);
  });

  it('divides anew as a direct conversion would', async () => {
    const hf = fresh();
    await makeTinyCheckpoint('llama', hf, { config: { num_hidden_layers: 4, vocab_size: 104 } });
    const two = await convert(hf, { to: 'megatron', target: { tensorParallel: 2 } });
    const anew = await convert(two, {
      to: 'megatron',
      target: { tensorParallel: 1, pipelineParallel: 2 },
    });
    const direct = await convert(hf, {
      to: 'megatron',
      target: { tensorParallel: 1, pipelineParallel: 2 },
    });
    for (const rank of ['mp_rank_00_000', 'mp_rank_00_001']) {
      const file = `iter_0000001/${rank}/model_optim_rng.pt`;
      expect(Buffer.compare(readFileSync(join(anew, file)), readFileSync(join(direct, file)))).toBe(
        0,
      );
    }
  });

  it('casts where that is asked for, and says so in the configuration', async () => {
    const hf = fresh();
    await makeTinyCheckpoint('llama', hf, { dtype: 'F32' });
    const megatron = await convert(hf, { to: 'megatron', dtype: 'BF16' });
    const back = await convert(megatron, { to: 'hf' });
    const config = JSON.parse(readFileSync(join(back, 'config.json'), 'utf8')) as {
      torch_dtype: string;
    };
    expect(config.torch_dtype).toBe('bfloat16');
    for (const tensor of (await tensorsOf(back)).values()) expect(tensor).toMatch(/^BF16 /);
  });

  it('refuses what is no checkpoint, and a layout that does not divide', async () => {
    const empty = fresh();
    await expect(convert(empty, { to: 'megatron' })).rejects.toMatchObject({
      code: 'WEIGHTS_CONVERT_SOURCE',
    });
    const hf = fresh();
    await makeTinyCheckpoint('llama', hf);
    await expect(convert(hf, { to: 'hf' })).rejects.toMatchObject({
      code: 'WEIGHTS_CONVERT_SOURCE',
    });
    const wrong = { tensorParallel: 3, pipelineParallel: 7 };
    await expect(convert(hf, { to: 'megatron', target: wrong })).rejects.toMatchObject({
      code: 'WEIGHTS_MEGATRON_SETTINGS',
    });
  });
});
