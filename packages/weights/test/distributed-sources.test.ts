import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openDistributedCheckpoint } from '@tuneyard/formats';
import { describe, expect, it } from 'vitest';
import { composePlan } from '../src/convert/compose-plan.js';
import { hfLayout } from '../src/convert/hf-layout.js';
import { logicalModel } from '../src/convert/logical-config.js';
import type { LogicalModel, StoredSpec } from '../src/convert/logical-model.js';
import { megatronLayout } from '../src/megatron/megatron-layout.js';
import { DEFAULT_MEGATRON_SETTINGS } from '../src/megatron/settings.js';
import { distributedSources } from '../src/source/distributed/distributed-sources.js';
import { interpretPlan } from './plan-interpreter.js';

const FIXTURES = fileURLToPath(new URL('../../formats/test/fixtures/torch-dcp/', import.meta.url));

type Facts = Record<string, { dtype: string; shape: number[]; sha256: string }>;

const readJson = (path: string) => JSON.parse(readFileSync(`${FIXTURES}${path}`, 'utf8'));

const modelOf = (name: string): LogicalModel =>
  logicalModel(readJson(`${name}/hf/config.json`), `${name}/hf/config.json`);

/** Converts a checkpoint to a layout in memory, element by element, and describes the result. */
async function convert(name: string, target: readonly StoredSpec[]): Promise<Facts> {
  const checkpoint = await openDistributedCheckpoint(`${FIXTURES}${name}`);
  const { sources } = await distributedSources(checkpoint, modelOf(name));
  const composed = composePlan(sources, target, { dtype: null });
  const tensors = composed.targets.map(({ tensor }) => tensor);
  const files = [{ path: '', format: 'safetensors' as const, extra: null, tensors }];
  const bytes = interpretPlan({ sources: composed.sources, files }, (file) => readFileSync(file));
  return Object.fromEntries(
    tensors.map(({ name: tensor, dtype, shape }) => {
      const sha256 = createHash('sha256')
        .update(bytes.get(`\n${tensor}`)!)
        .digest('hex');
      return [tensor, { dtype, shape: [...shape], sha256 }];
    }),
  );
}

describe('distributed checkpoints as sources of a conversion', () => {
  it.each([
    'megatron-stacked-tp2',
    'megatron-stacked-pp2',
    'megatron-layers-pp2',
    'megatron-experts-ep2',
    'megatron-experts-layers-ep2',
  ])('give the Hugging Face tensors of a Megatron model: %s', async (name) => {
    const expected: Facts = readJson(`${name}/expected.json`).hf;
    expect(await convert(name, hfLayout(modelOf(name)))).toEqual(expected);
  });

  it.each(['megatron-stacked-tp2', 'megatron-stacked-pp2', 'megatron-layers-pp2'])(
    'give the tensors of one Megatron rank: %s',
    async (name) => {
      const whole: Facts = readJson(`${name}/expected.json`).tensors;
      const target = megatronLayout(modelOf(name), DEFAULT_MEGATRON_SETTINGS);
      const converted = await convert(name, target);
      for (const [key, facts] of Object.entries(converted)) {
        const parameter = key.replace('model\u001f', '');
        // The vocabulary is padded from 37 to 40 rows in the checkpoint.
        if (facts.shape[0] === 37) expect(whole[parameter]!.shape[0]).toBe(40);
        else expect(facts, parameter).toEqual(whole[parameter]);
      }
      expect(Object.keys(converted).length).toBe(Object.keys(whole).length);
    },
  );

  it('give the tensors of a model that FSDP sharded, and leave its optimizer', async () => {
    const expected: Facts = readJson('fsdp2/expected.json').tensors;
    const converted = await convert('fsdp2', hfLayout(modelOf('fsdp2')));
    const named = Object.entries(converted).map(([name, facts]) => [`model.${name}`, facts]);
    expect(Object.fromEntries(named)).toEqual(expected);
    const checkpoint = await openDistributedCheckpoint(`${FIXTURES}fsdp2`);
    const { ignored, layout } = await distributedSources(checkpoint, modelOf('fsdp2'));
    expect(layout).toBe('hf');
    expect(ignored.length).toBeGreaterThan(10);
    expect(ignored.every((key) => key.startsWith('optimizer.'))).toBe(true);
  });
});
