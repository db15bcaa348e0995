import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { logicalModel } from '../../src/convert/logical-config.js';
import { planHfToMegatron } from '../../src/megatron/plan-conversion.js';
import { DEFAULT_MEGATRON_SETTINGS, type MegatronSettings } from '../../src/megatron/settings.js';
import { countByName, hfMemory, readFamily, runPlan } from './family-trip.js';
import { hfSources } from './hf-sources.js';

interface Golden {
  readonly config: { readonly num_key_value_heads: number };
  readonly divisible_by: number;
  readonly divisions: {
    readonly [division: string]: {
      readonly tracker: string;
      readonly ranks: { readonly [rank: string]: { readonly [name: string]: [number[], string] } };
    };
  };
}

const GOLDEN = JSON.parse(
  readFileSync(new URL('../fixtures/megatron/ascendspeed.json', import.meta.url), 'utf8'),
) as Golden;

/** The first version's names; what they hold has stayed. */
const EARLY_NAMES: readonly (readonly [string, string])[] = [
  ['model\u001flanguage_model\u001fembedding\u001f', 'embedding\u001f'],
  ['model\u001flanguage_model\u001foutput_layer\u001f', 'lm_head\u001flm_head\u001f'],
  ['model\u001flanguage_model\u001fencoder\u001f', 'language_model\u001f'],
  ['.self_attention.', '.attention.'],
  ['.mlp.dense_h_to_4h.', '.mlp.up_proj.'],
  ['.mlp.dense_4h_to_h.', '.mlp.down_proj.'],
];

const earlyName = (name: string): string =>
  EARLY_NAMES.reduce((text, [from, to]) => text.replace(from, to), name).replaceAll('\u001f', '.');

describe('the shards of AscendSpeed', () => {
  for (const [division, golden] of Object.entries(GOLDEN.divisions)) {
    it(`are made alike, with tail rows as padding and the tracker's word: ${division}`, () => {
      const config = { ...readFamily('llama').config, ...GOLDEN.config };
      const model = logicalModel(config, 'llama');
      const [, tensorParallel, pipelineParallel] = /tp(\d+)-pp(\d+)/.exec(division)!.map(Number);
      const settings: MegatronSettings = {
        ...DEFAULT_MEGATRON_SETTINGS,
        spec: 'ascendspeed',
        separateGate: true,
        tensorParallel: tensorParallel!,
        pipelineParallel: pipelineParallel!,
        vocabularyPadding: 'tail_rows',
        vocabularyDivisibleBy: GOLDEN.divisible_by,
      };
      const { tensors, memory } = hfMemory(model);
      countByName(memory);
      const plan = planHfToMegatron({
        model,
        config,
        sources: hfSources(model, tensors),
        settings,
        dtype: null,
      });
      const written = runPlan(plan, memory);
      const found: Record<string, Record<string, unknown>> = {};
      for (const { path, tensors: targets } of plan.files) {
        const [iteration, directory = ''] = path.split('/');
        expect(iteration).toBe('release');
        const rank: Record<string, unknown> = {};
        found[directory] = rank;
        for (const target of targets) {
          const { numbers } = written.get(`${path}\n${target.name}`)!;
          const bytes = new Uint8Array(Int32Array.from(numbers).buffer);
          const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
          rank[earlyName(target.name)] = [target.shape, digest];
        }
      }
      expect(found).toEqual(golden.ranks);
      expect(plan.texts[0]?.text).toBe(golden.tracker);
    });
  }
});
