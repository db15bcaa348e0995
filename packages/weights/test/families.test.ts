import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { SafetensorsReader } from '@tuneyard/formats';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { parameterTable } from '../src/config/parameter-table.js';
import { parseModelConfig } from '../src/config/parse-config.js';
import { type HfStyle, hfLayout, hfStyleOf } from '../src/convert/hf-layout.js';
import {
  checkStoredTensors,
  ignorableTensors,
  requireStoredTensors,
} from '../src/convert/hf-tensor-check.js';
import { logicalModel, modelNumbers } from '../src/convert/logical-config.js';
import type { LogicalModel, StoredSpec } from '../src/convert/logical-model.js';
import { FAMILY_TABLES } from '../src/families/catalogue.js';
import { KNOWN_ARCHITECTURES } from '../src/families/known-families.js';
import { codeOf } from './fixture-models.js';
import { FAMILY_FIXTURES, familyFixture, makeTinyCheckpoint } from './tiny-checkpoint.js';

const modelOf = (name: string, changes: Record<string, unknown> = {}): LogicalModel =>
  logicalModel({ ...familyFixture(name).config, ...changes }, 'config.json');

const sorted = (layout: readonly StoredSpec[]): [string, readonly number[]][] =>
  layout
    .map(({ name, shape }): [string, readonly number[]] => [name, shape])
    .sort(([a], [b]) => (a < b ? -1 : 1));

const byName = (list: FamilyList): FamilyList => [...list].sort(([a], [b]) => (a < b ? -1 : 1));
type FamilyList = readonly (readonly [string, readonly number[]])[];

/** Marks every element that a rectangle covers, the slow way. */
function coverage(model: LogicalModel, layout: readonly StoredSpec[]) {
  const sizeOf = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);
  const logical = new Map(
    model.tensors.map(({ id, shape }) => [id, new Uint8Array(sizeOf(shape))]),
  );
  const colsOf = new Map(model.tensors.map(({ id, shape }) => [id, shape[1] ?? 1]));
  const stored = layout.map(({ shape, rectangles }) => {
    const marks = new Uint8Array(sizeOf(shape));
    const cols = shape.length > 1 ? shape.at(-1)! : 1;
    for (const r of rectangles) {
      for (let row = 0; row < r.rows; row++) {
        for (let col = 0; col < r.cols; col++) {
          marks[(r.storedRow + row) * cols + r.storedCol + col]!++;
          logical.get(r.logical)![
            (r.logicalRow + row) * colsOf.get(r.logical)! + r.logicalCol + col
          ]!++;
        }
      }
    }
    return marks;
  });
  return { logical: [...logical.values()], stored };
}

describe.each(FAMILY_FIXTURES)('the family fixture %s', (name) => {
  const fixture = familyFixture(name);
  const model = modelOf(name);

  it('has in its published files what the library writes', () => {
    expect(sorted(hfLayout(model))).toEqual(byName(fixture.published));
  });

  it('has in its fused files what the library holds in memory', () => {
    expect(sorted(hfLayout(model, { style: 'fused' }))).toEqual(
      byName(fixture.fused ?? fixture.published),
    );
  });

  it.each<HfStyle>(['published', 'fused'])('covers every element once when %s', (style) => {
    const { logical, stored } = coverage(model, hfLayout(model, { style }));
    const isOnce = (marks: Uint8Array) => marks.every((mark) => mark === 1);
    expect(logical.every(isOnce)).toBe(true);
    expect(stored.every(isOnce)).toBe(true);
  });

  it('has logical names that are unique', () => {
    expect(new Set(model.tensors.map(({ id }) => id)).size).toBe(model.tensors.length);
  });

  it('is told apart by its names alone', () => {
    const names = (list: FamilyList) => list.map(([tensor]) => tensor);
    expect(hfStyleOf(model, names(fixture.published))).toBe('published');
    const style = fixture.fused === undefined ? 'published' : 'fused';
    expect(hfStyleOf(model, names(fixture.fused ?? fixture.published))).toBe(style);
  });
});

