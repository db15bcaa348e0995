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
import { codeOf } from './fixture-models.js';
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
    'megatron-latent-pp2',
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

describe('distributed checkpoints that are not of the model', () => {
  const sourcesOf = async (name: string, change: Record<string, unknown>): Promise<string> => {
    const checkpoint = await openDistributedCheckpoint(`${FIXTURES}${name}`);
    const config = { ...readJson(`${name}/hf/config.json`), ...change };
    return await codeOf(() => distributedSources(checkpoint, logicalModel(config, 'config.json')));
  };

  it.each(['megatron-stacked-pp2', 'megatron-layers-pp2'])(
    'are refused with the first tensor that is missing: %s',
    async (name) => {
      const thrown = await sourcesOf(name, { num_hidden_layers: 3 });
      expect(thrown).toContain('WEIGHTS_MISSING_TENSOR');
      expect(thrown).toContain('decoder.layers.2.');
    },
  );

  it.each(['megatron-stacked-pp2', 'megatron-layers-pp2', 'megatron-latent-pp2'])(
    'are refused with tensors that the model has no use for: %s',
    async (name) => {
      const thrown = await sourcesOf(name, { num_hidden_layers: 1 });
      expect(thrown).toContain('WEIGHTS_UNEXPECTED_TENSOR');
      expect(thrown).toContain('layers.1.');
    },
  );

  it('are refused where shapes differ', async () => {
    expect(await sourcesOf('megatron-stacked-tp2', { intermediate_size: 24 })).toContain(
      'has shape [40, 16]; the configuration implies [48, 16]',
    );
    expect(await sourcesOf('fsdp2', { intermediate_size: 24 })).toContain('WEIGHTS_TENSOR_SHAPE');
    // The padded vocabulary must not be smaller than the true one.
    expect(await sourcesOf('megatron-stacked-tp2', { vocab_size: 41 })).toContain(
      'has shape [40, 16]; the configuration implies [41, 16]',
    );
  });

  it('are refused when they hold no model', async () => {
    const checkpoint = await openDistributedCheckpoint(`${FIXTURES}plain`);
    expect(await codeOf(() => distributedSources(checkpoint, modelOf('fsdp2')))).toContain(
      'WEIGHTS_MODEL_NOT_FOUND',
    );
  });

  it('may hold a head that the model ties to its embedding', async () => {
    for (const name of ['megatron-stacked-pp2', 'fsdp2']) {
      expect(await sourcesOf(name, { tie_word_embeddings: true })).toBe('nothing was thrown');
    }
  });
});
