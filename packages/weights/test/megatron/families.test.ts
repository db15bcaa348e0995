import { describe, expect, it } from 'vitest';
import { megatronLayout } from '../../src/megatron/megatron-layout.js';
import type { MegatronSettings } from '../../src/megatron/settings.js';
import { DEFAULT_MEGATRON_SETTINGS } from '../../src/megatron/settings.js';
import { expectRoundTrip, FAMILIES, readConvertible, readFamily } from './family-trip.js';

const DIVISIONS: readonly Partial<MegatronSettings>[] = [
  { vocabularyPadding: 'none' },
  { spec: 'transformer_engine', tensorParallel: 4, pipelineParallel: 2 },
  { tensorParallel: 8, pipelineParallel: 2, layersPerVirtualStage: 1 },
];

/** Layouts that know neither experts nor more norms than two. */
const OLD: readonly Partial<MegatronSettings>[] = [
  { spec: 'legacy', tensorParallel: 8, pipelineParallel: 2 },
  { spec: 'ascendspeed', tensorParallel: 2, pipelineParallel: 4 },
  { spec: 'ascendspeed', separateGate: true },
];
const NEW_ROLES: ReadonlySet<string> = new Set(['q_norm', 'post_mlp_norm', 'router', 'kv_a']);

const WITH_EXPERTS: readonly Partial<MegatronSettings>[] = [
  { tensorParallel: 2, expertParallel: 4, groupedGemm: true },
  { spec: 'transformer_engine', expertParallel: 2, pipelineParallel: 4, groupedGemm: true },
];

describe('HF → Megatron → HF', () => {
  for (const name of FAMILIES) {
    it(`gives ${name} back as it was`, () => {
      const family = readConvertible(name);
      const hasExperts = family.model.sizes.experts > 0;
      const isOld = !family.model.tensors.some(({ role }) => NEW_ROLES.has(role));
      const more = [...(hasExperts ? WITH_EXPERTS : []), ...(isOld ? OLD : [])];
      for (const division of [...DIVISIONS, ...more]) {
        expectRoundTrip(family, { vocabularyPadding: 'last_row', ...division });
      }
    });
  }

  it('refuses a model that has a tensor without a place', () => {
    const { model } = readFamily('deepseek2-lite');
    expect(() => megatronLayout(model, DEFAULT_MEGATRON_SETTINGS)).toThrow(
      "The Megatron layout 'local' has no place for model.layers.0.self_attn.kv_a_proj_with_mqa.bias (kv_a)",
    );
  });
});