describe('the catalogue', () => {
  it('has a fixture of every family', () => {
    const families = new Set(FAMILY_FIXTURES.map((name) => modelOf(name).family));
    expect([...families].sort()).toEqual(FAMILY_TABLES.map(({ name }) => name).sort());
  });

  it('gives no class name to two families', () => {
    const classes = FAMILY_TABLES.flatMap(({ architectures }) => architectures);
    const types = FAMILY_TABLES.flatMap(({ modelTypes }) => modelTypes);
    expect(new Set(classes).size).toBe(classes.length);
    expect(new Set(types).size).toBe(types.length);
  });

  it('finds a family by its model_type when there are no architectures', () => {
    expect(modelOf('qwen3-moe', { architectures: undefined }).family).toBe('qwen3-moe');
  });

  it.each(['llama', 'llama-bias', 'llama-tied', 'mistral', 'qwen2', 'qwen2-tied', 'qwen3'])(
    'agrees with the parameters that the trainer reads of %s',
    (name) => {
      const { config } = familyFixture(name);
      const trained = parameterTable(parseModelConfig(config, name));
      const logical = new Map(modelOf(name).tensors.map(({ id, shape }) => [id, shape]));
      expect(new Map(trained.map((parameter) => [parameter.name, parameter.shape]))).toEqual(
        logical,
      );
    },
  );

  it('refuses what is not in it and names what is', async () => {
    expect(
      await codeOf(async () => logicalModel({ architectures: ['GPT2LMHeadModel'] }, 'x.json')),
    ).toMatch(/^WEIGHTS_UNKNOWN_ARCHITECTURE x\.json: architecture GPT2LMHeadModel .*Qwen2Moe/);
    expect(await codeOf(async () => logicalModel([], 'x.json'))).toMatch(/^WEIGHTS_JSON_INVALID/);
  });
});

describe('a packed tensor', () => {
  it('holds the rows of InternLM2 group by group', () => {
    const wqkv = hfLayout(modelOf('internlm2')).find(({ name }) => name.endsWith('wqkv.weight'))!;
    // Two queries for each of eight keys, four rows a head.
    const order = wqkv.rectangles.map(
      ({ logical, logicalRow, rows }) => `${logical.at(-13)}${logicalRow}+${rows}`,
    );
    expect(order.slice(0, 6)).toEqual(['q0+8', 'k0+4', 'v0+4', 'q8+8', 'k4+4', 'v4+4']);
    expect(wqkv.rectangles.map(({ storedRow }) => storedRow).slice(0, 4)).toEqual([0, 8, 12, 16]);
  });

  it('holds queries, keys and values of ChatGLM one below the other', () => {
    const packed = hfLayout(modelOf('chatglm')).find(({ name }) => name.includes('query_key'))!;
    expect(packed.rectangles.map(({ rows, storedRow }) => [rows, storedRow])).toEqual([
      [96, 0],
      [48, 96],
      [48, 144],
    ]);
  });

  it('knows w2 of Qwen 1 as the gate', () => {
    const layout = hfLayout(modelOf('qwen'));
    const of = (name: string) =>
      layout.find((spec) => spec.name === `transformer.h.0.mlp.${name}.weight`)!.rectangles[0]!
        .logical;
    expect(of('w1')).toBe('model.layers.0.mlp.up_proj.weight');
    expect(of('w2')).toBe('model.layers.0.mlp.gate_proj.weight');
  });

  it('holds gate and up of an expert before those of the next when fused', () => {
    const fused = hfLayout(modelOf('mixtral'), { style: 'fused' });
    const spec = fused.find(({ name }) => name.endsWith('layers.1.mlp.experts.gate_up_proj'))!;
    expect(spec.shape).toEqual([8, 160, 64]);
    expect(spec.rectangles.slice(0, 3).map((r) => [r.logical, r.storedRow])).toEqual([
      ['model.layers.1.mlp.experts.0.gate_proj.weight', 0],
      ['model.layers.1.mlp.experts.0.up_proj.weight', 80],
      ['model.layers.1.mlp.experts.1.gate_proj.weight', 160],
    ]);
  });
});

