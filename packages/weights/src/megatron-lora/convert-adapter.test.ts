import { readFileSync } from 'node:fs';
import { createRng, TuneyardError } from '@tuneyard/core';
import { describe, expect, it } from 'vitest';
import type { AdapterConfig, LoraAdapter, LoraPair } from '../adapter/adapter.js';
import type { StoredFactors } from '../adapter/factors/factor-layout.js';
import { moduleScale } from '../adapter/module-pattern.js';
import { hfLayout } from '../convert/hf-layout.js';
import { logicalModel } from '../convert/logical-config.js';
import type { StoredSpec } from '../convert/logical-model.js';
import { megatronLayout } from '../megatron/megatron-layout.js';
import { DEFAULT_MEGATRON_SETTINGS, type MegatronSettings } from '../megatron/settings.js';
import {
  type MegatronAdapter,
  reshardMegatronAdapter,
  toMegatronAdapter,
  toPeftAdapter,
} from './convert-adapter.js';

const C = 16;
const HEADS = 8;
const GROUPS = 4;
const D = 4;
const F = 24;
const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: C,
  intermediate_size: F,
  num_attention_heads: HEADS,
  num_key_value_heads: GROUPS,
  head_dim: D,
  num_hidden_layers: 4,
  vocab_size: 32,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: false,
};
const LINEAR = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];

function layoutsFor(config: object, settings: Partial<MegatronSettings>) {
  const model = logicalModel(config, 'test');
  const megatron = megatronLayout(model, { ...DEFAULT_MEGATRON_SETTINGS, ...settings });
  return { model, hf: hfLayout(model), megatron };
}

const SETTINGS: AdapterConfig = {
  rank: 2,
  alpha: 4,
  rslora: false,
  dropout: 0,
  targetModules: LINEAR,
  baseModel: 'base',
  rankPattern: {},
  alphaPattern: {},
};

/** Small whole numbers: all products and sums are exact, so updates can be compared bit by bit. */
function wholeNumbers(seed: number) {
  const rng = createRng(seed);
  return (length: number) =>
    Float32Array.from({ length }, () => Math.round(rng.nextGaussian() * 3) || 1);
}

function adapterFor(
  hf: readonly StoredSpec[],
  leaves: readonly string[],
  config = SETTINGS,
): LoraAdapter {
  const random = wholeNumbers(5);
  const pairs: LoraPair[] = [];
  for (const { name, shape } of hf) {
    const module = name.replace(/\.weight$/, '');
    if (module === name || !leaves.includes(module.slice(module.lastIndexOf('.') + 1))) continue;
    const [outFeatures = 0, inFeatures = 0] = shape;
    const { rank } = config;
    const [a, b] = [random(rank * inFeatures), random(outFeatures * rank)];
    pairs.push({ module, a, b, rank, inFeatures, outFeatures });
  }
  return { config: { ...config, targetModules: [...leaves].sort() }, pairs };
}

type Matrix = number[][];

/** scale · B · A as nested arrays. */
function product(
  f: Pick<StoredFactors, 'a' | 'b' | 'rank' | 'rows' | 'columns' | 'scale'>,
): Matrix {
  return Array.from({ length: f.rows }, (_, i) =>
    Array.from({ length: f.columns }, (_, j) => {
      let sum = 0;
      for (let r = 0; r < f.rank; r++) sum += f.b[i * f.rank + r]! * f.a[r * f.columns + j]!;
      return f.scale * sum + 0;
    }),
  );
}

function updateOf(adapter: LoraAdapter, module: string): Matrix | null {
  const pair = adapter.pairs.find((p) => p.module === module);
  if (pair === undefined) return null;
  const scale = moduleScale(adapter.config, module);
  return product({ ...pair, rows: pair.outFeatures, columns: pair.inFeatures, scale });
}

function megatronUpdate(adapter: MegatronAdapter, shard: string, name: string): Matrix {
  const found = adapter.factors.find((f) => f.shard === shard && f.name === name)!;
  expect(found.rank).toBe(adapter.rank);
  return product({ ...found, scale: adapter.alpha / adapter.rank });
}

