import { describe, expect, it } from 'vitest';
import { buildArguments } from '../../src/megatron/arguments.js';
import { type MegatronFile, recogniseMegatron } from '../../src/megatron/checkpoint.js';
import { crossCheckArguments } from '../../src/megatron/cross-check.js';
import {
  planHfToMegatron,
  planMegatronToHf,
  planReshard,
} from '../../src/megatron/plan-conversion.js';
import {
  inferParallelSizes,
  parseRankDirectory,
  ranksOfDirectories,
} from '../../src/megatron/rank-directories.js';
import { DEFAULT_MEGATRON_SETTINGS, type MegatronSettings } from '../../src/megatron/settings.js';
import { parseTracker, trackerText } from '../../src/megatron/tracker.js';
import {
  expectSame,
  hfMemory,
  listFiles,
  type Memory,
  readFamily,
  runPlan,
} from './family-trip.js';
import { hfSources } from './hf-sources.js';

const LLAMA = readFamily('llama');
const MOE = readFamily('qwen3-moe');

interface Written {
  readonly settings: MegatronSettings;
  readonly files: MegatronFile[];
  readonly memory: Memory;
}

function write(family: typeof LLAMA, changes: Partial<MegatronSettings>): Written {
  const { model, config } = family;
  const settings: MegatronSettings = {
    ...DEFAULT_MEGATRON_SETTINGS,
    vocabularyPadding: 'last_row',
    ...changes,
  };
  const { tensors, memory } = hfMemory(model);
  const plan = planHfToMegatron({
    model,
    config,
    sources: hfSources(model, tensors),
    settings,
    dtype: null,
  });
  const args = buildArguments(model, config, settings);
  return { settings, files: listFiles(plan, args), memory: runPlan(plan, memory) };
}

const withoutArgs = (files: MegatronFile[]): MegatronFile[] =>
  files.map((file) => ({ ...file, args: null }));

const recognise = (files: MegatronFile[], family = LLAMA): MegatronSettings =>
  recogniseMegatron(files, family.model, family.config).settings;

describe('rank directories', () => {
  const names = (...directories: string[]) => directories.map((name) => parseRankDirectory(name)!);

  it('are told from other names', () => {
    expect(parseRankDirectory('mp_rank_03_001_012')?.numbers).toEqual([3, 1, 12]);
    for (const name of ['mp_rank_3', 'mp_rank_00_01', 'mp_rank_00_000_000_000', 'iter_0000001']) {
      expect(parseRankDirectory(name)).toBeNull();
    }
  });

  it('of two numbers count experts when later ones hold the embedding too, stages otherwise', () => {
    const listed = names('mp_rank_00_000', 'mp_rank_00_001');
    expect(inferParallelSizes(listed, () => false)).toEqual({
      tensorParallel: 1,
      pipelineParallel: 2,
      expertParallel: 1,
    });
    expect(inferParallelSizes(listed, () => true)).toEqual({
      tensorParallel: 1,
      pipelineParallel: 1,
      expertParallel: 2,
    });
  });

  it('that are missing or too many are all named', () => {
    const listed = names('mp_rank_00_000', 'mp_rank_01_001', 'mp_rank_02_000');
    const sizes = { tensorParallel: 2, pipelineParallel: 2, expertParallel: 1 };
    expect(() => ranksOfDirectories(listed, sizes)).toThrow(
      'missing mp_rank_01_000, mp_rank_00_001; not expected mp_rank_02_000',
    );
  });

  it('of different divisions are refused', () => {
    expect(() => inferParallelSizes(names('mp_rank_00', 'mp_rank_00_001'), () => false)).toThrow(
      'directories of different divisions are mixed',
    );
  });
});

describe('the tracker', () => {
  it.each([
    ['1', 1],
    ['2000\n', 2000],
    ['release\n', 'release'],
    [' 0000010 \r\n', 10],
  ])('%j says %s', (text, iteration) => {
    expect(parseTracker(text, 'tracker')).toBe(iteration);
  });

  it.each(['', '0', '-3', 'latest', '1e3', '12 13'])('%j says nothing', (text) => {
    expect(() => parseTracker(text, 'tracker')).toThrow('must hold an iteration above 0');
  });

  it('is written as the original writers do', () => {
    expect([trackerText(1), trackerText('release')]).toEqual(['1', 'release\n']);
  });
});

