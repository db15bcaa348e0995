/** Every family through every division that fits its tiny model. */
import { describe, it } from 'vitest';
import type { MegatronSettings } from '../../src/megatron/settings.js';
import { expectRoundTrip, FAMILIES, readConvertible } from './family-trip.js';

const PIPELINES: readonly Partial<MegatronSettings>[] = [
  { pipelineParallel: 1 },
  { pipelineParallel: 2 },
  { pipelineParallel: 2, layersPerVirtualStage: 1 },
  { pipelineParallel: 4 },
];

const EXPERTS: readonly Partial<MegatronSettings>[] = [
  { expertParallel: 1 },
  { expertParallel: 2, groupedGemm: true },
  { expertParallel: 8 },
];

describe('HF → Megatron → HF', () => {
  for (const name of FAMILIES) {
    it(`gives ${name} back through every division`, { timeout: 120_000 }, () => {
      const family = readConvertible(name);
      const hasExperts = family.model.sizes.experts > 0;
      const experts = hasExperts ? EXPERTS : [{}];
      for (const spec of ['local', 'transformer_engine'] as const) {
        for (const tensorParallel of hasExperts ? [1, 4, 8] : [1, 2, 4, 8]) {
          for (const pipeline of PIPELINES) {
            for (const expert of experts) {
              const division = { spec, tensorParallel, ...pipeline, ...expert };
              expectRoundTrip(family, {
                vocabularyPadding: 'tail_rows',
                vocabularyDivisibleBy: 8,
                ...division,
              });
            }
          }
        }
      }
    });
  }
});