const stack = (parts: Matrix[]): Matrix => parts.flat();
const beside = (parts: Matrix[]): Matrix =>
  parts[0]!.map((_, row) => parts.flatMap((part) => part[row]!));

/** The textbook way back: gather ranks, take groups apart, halve the MLP's input per rank. */
function naiveHf(adapter: MegatronAdapter, tp: number, layer: number) {
  const of = (name: string) =>
    Array.from({ length: tp }, (_, t) =>
      megatronUpdate(adapter, `mp_rank_0${t}`, `model\u001fdecoder.layers.${layer}.${name}.weight`),
    );
  const qkv = stack(of('self_attention.linear_qkv'));
  const perGroup = HEADS / GROUPS + 2;
  const rows = (head: (group: number) => number[]) =>
    Array.from({ length: GROUPS }, (_, g) =>
      head(g).flatMap((h) => qkv.slice((g * perGroup + h) * D, (g * perGroup + h + 1) * D)),
    ).flat();
  const halves = of('mlp.linear_fc1').map((part) => {
    const middle = part.length / 2;
    return [part.slice(0, middle), part.slice(middle)] as const;
  });
  return {
    'self_attn.q_proj': rows(() => [0, 1]),
    'self_attn.k_proj': rows(() => [2]),
    'self_attn.v_proj': rows(() => [3]),
    'self_attn.o_proj': beside(of('self_attention.linear_proj')),
    'mlp.gate_proj': stack(halves.map(([gate]) => gate)),
    'mlp.up_proj': stack(halves.map(([, up]) => up)),
    'mlp.down_proj': beside(of('mlp.linear_fc2')),
  };
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof TuneyardError) return `${error.code} ${error.message} ${error.hint ?? ''}`;
    throw error;
  }
  return 'nothing was thrown';
}

const zeros = (rows: number, columns: number): Matrix =>
  Array.from({ length: rows }, () => Array<number>(columns).fill(0));

