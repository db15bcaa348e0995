/** From dataset_info.json to the order of rows, held against LLaMA-Factory's own loader. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { resolveDatasets } from '../src/handlers/dataset-registry.js';
import type { DatasetSpec } from '../src/handlers/dataset-spec.js';
import { readConversations } from '../src/handlers/read-dataset.js';
import { createLegacyRandom } from '../src/mixing/legacy-random.js';
import { type MixStrategy, planMixing } from '../src/mixing/plan-mixing.js';
import { planSplit } from '../src/mixing/plan-split.js';
import { selectRows } from '../src/mixing/select-rows.js';
import { discoverDataFiles } from '../src/readers/discover-data-files.js';

const folder = fileURLToPath(new URL('fixtures/registry/mixed/', import.meta.url));

interface Order {
  readonly names: readonly string[];
  readonly seed: number;
  readonly max_samples?: number;
  readonly mix_strategy?: MixStrategy;
  readonly interleave_probs?: readonly number[];
  readonly val_size?: number;
  readonly rows: readonly string[];
  readonly train: readonly string[];
  readonly validation: readonly string[];
}

const { cases } = JSON.parse(readFileSync(join(folder, 'orders.json'), 'utf8')) as {
  cases: readonly Order[];
};

/** Every dialogue of a data set as `question>answer`. */
async function rowsOf(spec: DatasetSpec): Promise<string[]> {
  const rows: string[] = [];
  for (const { path } of await discoverDataFiles(spec.path, { baseDir: folder })) {
    for await (const item of readConversations({ ...spec, path, sampleLimit: null })) {
      if (item.kind === 'rejected') throw new Error(item.reason);
      rows.push(item.messages.map(({ content }) => content).join('>'));
    }
  }
  return rows;
}

describe('data sets of a recipe', () => {
  it.each(cases.map((order, i) => ({ i, ...order })))(
    'are drawn, cut, mixed and split row for row as by LLaMA-Factory: case $i, $names',
    async ({ names, seed, max_samples, mix_strategy, interleave_probs, val_size, ...golden }) => {
      const specs = await resolveDatasets(names, {
        baseDir: folder,
        ...(max_samples === undefined ? {} : { maxSamples: max_samples }),
      });
      const random = createLegacyRandom(seed);
      const sets: string[][] = [];
      for (const spec of specs) {
        const all = await rowsOf(spec);
        const { split, numSamples, maxSamples } = spec;
        const { rows, ranges } = selectRows({
          count: all.length,
          split,
          numSamples,
          maxSamples,
          random,
        });
        sets.push(
          rows === null
            ? ranges.flatMap(({ begin, end }) => all.slice(begin, end))
            : [...rows].map((row) => all[row]!),
        );
      }
      const plan = planMixing({
        counts: sets.map((rows) => rows.length),
        strategy: mix_strategy ?? 'concat',
        probabilities: interleave_probs ?? null,
        seed,
      });
      const mixed = [...plan].map(({ dataset, row }) => sets[dataset]![row]!);
      expect(mixed).toEqual(golden.rows);
      const parts = planSplit({ count: mixed.length, valSize: val_size ?? 0, seed });
      expect([...parts.train].map((row) => mixed[row])).toEqual(golden.train);
      expect([...parts.validation].map((row) => mixed[row])).toEqual(golden.validation);
    },
  );
});
