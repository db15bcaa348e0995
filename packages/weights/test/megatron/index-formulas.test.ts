/** Layout formulas against definitions written down naively: concatenations and equal parts, as the originals do them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LogicalModel } from '../../src/convert/logical-model.js';
import { placeLayers } from '../../src/megatron/layer-placement.js';
import { megatronLayout } from '../../src/megatron/megatron-layout.js';
import {
  DEFAULT_MEGATRON_SETTINGS,
  type MegatronSettings,
  paddedVocabulary,
} from '../../src/megatron/settings.js';
import { numberedTensors, type Stored, storeBySpecs } from './run-plan.js';
import { type TinyOptions, tinyModel } from './tiny-models.js';

type Rows = number[][];

const rowsOf = ({ rows, cols, numbers }: Stored): Rows =>
  Array.from({ length: rows }, (_, row) => [...numbers.slice(row * cols, (row + 1) * cols)]);
const part = (rows: Rows, at: number, parts: number): Rows =>
  rows.slice((at * rows.length) / parts, ((at + 1) * rows.length) / parts);
const turn = (rows: Rows): Rows => rows[0]!.map((_, col) => rows.map((row) => row[col]!));

interface Shards {
  readonly model: LogicalModel;
  hf(id: string): Rows;
  /** Of one rank's file, below `model` (or the chunk that is named). */
  mg(directory: string, name: string, chunk?: string): Rows;
}

function shardsOf(options: TinyOptions, changes: Partial<MegatronSettings>): Shards {
  const model = tinyModel(options);
  const logicals = numberedTensors(model);
  const specs = megatronLayout(model, { ...DEFAULT_MEGATRON_SETTINGS, ...changes });
  const stored = storeBySpecs(specs, logicals);
  return {
    model,
    hf: (id) => rowsOf(logicals.get(id)!),
    mg: (directory, name, chunk = 'model') => {
      const at = specs.findIndex(
        (spec) => spec.shard === directory && spec.name === `${chunk}\u001f${name}`,
      );
      return rowsOf(stored[at]!);
    },
  };
}

const LAYER = 'model.layers.0.';
const MG_LAYER = 'decoder.layers.0.';