describe('toMegatronAdapter', () => {
  it.each([1, 2, 4])('gives each module its own update, by the textbook way back: TP %i', (tp) => {
    const layouts = layoutsFor(CONFIG, { tensorParallel: tp });
    const adapter = adapterFor(layouts.hf, LINEAR);
    const { adapter: megatron, report } = toMegatronAdapter(adapter, layouts);
    for (let layer = 0; layer < 4; layer++) {
      for (const [path, update] of Object.entries(naiveHf(megatron, tp, layer))) {
        expect(update).toEqual(updateOf(adapter, `model.layers.${layer}.${path}`));
      }
    }
    expect(megatron).toMatchObject({
      rank: 6,
      alpha: 12,
      targetModules: ['linear_fc1', 'linear_fc2', 'linear_proj', 'linear_qkv'],
    });
    expect(report.stacked.find(({ name }) => name.includes('.0.self_attention'))).toMatchObject({
      rank: 6,
      parts: ['q', 'k', 'v'].map((x) => `model.layers.0.self_attn.${x}_proj.weight`),
    });
    expect(report).toMatchObject({ rank: 6, alpha: 12, zeroFilled: 0, rescaled: [] });
  });

  it('keeps the rank when joined modules share their A', () => {
    const layouts = layoutsFor(CONFIG, { tensorParallel: 2 });
    const adapter = adapterFor(layouts.hf, LINEAR);
    const shared = new Map<string, Float32Array>();
    const pairs = adapter.pairs.map((pair) => {
      const key = pair.module.replace(/[qkv]_proj$/, 'qkv').replace(/(gate|up)_proj$/, 'fc1');
      const a = shared.get(key) ?? pair.a;
      shared.set(key, a);
      return { ...pair, a: a.slice() };
    });
    const result = toMegatronAdapter({ ...adapter, pairs }, layouts, { different: 'refuse' });
    expect(result.adapter).toMatchObject({ rank: 2, alpha: 4 });
    expect(result.report.stacked).toEqual([]);
    expect(naiveHf(result.adapter, 2, 1)['self_attn.k_proj']).toEqual(
      updateOf({ ...adapter, pairs }, 'model.layers.1.self_attn.k_proj'),
    );
  });

  it('refuses different A matrices when stacking is not allowed', () => {
    const layouts = layoutsFor(CONFIG, {});
    const adapter = adapterFor(layouts.hf, ['q_proj', 'v_proj']);
    const thrown = codeOf(() => toMegatronAdapter(adapter, layouts, { different: 'refuse' }));
    expect(thrown).toContain('WEIGHTS_ADAPTER_NOT_SHARED');
    expect(thrown).toContain(
      'model.layers.0.self_attn.q_proj.weight, model.layers.0.self_attn.v_proj',
    );
    expect(thrown).toContain('sum of their ranks');
  });

  it('fills what the adapter leaves alone with zeros', () => {
    const layouts = layoutsFor(CONFIG, { tensorParallel: 2 });
    const all = adapterFor(layouts.hf, ['q_proj', 'down_proj']);
    const adapter = { ...all, pairs: all.pairs.filter((p) => !p.module.includes('layers.3')) };
    const { adapter: megatron, report } = toMegatronAdapter(adapter, layouts);
    const update = naiveHf(
      { ...megatron, factors: [...megatron.factors, ...zeroMlp(layouts.megatron, megatron.rank)] },
      2,
      3,
    );
    expect(update['self_attn.q_proj']).toEqual(zeros(HEADS * D, C));
    expect(report.zeroFilled).toBe(2 * 2 * 1);
    expect(megatron).toMatchObject({ rank: 2, targetModules: ['linear_fc2', 'linear_qkv'] });
  });

  function zeroMlp(layout: readonly StoredSpec[], rank: number): StoredFactors[] {
    return layout
      .filter(({ name }) => /linear_(fc1|proj)\.weight$/.test(name))
      .map(({ shard, name, shape: [rows = 0, columns = 0] }) => ({
        shard,
        name,
        rank,
        rows,
        columns,
        a: new Float32Array(rank * columns),
        b: new Float32Array(rows * rank),
        scale: 1,
      }));
  }

  it('puts scales that one alpha cannot say into B, and says where', () => {
    const layouts = layoutsFor(CONFIG, {});
    const config = { ...SETTINGS, alphaPattern: { 'layers.1.mlp.down_proj': 16 } };
    const adapter = adapterFor(layouts.hf, ['o_proj', 'down_proj'], config);
    const { adapter: megatron, report } = toMegatronAdapter(adapter, layouts);
    expect(report.rescaled).toEqual(['model.layers.1.mlp.down_proj.weight']);
    const name = 'model\u001fdecoder.layers.1.mlp.linear_fc2.weight';
    expect(megatronUpdate(megatron, 'mp_rank_00', name)).toEqual(
      updateOf(adapter, 'model.layers.1.mlp.down_proj'),
    );
    expect(megatron.alpha).toBe(4);
  });

  it('makes alpha a whole number, as --lora-alpha takes it', () => {
    const layouts = layoutsFor(CONFIG, {});
    const adapter = adapterFor(layouts.hf, ['o_proj'], { ...SETTINGS, rslora: true, alpha: 5 });
    const { adapter: megatron, report } = toMegatronAdapter(adapter, layouts);
    expect(megatron.alpha).toBe(7);
    expect(report.rescaled.length).toBe(4);
    const name = 'model\u001fdecoder.layers.2.self_attention.linear_proj.weight';
    const update = megatronUpdate(megatron, 'mp_rank_00', name);
    updateOf(adapter, 'model.layers.2.self_attn.o_proj')!.forEach((row, i) => {
      row.forEach((value, j) => {
        expect(Math.abs(update[i]![j]! - value)).toBeLessThanOrEqual(60 * 2 ** -22);
      });
    });
  });

  it.each([
    ['does not have', { module: 'model.layers.9.self_attn.q_proj' }],
    ['adapts [32, 15]', { inFeatures: 15, a: new Float32Array(30) }],
  ])('refuses a pair whose module the model %s', (words, change) => {
    const layouts = layoutsFor(CONFIG, {});
    const adapter = adapterFor(layouts.hf, ['q_proj']);
    const pairs = [{ ...adapter.pairs[0]!, ...change }, ...adapter.pairs.slice(1)];
    const thrown = codeOf(() => toMegatronAdapter({ ...adapter, pairs }, layouts));
    expect(thrown).toContain('WEIGHTS_ADAPTER_MISMATCH');
    expect(thrown).toContain(words);
  });

  it('refuses modules that are no parallel linear layers there', () => {
    const layouts = layoutsFor(CONFIG, {});
    const adapter = adapterFor(layouts.hf, ['embed_tokens']);
    const thrown = codeOf(() => toMegatronAdapter(adapter, layouts));
    expect(thrown).toContain('WEIGHTS_ADAPTER_UNSUPPORTED');
    expect(thrown).toContain('embed_tokens');
  });
});

