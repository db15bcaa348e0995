import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { planHfToMegatron } from '../../src/megatron/plan-conversion.js';
import { DEFAULT_MEGATRON_SETTINGS, type MegatronSettings } from '../../src/megatron/settings.js';
import { countByName, hfMemory, readFamily, runPlan } from './family-trip.js';
import { hfSources } from './hf-sources.js';

interface Golden {
  readonly family: string;
  readonly settings: { readonly tp: number; readonly pp: number; readonly mcore: boolean };
  readonly divisible_by: number;
  /** Shape and first 16 digits of the SHA-256 of int32 elements, by rank and dotted name. */
  readonly ranks: { readonly [directory: string]: { readonly [name: string]: [number[], string] } };
}

const GOLDENS = new URL('../fixtures/megatron/modellink/', import.meta.url);
const CASES = readdirSync(GOLDENS).map((file) => file.replace('.json', ''));

/** The module that Megatron saves under the name `word_embeddings_for_head` is `word_embeddings` in the model. */
const dotted = (name: string): string =>
  name
    .replace('model\u001f', '')
    .replaceAll('\u001f', '.')
    .replace('word_embeddings_for_head', 'word_embeddings');

describe('the shards of ModelLink', () => {
  for (const name of CASES) {
    it(`are made alike: ${name}`, () => {
      const text = readFileSync(new URL(`${name}.json`, GOLDENS), 'utf8');
      const golden = JSON.parse(text) as Golden;
      const { model, config } = readFamily(golden.family);
      const settings: MegatronSettings = {
        ...DEFAULT_MEGATRON_SETTINGS,
        spec: golden.settings.mcore ? 'local' : 'legacy',
        tensorParallel: golden.settings.tp,
        pipelineParallel: golden.settings.pp,
        vocabularyPadding: 'last_row',
        vocabularyDivisibleBy: golden.divisible_by,
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
        const rank: Record<string, unknown> = {};
        found[path.split('/')[1]!] = rank;
        for (const target of targets) {
          const { numbers } = written.get(`${path}\n${target.name}`)!;
          const bytes = new Uint8Array(Int32Array.from(numbers).buffer);
          const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
          rank[dotted(target.name)] = [target.shape, digest];
        }
      }
      expect(found).toEqual(golden.ranks);
    });
  }
});