describe('the rows of linear_qkv', () => {
  it('are q0 q1 k0 v0 q2 q3 k1 v1 for four heads in two groups', () => {
    const { hf, mg } = shardsOf({ heads: 4, groups: 2, headDim: 2 }, {});
    const head = (name: string, at: number): Rows =>
      hf(`${LAYER}self_attn.${name}_proj.weight`).slice(2 * at, 2 * at + 2);
    expect(mg('mp_rank_00', `${MG_LAYER}self_attention.linear_qkv.weight`)).toEqual(
      [
        head('q', 0),
        head('q', 1),
        head('k', 0),
        head('v', 0),
        head('q', 2),
        head('q', 3),
        head('k', 1),
        head('v', 1),
      ].flat(),
    );
  });

  it('are at the indices of the formula, and a rank has an equal run of them, weight and bias alike', () => {
    const sizes = fc.record({
      tensorParallel: fc.constantFrom(1, 2, 4),
      groupsPerRank: fc.integer({ min: 1, max: 3 }),
      ratio: fc.integer({ min: 1, max: 4 }),
      headDim: fc.integer({ min: 1, max: 3 }),
    });
    fc.assert(
      fc.property(sizes, ({ tensorParallel, groupsPerRank, ratio, headDim: d }) => {
        const groups = groupsPerRank * tensorParallel;
        const options = { heads: groups * ratio, groups, headDim: d, qkvBias: true };
        const { hf, mg } = shardsOf(
          { ...options, layers: 1, hidden: 4, ffn: 8 },
          { tensorParallel },
        );
        for (const kind of ['weight', 'bias']) {
          const whole: Rows = Array.from({ length: groups * (ratio + 2) * d }, () => []);
          for (let head = 0; head < groups * ratio; head++) {
            const g = Math.floor(head / ratio);
            for (let row = 0; row < d; row++) {
              whole[(g * (ratio + 2) + (head % ratio)) * d + row] = hf(
                `${LAYER}self_attn.q_proj.${kind}`,
              )[head * d + row]!;
            }
          }
          for (let g = 0; g < groups; g++) {
            for (let row = 0; row < d; row++) {
              const at = (g * (ratio + 2) + ratio) * d + row;
              whole[at] = hf(`${LAYER}self_attn.k_proj.${kind}`)[g * d + row]!;
              whole[at + d] = hf(`${LAYER}self_attn.v_proj.${kind}`)[g * d + row]!;
            }
          }
          for (let rank = 0; rank < tensorParallel; rank++) {
            const found = mg(`mp_rank_0${rank}`, `${MG_LAYER}self_attention.linear_qkv.${kind}`);
            expect(found).toEqual(part(whole, rank, tensorParallel));
          }
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe('the feed-forward layers', () => {
  it('have gate and up of the rank in linear_fc1, which is not a part of both put together', () => {
    const { hf, mg } = shardsOf({}, { tensorParallel: 2 });
    const gate = hf(`${LAYER}mlp.gate_proj.weight`);
    const up = hf(`${LAYER}mlp.up_proj.weight`);
    const found = mg('mp_rank_01', `${MG_LAYER}mlp.linear_fc1.weight`);
    expect(found).toEqual([...part(gate, 1, 2), ...part(up, 1, 2)]);
    expect(found).not.toEqual(part([...gate, ...up], 1, 2));
  });

  it('have columns of down and o', () => {
    const { hf, mg } = shardsOf({}, { tensorParallel: 4 });
    for (const [from, to] of [
      ['mlp.down_proj.weight', 'mlp.linear_fc2.weight'],
      ['self_attn.o_proj.weight', 'self_attention.linear_proj.weight'],
    ]) {
      const found = mg('mp_rank_02', MG_LAYER + to);
      expect(turn(found)).toEqual(part(turn(hf(LAYER + from)), 2, 4));
    }
  });

  it('have grouped experts turned, one after the other in memory', () => {
    const options = { experts: 4, ffn: 6, hidden: 4 };
    const settings = { tensorParallel: 2, expertParallel: 2, groupedGemm: true };
    const { model, hf, mg } = shardsOf(options, settings);
    const expected: number[] = [];
    for (const expert of [2, 3]) {
      const at = `${LAYER}mlp.experts.${expert}.`;
      const rank = [
        ...part(hf(`${at}gate_proj.weight`), 1, 2),
        ...part(hf(`${at}up_proj.weight`), 1, 2),
      ];
      expected.push(...turn(rank).flat());
    }
    const name = `${MG_LAYER}mlp.experts.weight1`;
    expect(mg('mp_rank_01_001', name).flat()).toEqual(expected);
    const layout = megatronLayout(model, { ...DEFAULT_MEGATRON_SETTINGS, ...settings });
    const spec = layout.find((found) => found.name === `model\u001f${name}`)!;
    expect(spec.shape).toEqual([4, 2 * 2 * 3]);
  });
});

describe('the vocabulary', () => {
  it.each([
    [32000, 8, 128, 32768],
    [32000, 8, 1, 32000],
    [151936, 8, 128, 152576],
    [128256, 8, 128, 129024],
    [152064, 4, 128, 152064],
  ])('of %i rows over %i ranks, in steps of %i, has %i', (vocabulary, ranks, step, padded) => {
    const settings = {
      ...DEFAULT_MEGATRON_SETTINGS,
      tensorParallel: ranks,
      vocabularyDivisibleBy: step,
      vocabularyPadding: 'last_row' as const,
    };
    expect(paddedVocabulary(vocabulary, settings)).toBe(padded);
  });

  it('is filled with the last row, or with the last rows', () => {
    const options = { vocab: 10, hidden: 2 };
    const padding = { tensorParallel: 2, vocabularyDivisibleBy: 8 };
    const name = 'embedding.word_embeddings.weight';
    const last = shardsOf(options, { ...padding, vocabularyPadding: 'last_row' });
    const rows = last.hf('model.embed_tokens.weight');
    const both = ({ mg }: Shards): Rows => [...mg('mp_rank_00', name), ...mg('mp_rank_01', name)];
    expect(both(last)).toEqual([...rows, ...Array.from({ length: 6 }, () => rows[9]!)]);
    const tail = shardsOf(options, { ...padding, vocabularyPadding: 'tail_rows' });
    expect(both(tail)).toEqual([...rows, ...rows.slice(-6)]);
  });

  it('is on the last stage a second time when embeddings are tied, and only then', () => {
    const tied = shardsOf({ tied: true }, { pipelineParallel: 2 });
    expect(tied.mg('mp_rank_00_001', 'output_layer.weight')).toEqual(
      tied.hf('model.embed_tokens.weight'),
    );
    const names = megatronLayout(tied.model, DEFAULT_MEGATRON_SETTINGS).map(({ name }) => name);
    expect(names.filter((name) => name.includes('output_layer'))).toEqual([]);
  });
});

describe('placeLayers', () => {
  const placement = (layers: number, changes: Partial<MegatronSettings>): string[] =>
    placeLayers(layers, { ...DEFAULT_MEGATRON_SETTINGS, ...changes }).map(
      ({ stage, chunk, layers: placed }) =>
        `${stage}.${chunk}: ${placed.map(({ local, layer }) => `${local}=${layer}`).join(' ')}`,
    );

  it('divides evenly, by a list, or around layers without weights', () => {
    expect(placement(4, { pipelineParallel: 2 })).toEqual(['0.0: 0=0 1=1', '1.0: 0=2 1=3']);
    expect(placement(4, { pipelineParallel: 2, numLayerList: [1, 3] })).toEqual([
      '0.0: 0=0',
      '1.0: 0=1 1=2 2=3',
    ]);
    expect(placement(4, { pipelineParallel: 2, noopLayers: [0, 5] })).toEqual([
      '0.0: 1=0 2=1',
      '1.0: 0=2 1=3',
    ]);
  });

  it('gives virtual stages to the pipeline in turn', () => {
    const settings = { pipelineParallel: 2, layersPerVirtualStage: 2 };
    expect(placement(8, settings)).toEqual([
      '0.0: 0=0 1=1',
      '0.1: 0=4 1=5',
      '1.0: 0=2 1=3',
      '1.1: 0=6 1=7',
    ]);
  });

  it('gives DualPipe-V a block from the front and one from the back, and the head to the first stage', () => {
    const settings = { pipelineParallel: 2, schedule: 'dualpipev' } as const;
    expect(placement(8, settings)).toEqual([
      '0.0: 0=0 1=1',
      '0.1: 0=6 1=7',
      '1.0: 0=2 1=3',
      '1.1: 0=4 1=5',
    ]);
    const heads = placeLayers(8, { ...DEFAULT_MEGATRON_SETTINGS, ...settings });
    expect(heads.map(({ holdsHead }) => holdsHead)).toEqual([false, true, false, false]);
  });
});