const DIVISIONS: readonly (readonly [string, Partial<MegatronSettings>])[] = [
  ['TP 1', {}],
  ['TP 4', { tensorParallel: 4 }],
  ['TP 2, PP 2', { tensorParallel: 2, pipelineParallel: 2 }],
  ['PP 2, virtual stages', { pipelineParallel: 2, layersPerVirtualStage: 1 }],
  ['transformer engine', { spec: 'transformer_engine', tensorParallel: 2 }],
  ['legacy', { spec: 'legacy', tensorParallel: 2, pipelineParallel: 2 }],
  ['ascendspeed', { spec: 'ascendspeed', tensorParallel: 2, separateGate: true }],
  ['listed stages', { pipelineParallel: 2, numLayerList: [3, 1] }],
];

describe('toPeftAdapter', () => {
  it.each(DIVISIONS)('brings back the very adapter that went in: %s', (_, settings) => {
    const layouts = layoutsFor(CONFIG, settings);
    const adapter = adapterFor(layouts.hf, LINEAR);
    const { adapter: megatron } = toMegatronAdapter(adapter, layouts);
    const back = toPeftAdapter(megatron, layouts, { baseModel: 'base' });
    expect(back.adapter).toEqual({ config: adapter.config, pairs: adapter.pairs });
    expect(back.report.dropped).toEqual([]);
  });

  it('leaves away modules and ranks that do nothing, and states odd ranks and scales', () => {
    const layouts = layoutsFor(CONFIG, { tensorParallel: 2 });
    const config = {
      ...SETTINGS,
      rankPattern: { 'model.layers.2.self_attn.q_proj': 3 },
      alphaPattern: { 'model.layers.2.self_attn.q_proj': 6 },
    };
    const adapter = adapterFor(layouts.hf, ['q_proj', 'v_proj'], { ...config, rank: 2 });
    const random = wholeNumbers(8);
    const pairs = adapter.pairs.map((pair) =>
      pair.module === 'model.layers.2.self_attn.q_proj'
        ? { ...pair, rank: 3, a: random(3 * C), b: random(3 * HEADS * D) }
        : pair,
    );
    const given = { config: { ...config, targetModules: ['q_proj', 'v_proj'] }, pairs };
    const { adapter: megatron } = toMegatronAdapter(given, layouts);
    expect(megatron.rank).toBe(5);
    const back = toPeftAdapter(megatron, layouts, { baseModel: 'base' });
    expect(back.adapter).toEqual(given);
    expect(back.report.dropped).toEqual(
      [0, 1, 2, 3].map((layer) => `model.layers.${layer}.self_attn.k_proj.weight`),
    );
  });

  it('keeps an adapter that was never trained', () => {
    const layouts = layoutsFor(CONFIG, {});
    const adapter = adapterFor(layouts.hf, ['o_proj']);
    const pairs = adapter.pairs.map((pair) => ({ ...pair, b: pair.b.fill(0) }));
    const { adapter: megatron } = toMegatronAdapter({ ...adapter, pairs }, layouts);
    const back = toPeftAdapter(megatron, layouts, { baseModel: 'base' });
    expect(back.adapter.pairs).toEqual(pairs);
  });

  it('gives q, k and v a copy of the A that Megatron trained for all of them', () => {
    const layouts = layoutsFor(CONFIG, { tensorParallel: 2 });
    const random = wholeNumbers(3);
    const a = random(2 * C);
    const name = 'model\u001fdecoder.layers.0.self_attention.linear_qkv.weight';
    const rows = ((HEADS + 2 * GROUPS) * D) / 2;
    const factors = ['mp_rank_00', 'mp_rank_01'].map((shard) => ({
      ...{ shard, name, rank: 2, rows, columns: C, a: a.slice(), scale: 2 },
      b: random(rows * 2),
    }));
    const trained = { rank: 2, alpha: 4, targetModules: ['linear_qkv'], factors };
    const { adapter } = toPeftAdapter(trained, layouts);
    expect(adapter.pairs.map((pair) => pair.a)).toEqual([a, a, a]);
    expect(adapter.pairs.map((pair) => pair.outFeatures)).toEqual([
      HEADS * D,
      GROUPS * D,
      GROUPS * D,
    ]);
    const again = toMegatronAdapter(adapter, layouts, { different: 'refuse' }).adapter;
    expect(again.factors.filter((f) => f.name === name)).toEqual(factors);
  });

  it('refuses ranks that are missing or hold other copies', () => {
    const layouts = layoutsFor(CONFIG, { tensorParallel: 2 });
    const { adapter } = toMegatronAdapter(adapterFor(layouts.hf, LINEAR), layouts);
    const change = (edit: (f: StoredFactors) => StoredFactors | null) =>
      codeOf(() =>
        toPeftAdapter(
          { ...adapter, factors: adapter.factors.map(edit).filter((f) => f !== null) },
          layouts,
        ),
      );
    expect(change((f) => (f.shard === 'mp_rank_01' ? null : f))).toContain('not complete');
    const isQkv = (f: StoredFactors) => f.shard === 'mp_rank_01' && f.name.includes('linear_qkv');
    expect(change((f) => (isQkv(f) ? { ...f, a: f.a.map((v) => v + 1) } : f))).toContain(
      'mp_rank_01: lora_A of model/decoder.layers.0.self_attention.linear_qkv.weight differs',
    );
    const isProj = (f: StoredFactors) => f.shard === 'mp_rank_01' && f.name.includes('linear_proj');
    expect(change((f) => (isProj(f) ? { ...f, b: f.b.map((v) => v + 1) } : f))).toContain(
      'lora_B of model/decoder.layers.0.self_attention.linear_proj.weight differs',
    );
    const other = { a: new Float32Array(C), rank: 1 };
    expect(
      change((f) => (isQkv(f) ? { ...f, ...other, b: new Float32Array(f.rows) } : f)),
    ).toContain('other shards of it have rank 6');
  });
});