describe('recogniseMegatron', () => {
  it.each<Partial<MegatronSettings>>([
    { tensorParallel: 2, pipelineParallel: 2, layersPerVirtualStage: 1 },
    { spec: 'transformer_engine', tensorParallel: 4, pipelineParallel: 2, numLayerList: [1, 3] },
    { pipelineParallel: 2, noopLayers: [0, 5] },
    { pipelineParallel: 2, schedule: 'dualpipev' },
    { spec: 'legacy', tensorParallel: 2, pipelineParallel: 4 },
    { spec: 'ascendspeed', tensorParallel: 2, pipelineParallel: 2, separateGate: true },
  ])('finds the layout that was written: %j', (changes) => {
    const { settings, files } = write(LLAMA, changes);
    expect(recognise(files)).toEqual(settings);
  });

  it('needs no arguments where names and tensors say it all', () => {
    const { files } = write(MOE, { expertParallel: 2, groupedGemm: true });
    expect(recognise(withoutArgs(files), MOE)).toMatchObject({
      pipelineParallel: 1,
      expertParallel: 2,
      groupedGemm: true,
    });
    const stages = write(LLAMA, { pipelineParallel: 2 });
    expect(recognise(withoutArgs(stages.files))).toMatchObject({
      pipelineParallel: 2,
      expertParallel: 1,
    });
  });

  it('names every argument that contradicts the configuration, with both values', () => {
    const { files } = write(LLAMA, {});
    const args = { ...files[0]!.args, hidden_size: 128, rotary_base: 5, num_layers: 4 };
    expect(() => recognise([{ ...files[0]!, args }])).toThrow(
      'hidden_size is 128 in the checkpoint and 64 by the configuration; rotary_base is 5 in the checkpoint and 10000 by the configuration',
    );
  });

  it('takes arguments of a training run that say the same in other words', () => {
    const { model, config } = LLAMA;
    const training = {
      num_layers: 4,
      hidden_size: 64,
      ffn_hidden_size: 80,
      group_query_attention: true,
      num_query_groups: 8,
      norm_epsilon: 1e-6,
      padded_vocab_size: 128,
      untie_embeddings_and_output_weights: true,
    };
    expect(crossCheckArguments(training, model, config)).toEqual([]);
    expect(crossCheckArguments({ padded_vocab_size: 96 }, model, config)).toHaveLength(1);
  });

  it('refuses ranks that disagree, old versions, and a rank that is missing', () => {
    const { files } = write(LLAMA, { tensorParallel: 2 });
    const [first, second] = files as [MegatronFile, MegatronFile];
    const other = { ...second, args: { ...second.args, num_layers: 8 } };
    expect(() => recognise([first, other])).toThrow(
      'num_layers is 4 in mp_rank_00 and 8 in mp_rank_01',
    );
    expect(() => recognise([{ ...first, checkpointVersion: 0 }, second])).toThrow(
      'mp_rank_00 is of checkpoint version 0',
    );
    expect(() => recognise([first])).toThrow('missing mp_rank_01');
  });

  it('refuses what would be read wrongly or without end', () => {
    const { files } = write(MOE, { tensorParallel: 2 });
    const say = (args: object): MegatronFile[] =>
      files.map((file) => ({ ...file, args: { ...file.args, ...args } }));
    expect(() => recognise(say({ expert_tensor_parallel_size: 1 }), MOE)).toThrow(
      'its experts are divided over 1 tensor ranks and everything else over 2',
    );
    recognise(say({ expert_tensor_parallel_size: 2 }), MOE);
    expect(() => recognise(say({ tensor_model_parallel_size: 1e9 }), MOE)).toThrow(
      'at most 65536 are read',
    );
  });

  it('leaves out optimizer, random state and extra state, and refuses what it does not know', () => {
    const { files } = write(LLAMA, {});
    const [tensor] = files[0]!.tensors;
    const add = (name: string): MegatronFile[] => [
      { ...files[0]!, tensors: [...files[0]!.tensors, { ...tensor!, name }] },
    ];
    recognise(add('optimizer\u001fstate\u001f0'));
    recognise(add('model\u001fdecoder.layers.0.mlp.linear_fc1._extra_state'));
    expect(() => recognise(add('model\u001fdecoder.layers.9.mlp.linear_fc1.weight'))).toThrow(
      'mp_rank_00: model / decoder.layers.9.mlp.linear_fc1.weight',
    );
  });

  it('leaves out layers that predict further tokens when the configuration says that there are some', () => {
    const { files } = write(LLAMA, { pipelineParallel: 2 });
    const [first, last] = files as [MegatronFile, MegatronFile];
    const embedding = first.tensors.find(({ name }) => name.includes('word_embeddings'))!;
    const extra = { ...embedding, name: 'model\u001fmtp.layers.0.eh_proj.weight' };
    const tensors = last.tensors.map((tensor) => ({
      ...tensor,
      name: tensor.name.replace('decoder.final_layernorm', 'final_layernorm'),
    }));
    const withExtra = [first, { ...last, tensors: [...tensors, embedding, extra] }];
    expect(() => recognise(withExtra)).toThrow('mtp.layers.0.eh_proj.weight');
    const sizes = { ...LLAMA.model.sizes, extraLayers: 1 };
    recognise(withExtra, { ...LLAMA, model: { ...LLAMA.model, sizes } });
  });

  it('finds norms under the names of the other layer specification', () => {
    const { files } = write(LLAMA, { spec: 'transformer_engine' });
    const renamed = files.map((file) => ({
      ...file,
      tensors: file.tensors.map((tensor) => ({
        ...tensor,
        name: tensor.name.replace('mlp.linear_fc1.layer_norm_weight', 'pre_mlp_layernorm.weight'),
      })),
    }));
    expect(recognise(renamed).spec).toBe('transformer_engine');
  });
});