describe('a configuration', () => {
  const refused = (name: string, changes: Record<string, unknown>): Promise<string> =>
    codeOf(async () => modelOf(name, changes));

  it.each([
    ['llama', { hidden_size: undefined }, 'hidden_size is missing'],
    ['llama', { num_attention_heads: 16, num_key_value_heads: 5 }, 'num_key_value_heads is 5'],
    ['llama', { head_dim: null, hidden_size: 66 }, 'hidden_size is 66'],
    ['llama', { vocab_size: 'many' }, 'vocab_size is "many"'],
    ['llama', { tie_word_embeddings: 1 }, 'tie_word_embeddings is 1'],
    ['qwen', { intermediate_size: 161 }, 'intermediate_size is 161; it must be a multiple of 2'],
    ['chatglm', { multi_query_group_num: 3 }, 'multi_query_group_num is 3'],
    ['chatglm', { padded_vocab_size: undefined }, 'padded_vocab_size is missing'],
    ['mixtral', { num_experts_per_tok: 9 }, 'num_experts_per_tok is 9'],
    ['qwen2-moe', { mlp_only_layers: [4] }, 'mlp_only_layers is [4]'],
    ['deepseek3', { first_k_dense_replace: 5 }, 'first_k_dense_replace is 5'],
    ['deepseek3', { kv_lora_rank: 0 }, 'kv_lora_rank is 0'],
    ['llama', { num_hidden_layers: 300_000 }, 'num_hidden_layers is 300000'],
    ['mixtral', { num_local_experts: 16_385 }, 'num_local_experts is 16385'],
  ])('of %s with %j is refused', async (name, changes, message) => {
    expect(await refused(name, changes)).toContain(`WEIGHTS_CONFIG_FIELD config.json: ${message}`);
  });

  it('that says the weights are quantized is refused', async () => {
    expect(await refused('deepseek3', { quantization_config: { quant_method: 'fp8' } })).toMatch(
      /^WEIGHTS_UNSUPPORTED_FEATURE .*stored quantized \(fp8\)/,
    );
  });

  it('of a ChatGLM with other norms is refused', async () => {
    expect(await refused('chatglm', { rmsnorm: false })).toMatch(
      /^WEIGHTS_UNSUPPORTED_FEATURE config\.json: rmsnorm is false/,
    );
  });

  it('with any value in any place gives a model or a named error', () => {
    const anywhere = fc
      .constantFrom(...FAMILY_FIXTURES)
      .chain((name) =>
        fc.tuple(
          fc.constant(name),
          fc.constantFrom(...Object.keys(familyFixture(name).config)),
          fc.oneof(fc.jsonValue({ maxDepth: 1 }), fc.integer({ min: -2, max: 300 })),
        ),
      );
    const outcome = ([name, key, value]: [string, string, unknown]) => {
      try {
        const model = modelOf(name, { [key]: value });
        return hfLayout(model, { style: 'fused' }).length > 0;
      } catch (error) {
        return error instanceof TuneyardError && error.message.includes('config.json');
      }
    };
    fc.assert(fc.property(anywhere, outcome), { seed: 1, numRuns: 300 });
  });

  it('at the limit of layers times experts is read', () => {
    const { tensors } = modelOf('mixtral', { num_local_experts: 2 ** 14 });
    expect(tensors.filter(({ role }) => role === 'expert_up')).toHaveLength(2 ** 16);
  });

  it('takes a stated null for one key head per query head', () => {
    expect(modelOf('mistral', { num_key_value_heads: null }).sizes.groups).toBe(16);
    expect(modelOf('mistral', { num_key_value_heads: undefined }).sizes.groups).toBe(8);
  });

  it('of Qwen 1 may have the spellings of its first release', () => {
    const { hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, ...rest } =
      familyFixture('qwen').config;
    const first = {
      ...rest,
      n_embd: hidden_size,
      n_layer: num_hidden_layers,
      n_head: num_attention_heads,
      ffn_hidden_size: intermediate_size,
    };
    expect(logicalModel(first, 'config.json')).toEqual(modelOf('qwen'));
  });

  it('without experts is dense', () => {
    const { sizes, tensors } = modelOf('qwen2-moe', { num_experts: 0 });
    expect(sizes.experts).toBe(0);
    expect(tensors.some(({ role }) => role === 'router')).toBe(false);
  });
});

describe('the numbers of a configuration', () => {
  const numbersOf = (name: string, changes: Record<string, unknown> = {}) =>
    modelNumbers({ ...familyFixture(name).config, ...changes }, 'config.json');

  it('are read from either spelling of transformers', () => {
    const { rope_parameters: _, ...older } = familyFixture('llama').config;
    const expected = {
      normEps: 1e-6,
      ropeTheta: 10_000,
      maxPositions: 256,
      rotaryShare: 1,
      expertsPerToken: null,
    };
    expect(numbersOf('llama')).toEqual(expected);
    expect(modelNumbers({ ...older, rope_theta: 5e5, rms_norm_eps: 1e-5 }, 'x')).toEqual({
      ...expected,
      ropeTheta: 5e5,
      normEps: 1e-5,
    });
  });

  it('count the factor that ChatGLM states apart', () => {
    expect(numbersOf('chatglm', { rope_ratio: 500 })).toMatchObject({
      ropeTheta: 5_000_000,
      rotaryShare: 0.5,
      normEps: 1e-5,
    });
  });

  it('are those of full attention in Gemma 3', () => {
    expect(numbersOf('gemma3').ropeTheta).toBe(1_000_000);
  });

  it('tell how many experts a token is sent to', () => {
    expect(numbersOf('mixtral').expertsPerToken).toBe(2);
    expect(numbersOf('mixtral', { num_experts_per_tok: undefined }).expertsPerToken).toBe(2);
  });

  it('are refused where they make no sense', async () => {
    expect(await codeOf(async () => numbersOf('llama', { rms_norm_eps: 0 }))).toMatch(
      /^WEIGHTS_CONFIG_FIELD config\.json: rms_norm_eps is 0/,
    );
    expect(await codeOf(async () => numbersOf('glm', { partial_rotary_factor: 2 }))).toMatch(
      /partial_rotary_factor is 2/,
    );
  });
});