describe('reshardMegatronAdapter', () => {
  it.each(DIVISIONS)('equals a direct conversion to the target layout: %s', (_, settings) => {
    const model = logicalModel(CONFIG, 'test');
    const from = layoutsFor(CONFIG, { tensorParallel: 2, pipelineParallel: 2 });
    const to = layoutsFor(CONFIG, settings);
    const adapter = adapterFor(from.hf, LINEAR);
    const { adapter: source } = toMegatronAdapter(adapter, from);
    const { adapter: moved } = reshardMegatronAdapter(source, model, {
      from: from.megatron,
      to: to.megatron,
    });
    const back = toPeftAdapter(moved, to, { baseModel: 'base' });
    expect(back.adapter).toEqual({ config: adapter.config, pairs: adapter.pairs });
    expect(moved.rank).toBe(source.rank);
    expect(moved.alpha).toBe(source.alpha);
  });
});

const FAMILIES = [
  ['baichuan', ['W_pack', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'], 2],
  ['chatglm', ['query_key_value', 'dense', 'dense_h_to_4h', 'dense_4h_to_h'], 2],
  ['qwen2', LINEAR, 2],
  ['gemma2', LINEAR, 2],
  ['mixtral', ['q_proj', 'v_proj', 'w1', 'w2', 'w3'], 2],
  ['qwen3-moe', ['q_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'], 2],
  ['phi3', ['qkv_proj', 'o_proj', 'gate_up_proj', 'down_proj'], 2],
  ['deepseek2', ['q_a_proj', 'q_b_proj', 'kv_a_proj_with_mqa', 'kv_b_proj', 'o_proj'], 2],
] as const;

describe('experts in one tensor', () => {
  it.each([
    ['local', 'holds its weight turned'],
    ['transformer_engine', 'not the weight of a module'],
  ] as const)('carry no adapter: %s', (spec, words) => {
    const path = new URL('../../test/fixtures/families/mixtral.json', import.meta.url);
    const { config } = JSON.parse(readFileSync(path, 'utf8')) as { config: object };
    const layouts = layoutsFor(config, { spec, groupedGemm: true, vocabularyPadding: 'last_row' });
    const thrown = codeOf(() => toMegatronAdapter(adapterFor(layouts.hf, ['w1']), layouts));
    expect(thrown).toContain('WEIGHTS_ADAPTER_UNSUPPORTED');
    expect(thrown).toContain(words);
  });
});

describe('every family', () => {
  it.each(FAMILIES)(
    'keeps the update of every weight on the way there and back: %s',
    (name, leaves, tp) => {
      const path = new URL(`../../test/fixtures/families/${name}.json`, import.meta.url);
      const { config } = JSON.parse(readFileSync(path, 'utf8')) as { config: object };
      const layouts = layoutsFor(config, { tensorParallel: tp, vocabularyPadding: 'last_row' });
      const adapter = adapterFor(layouts.hf, leaves);
      expect(
        new Set(adapter.pairs.map((p) => p.module.slice(p.module.lastIndexOf('.') + 1))),
      ).toEqual(new Set(leaves));
      const { adapter: megatron } = toMegatronAdapter(adapter, layouts);
      const back = toPeftAdapter(megatron, layouts).adapter;
      for (const { module } of adapter.pairs) {
        expect(updateOf(back, module), module).toEqual(updateOf(adapter, module));
      }
      // Dense, rectangle by rectangle: the update of every stored weight is that of the logical one.
      const dense = new Map<string, Matrix>();
      for (const { name: stored, rectangles } of layouts.hf) {
        const update = updateOf(adapter, stored.replace(/\.weight$/, ''));
        for (const r of update === null ? [] : rectangles) {
          const rows = dense.get(r.logical) ?? [];
          for (let i = 0; i < r.rows; i++) {
            rows[r.logicalRow + i] ??= [];
            for (let j = 0; j < r.cols; j++) {
              rows[r.logicalRow + i]![r.logicalCol + j] =
                update![r.storedRow + i]![r.storedCol + j]!;
            }
          }
          dense.set(r.logical, rows);
        }
      }
      for (const { shard, name: stored, rectangles } of layouts.megatron) {
        if (!megatron.factors.some((f) => f.shard === shard && f.name === stored)) continue;
        const update = megatronUpdate(megatron, shard, stored);
        for (const r of rectangles) {
          const block = update.slice(r.storedRow, r.storedRow + r.rows);
          const expected = dense.get(r.logical)?.slice(r.logicalRow, r.logicalRow + r.rows);
          expect(block.map((row) => row.slice(r.storedCol, r.storedCol + r.cols))).toEqual(
            expected?.map((row) => row.slice(r.logicalCol, r.logicalCol + r.cols)) ??
              zeros(r.rows, r.cols),
          );
        }
      }
    },
  );
});