describe('planHfToMegatron', () => {
  it('leaves out what files hold and no layout moves, and refuses the rest', () => {
    const { model, config } = readFamily('llama-tied');
    const { tensors } = hfMemory(model);
    const settings = DEFAULT_MEGATRON_SETTINGS;
    const plan = (...names: string[]) =>
      planHfToMegatron({
        model,
        config,
        settings,
        dtype: null,
        sources: hfSources(model, [...tensors, ...names.map((name) => ({ ...tensors[0]!, name }))]),
      });
    plan('lm_head.weight', 'model.layers.0.self_attn.rotary_emb.inv_freq');
    expect(() => plan('model.layers.7.mlp.up_proj.weight')).toThrow('model.layers.7.mlp.up_proj');
  });
});

describe('planReshard', () => {
  it.each<[typeof LLAMA, Partial<MegatronSettings>, Partial<MegatronSettings>]>([
    [LLAMA, { tensorParallel: 4, pipelineParallel: 2 }, { tensorParallel: 2, spec: 'legacy' }],
    [LLAMA, { spec: 'ascendspeed' }, { tensorParallel: 8, spec: 'transformer_engine' }],
    [
      MOE,
      { tensorParallel: 2, expertParallel: 4, groupedGemm: true },
      { expertParallel: 2, pipelineParallel: 2, spec: 'transformer_engine', groupedGemm: true },
    ],
    [
      MOE,
      { pipelineParallel: 4, expertParallel: 8 },
      { tensorParallel: 2, expertParallel: 2, groupedGemm: true, expertsOverTensorRanks: true },
    ],
  ])('gives what converting straight would give', (family, from, to) => {
    const { model, config } = family;
    const { files, memory } = write(family, from);
    const direct = write(family, to);
    const checkpoint = recogniseMegatron(files, model, config);
    const { settings } = direct;
    const plan = planReshard({ model, config, checkpoint, settings, iteration: 1, dtype: null });
    const found = runPlan(plan, memory);
    const byPath = (all: Memory): string[] => [...all.keys()].sort();
    expect(byPath(found)).toEqual(byPath(direct.memory));
    for (const [key, stored] of direct.memory) {
      const wrong = stored.numbers.findIndex((value, at) => value !== found.get(key)!.numbers[at]);
      expect(wrong, `first wrong element of ${key}`).toBe(-1);
    }
  });

  it('takes whole blocks of rows where both divisions keep groups together', () => {
    const { model, config } = LLAMA;
    const { files } = write(LLAMA, { tensorParallel: 4 });
    const checkpoint = recogniseMegatron(files, model, config);
    const settings = { ...DEFAULT_MEGATRON_SETTINGS, vocabularyPadding: 'last_row' } as const;
    const plan = planReshard({ model, config, checkpoint, settings, iteration: 1, dtype: null });
    const qkv = plan.files[0]!.tensors.find(({ name }) => name.endsWith('linear_qkv.weight'))!;
    expect(qkv.pieces).toHaveLength(4);
  });
});

describe('planMegatronToHf', () => {
  it('takes no row beyond the vocabulary, whatever the padding became in training', () => {
    const { model, config } = LLAMA;
    const { files, memory } = write(LLAMA, { tensorParallel: 2 });
    for (const [key, stored] of memory) {
      if (!/word_embeddings|output_layer/.test(key)) continue;
      const ownRows = key.includes('mp_rank_01') ? 0 : model.sizes.vocab;
      stored.numbers.fill(-1, ownRows * stored.cols);
    }
    const checkpoint = recogniseMegatron(files, model, config);
    const options = { naming: 'shards', maxShardBytes: 4096, dtype: null } as const;
    const plan = planMegatronToHf({ model, config, checkpoint, ...options });
    expectSame(runPlan(plan, memory), hfMemory(model).memory);
    expect(plan.files.length).toBeGreaterThan(2);
    expect(plan.texts[0]?.path).toBe('model.safetensors.index.json');
    const index = JSON.parse(plan.texts[0]!.text) as { weight_map: Record<string, string> };
    expect(index.weight_map['lm_head.weight']).toBe(plan.files.at(-1)!.path);
  });
});