describe('the trainer', () => {
  it.each(FAMILY_TABLES.map(({ architectures }) => architectures[0]!))(
    'reads or refuses %s in words',
    async (architecture) => {
      const said = await codeOf(async () =>
        parseModelConfig({ ...familyFixture('llama').config, architectures: [architecture] }, 'x'),
      );
      const isTrained = KNOWN_ARCHITECTURES.includes(architecture);
      expect(said).toMatch(isTrained ? /^nothing/ : /^WEIGHTS_UNKNOWN_.* converted .* not trained/);
    },
  );
});

describe('the tensors of files', () => {
  const layout = hfLayout(modelOf('llama-tied'));
  const tensors = (): Map<string, { shape: readonly number[] }> =>
    new Map(layout.map(({ name, shape }) => [name, { shape }]));

  it('pass when they are those of the layout', () => {
    expect(checkStoredTensors(layout, tensors())).toEqual({
      missing: [],
      unexpected: [],
      wrongShape: [],
      ignored: [],
    });
  });

  it('are listed where they differ', () => {
    const files = tensors();
    files.delete('model.norm.weight');
    files.set('model.layers.0.mlp.up_proj.weight', { shape: [64, 80] });
    files.set('model.layers.0.self_attn.rotary_emb.inv_freq', { shape: [2] });
    files.set('lm_head.weight', { shape: [103, 64] });
    files.set('value_head.weight', { shape: [1, 64] });
    const model = modelOf('llama-tied');
    expect(checkStoredTensors(layout, files, ignorableTensors(model))).toEqual({
      missing: ['model.norm.weight'],
      unexpected: ['value_head.weight'],
      wrongShape: [
        { name: 'model.layers.0.mlp.up_proj.weight', found: [64, 80], expected: [80, 64] },
      ],
      ignored: ['model.layers.0.self_attn.rotary_emb.inv_freq', 'lm_head.weight'],
    });
  });

  it('leave out the layers that predict further tokens, but no others', () => {
    const isIgnorable = ignorableTensors(modelOf('deepseek3', { num_nextn_predict_layers: 1 }));
    expect(isIgnorable('model.layers.4.eh_proj.weight')).toBe(true);
    expect(isIgnorable('model.layers.5.eh_proj.weight')).toBe(false);
    expect(ignorableTensors(modelOf('deepseek3'))('model.layers.4.eh_proj.weight')).toBe(false);
  });

  it.each([
    ['WEIGHTS_MISSING_TENSOR', (files: Map<string, unknown>) => files.delete('model.norm.weight')],
    ['WEIGHTS_UNEXPECTED_TENSOR', (files: Map<string, unknown>) => files.set('x', { shape: [1] })],
    [
      'WEIGHTS_TENSOR_SHAPE',
      (files: Map<string, unknown>) => files.set('model.norm.weight', { shape: [65] }),
    ],
  ])('that differ are refused with %s', async (code, edit) => {
    const files = tensors();
    edit(files);
    const model = modelOf('llama-tied');
    expect(
      await codeOf(async () => requireStoredTensors('m', model, { layout, tensors: files })),
    ).toMatch(new RegExp(`^${code} m: `));
  });
});

describe('a tiny checkpoint', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tiny-checkpoint-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it.each(FAMILY_FIXTURES)('of %s has the tensors of its configuration', async (name) => {
    const path = join(directory, name);
    const { layout, model } = await makeTinyCheckpoint(name, path, { seed: 7 });
    await using reader = await SafetensorsReader.open(join(path, 'model.safetensors'));
    expect(requireStoredTensors(path, model, { layout, tensors: reader.tensors })).toEqual([]);
    const again = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8')) as unknown;
    expect(logicalModel(again, path)).toEqual(model);
  });

  it('depends on its seed alone', async () => {
    const [a, b, c] = ['a', 'b', 'c'].map((name) => join(directory, name));
    await makeTinyCheckpoint('qwen2', a!, { seed: 3 });
    await makeTinyCheckpoint('qwen2', b!, { seed: 3 });
    await makeTinyCheckpoint('qwen2', c!, { seed: 4 });
    const bytes = (path: string) =>
      readFileSync(join(path, 'model.safetensors')).toString('base64');
    expect(bytes(a!)).toBe(bytes(b!));
    expect(bytes(a!)).not.toBe(bytes(c!));
  });
});
