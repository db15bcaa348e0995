import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { RawObject } from '../../src/config/fields.js';
import { logicalModel } from '../../src/convert/logical-config.js';
import { planHfToMegatron } from '../../src/megatron/plan-conversion.js';
import { DEFAULT_MEGATRON_SETTINGS } from '../../src/megatron/settings.js';
import { hfMemory, type Memory, runPlan } from './family-trip.js';
import { hfSources } from './hf-sources.js';

interface Division {
  readonly largest_logit: number;
  /** From the logits of transformers, in float32. */
  readonly largest_difference: number;
  /** First 16 digits of the SHA-256 of float32 elements, by rank and name. */
  readonly tensors: { readonly [directory: string]: { readonly [name: string]: string } };
}

interface Golden {
  readonly cases: {
    readonly [name: string]: {
      readonly config: RawObject;
      readonly divisions: { readonly [division: string]: Division };
    };
  };
}

const GOLDEN = JSON.parse(
  readFileSync(new URL('../fixtures/megatron/megatron-core.json', import.meta.url), 'utf8'),
) as Golden;

/** The weights of test/oracles/check_megatron_convert.py: a fraction of the element's number times a constant. */
function fill(memory: Memory): void {
  let next = 1n;
  for (const key of [...memory.keys()].sort()) {
    const { numbers } = memory.get(key)!;
    const offset = key.includes('norm') ? 1 : 0;
    for (let at = 0; at < numbers.length; at++, next++) {
      const fraction = Number((next * 2654435761n) % 4294967296n) / 2 ** 32 - 0.5;
      numbers[at] = fraction * 0.25 + offset;
    }
  }
}

function digest(numbers: Float64Array): string {
  const bytes = new Uint8Array(Float32Array.from(numbers).buffer);
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

describe('the shards that megatron-core loaded', () => {
  for (const [name, { config, divisions }] of Object.entries(GOLDEN.cases)) {
    for (const [division, facts] of Object.entries(divisions)) {
      it(`give the logits of transformers, and are still made alike: ${name} ${division}`, () => {
        expect(facts.largest_logit).toBeGreaterThan(0.5);
        expect(facts.largest_difference).toBeLessThan(2e-5);
        const [, tensorParallel, pipelineParallel] = /tp(\d+)-pp(\d+)/.exec(division)!.map(Number);
        const settings = {
          ...DEFAULT_MEGATRON_SETTINGS,
          tensorParallel: tensorParallel!,
          pipelineParallel: pipelineParallel!,
        };
        const model = logicalModel(config, name);
        const { tensors, memory } = hfMemory(model);
        fill(memory);
        const plan = planHfToMegatron({
          model,
          config,
          sources: hfSources(model, tensors),
          settings,
          dtype: null,
        });
        const found: Record<string, Record<string, string>> = {};
        for (const [key, { numbers }] of runPlan(plan, memory)) {
          const [path = '', tensor = ''] = key.split('\n');
          const directory = path.split('/')[1]!;
          found[directory] ??= {};
          found[directory][tensor.replace('model\u001f', '')] = digest(numbers);
        }
        expect(found).toEqual(facts.tensors);
      });
    }
  }
});
