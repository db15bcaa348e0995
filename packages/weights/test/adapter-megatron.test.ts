import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRng } from '@tuneyard/core';
import { SafetensorsReader, TorchArchiveReader, torchToJson } from '@tuneyard/formats';
import { describe, expect, it } from 'vitest';
import { hfLayout } from '../src/convert/hf-layout.js';
import { logicalModel } from '../src/convert/logical-config.js';
import type { LoraAdapter } from '../src/index.js';
import { megatronLayout } from '../src/megatron/megatron-layout.js';
import { DEFAULT_MEGATRON_SETTINGS, type MegatronSettings } from '../src/megatron/settings.js';
import { toMegatronAdapter, toPeftAdapter } from '../src/megatron-lora/convert-adapter.js';
import {
  readMegatronAdapter,
  writeMegatronAdapter,
} from '../src/megatron-lora/megatron-adapter-files.js';
import { mergeMegatronCheckpoint } from '../src/megatron-lora/merge-checkpoint.js';
import { codeOf, temporaryDirectory } from './fixture-models.js';

const FIXTURES = fileURLToPath(new URL('./fixtures/megatron-lora', import.meta.url));
const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 16,
  intermediate_size: 24,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 4,
  num_hidden_layers: 1,
  vocab_size: 32,
  attention_bias: false,
  tie_word_embeddings: false,
};

const fileOf = (directory: string, rank: string, iteration = 'iter_0000010') =>
  join(directory, iteration, rank, 'model_optim_rng.pt');

describe('mergeMegatronCheckpoint', () => {
  it.each([
    ['a checkpoint that holds both', 'unified', null],
    ['adapters beside their base', 'base', 'lora-only'],
  ])('merges every rank in f32 and rounds once: %s', async (_, base, adapter) => {
    const out = join(temporaryDirectory(), 'merged');
    const report = await mergeMegatronCheckpoint(join(FIXTURES, base), out, {
      ...(adapter === null ? {} : { adapter: join(FIXTURES, adapter) }),
      ...{ stated: {} },
    });
    expect(report).toMatchObject({ ranks: 2, merged: 6, rank: 4, alpha: 10 });
    expect(readFileSync(join(out, 'latest_checkpointed_iteration.txt'), 'utf8')).toBe('10');
    for (const rank of ['mp_rank_00', 'mp_rank_01']) {
      const merged = await TorchArchiveReader.open(fileOf(out, rank));
      const expected = await SafetensorsReader.open(join(FIXTURES, `expected-${rank}.safetensors`));
      expect([...merged.tensors.keys()].sort()).toEqual(
        [...expected.tensors.keys()].map((name) => `model\u001f${name}`).sort(),
      );
      for (const [name, { shape }] of expected.tensors) {
        const key = `model\u001f${name}`;
        expect(merged.tensors.get(key)).toMatchObject({ shape, dtype: 'bfloat16' });
        const [ours, theirs] = [await merged.read(key), await expected.read(name)];
        expect(Buffer.compare(ours, theirs), name).toBe(0);
      }
      const root = torchToJson(merged.root) as Record<string, unknown>;
      expect(Object.keys(root)).toEqual(['args', 'checkpoint_version', 'iteration', 'model']);
      if (adapter === null) expect(root['args']).toMatchObject({ lora_target_modules: [] });
      await Promise.all([merged.close(), expected.close()]);
    }
  });

  it('takes rank and alpha as stated where the arguments are silent or wrong', async () => {
    const merge = (stated: object, adapter?: string) =>
      codeOf(() =>
        mergeMegatronCheckpoint(join(FIXTURES, 'base'), join(temporaryDirectory(), 'm'), {
          stated,
          ...(adapter === undefined ? {} : { adapter: join(FIXTURES, adapter) }),
        }),
      );
    expect(await merge({ rank: 4, alpha: 8 }, 'lora-only')).toBe('nothing was thrown');
    expect(await merge({ rank: 8 }, 'lora-only')).toContain('has rank 4');
    expect(await merge({})).toContain('WEIGHTS_ADAPTER_CONFIG');
    expect(await merge({ rank: 4, alpha: 8 })).toContain('holds no LoRA factors');
  });

  it('refuses ranks that do not match, and an output that holds a checkpoint', async () => {
    const other = join(temporaryDirectory(), 'other');
    cpSync(join(FIXTURES, 'lora-only'), other, { recursive: true });
    rmSync(join(other, 'iter_0000010/mp_rank_01'), { recursive: true });
    const thrown = await codeOf(() =>
      mergeMegatronCheckpoint(join(FIXTURES, 'base'), join(temporaryDirectory(), 'm'), {
        adapter: other,
      }),
    );
    expect(thrown).toContain('WEIGHTS_ADAPTER_MISMATCH');
    expect(thrown).toContain('mp_rank_00');
    const out = temporaryDirectory();
    writeFileSync(join(out, 'latest_checkpointed_iteration.txt'), '1');
    expect(await codeOf(() => mergeMegatronCheckpoint(join(FIXTURES, 'unified'), out))).toContain(
      'WEIGHTS_OUTPUT_EXISTS',
    );
    expect(await codeOf(() => mergeMegatronCheckpoint(temporaryDirectory(), out))).toContain(
      'WEIGHTS_MEGATRON_CHECKPOINT',
    );
  });
});

describe('adapters of Megatron checkpoints', () => {
  it.each(['unified', 'lora-only'])('are read and split for PEFT: %s', async (kind) => {
    const model = logicalModel(CONFIG, 'test');
    const { adapter, settings } = await readMegatronAdapter(join(FIXTURES, kind), model);
    expect(adapter).toMatchObject({ rank: 4, alpha: 10 });
    expect(settings).toMatchObject({ tensorParallel: 2, pipelineParallel: 1, spec: 'local' });
    const layouts = { model, hf: hfLayout(model), megatron: megatronLayout(model, settings) };
    const peft = toPeftAdapter(adapter, layouts).adapter;
    expect(peft.config).toMatchObject({ rank: 4, alpha: 10, rankPattern: {}, alphaPattern: {} });
    expect(peft.pairs.map(({ module }) => module.replace('model.layers.0.', ''))).toEqual([
      'self_attn.q_proj',
      'self_attn.k_proj',
      'self_attn.v_proj',
      'self_attn.o_proj',
      'mlp.down_proj',
    ]);
    const again = toMegatronAdapter(peft, layouts, { different: 'refuse' }).adapter;
    expect(again.factors).toEqual(adapter.factors);
  });

  const DIVISIONS: readonly (readonly [string, Partial<MegatronSettings>])[] = [
    ['TP 2, PP 2', { tensorParallel: 2, pipelineParallel: 2 }],
    ['virtual stages', { pipelineParallel: 2, layersPerVirtualStage: 1 }],
    ['legacy', { spec: 'legacy', tensorParallel: 2 }],
    ['transformer engine', { spec: 'transformer_engine', tensorParallel: 4 }],
  ];

  it.each(DIVISIONS)('come back from the files that are written: %s', async (_, division) => {
    const config = { ...CONFIG, num_hidden_layers: 4 };
    const model = logicalModel(config, 'test');
    const settings = { ...DEFAULT_MEGATRON_SETTINGS, ...division };
    const layouts = { model, hf: hfLayout(model), megatron: megatronLayout(model, settings) };
    const rng = createRng(2);
    const random = (n: number) => Float32Array.from({ length: n }, () => rng.nextGaussian());
    const pairs = layouts.hf
      .filter(({ name }) => /(q|o|down)_proj\.weight$/.test(name))
      .map(({ name, shape: [outFeatures = 0, inFeatures = 0] }) => ({
        module: name.replace('.weight', ''),
        ...{ rank: 2, inFeatures, outFeatures },
        ...{ a: random(2 * inFeatures), b: random(2 * outFeatures) },
      }));
    const peft: LoraAdapter = {
      config: {
        ...{ rank: 2, alpha: 4, rslora: false, dropout: 0, baseModel: null },
        ...{ targetModules: ['down_proj', 'o_proj', 'q_proj'], rankPattern: {}, alphaPattern: {} },
      },
      pairs,
    };
    const { adapter } = toMegatronAdapter(peft, layouts);
    const directory = join(temporaryDirectory(), 'adapter');
    const options = { model, config, settings };
    await writeMegatronAdapter(directory, adapter, options);
    const back = await readMegatronAdapter(directory, model);
    const order = (factors: typeof adapter.factors) =>
      [...factors].sort((x, y) => (x.shard + x.name < y.shard + y.name ? -1 : 1));
    expect(order(back.adapter.factors)).toEqual(order(adapter.factors));
    const layout = megatronLayout(model, back.settings);
    const names = (specs: typeof layout) =>
      specs.filter(({ shape }) => shape.length === 2).map(({ shard, name }) => `${shard} ${name}`);
    expect(names(layout)).toEqual(names(layouts.megatron));
    expect(toPeftAdapter(back.adapter, { ...layouts, megatron: layout }).adapter).toEqual(peft);
    expect(await codeOf(() => writeMegatronAdapter(directory, adapter, options))).toContain(
      'WEIGHTS_OUTPUT_EXISTS',
    );
  });
});
