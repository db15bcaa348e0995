import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GgufReader, type GgufValue, writeGguf } from '@tuneyard/formats';
import { describe, expect, it } from 'vitest';
import { openModel } from '../src/index.js';
import {
  codeOf,
  STORIES_GGUF,
  STORIES_HF,
  TINY_CONFIG,
  TINY_FAMILIES,
  temporaryDirectory,
  tinyModel,
  WIDE_Q4_K,
  writeTinyHf,
} from './fixture-models.js';

describe('openModel', () => {
  it('reads the same configuration and tensors from a model directory and from GGUF', async () => {
    const hf = await openModel(STORIES_HF);
    const gguf = await openModel(STORIES_GGUF);
    const { raw: _hf, ...hfConfig } = hf.config;
    const { raw: _gguf, ...ggufConfig } = gguf.config;
    expect(ggufConfig).toEqual(hfConfig);
    expect(gguf.parameters).toEqual(hf.parameters);
    for (const { name } of hf.parameters) {
      expect(Buffer.compare(await gguf.read(name), await hf.read(name)), name).toBe(0);
    }
    expect(hf.files).toContain('tokenizer.json');
    expect(hf.files).not.toContain('config.json');
    expect(hf.generationConfig).not.toBeNull();
    expect(gguf.files).toEqual([]);
    await hf.close();
    await gguf.close();
  });

  it.each(TINY_FAMILIES)('opens what transformers saves: %s', async (family) => {
    const source = await openModel(tinyModel(family));
    expect(source.ignoredTensors).toEqual([]);
    for (const { name, byteLength, shape } of source.parameters) {
      expect(byteLength).toBe(4 * shape.reduce((n, d) => n * d, 1));
      expect((await source.read(name)).byteLength).toBe(byteLength);
    }
    expect(await codeOf(() => source.read('model.layers.9.nothing'))).toContain(
      'WEIGHTS_UNKNOWN_PARAMETER',
    );
    await source.close();
  });

  it('moves whole quantized rows when it undoes the rotary order', async () => {
    const source = await openModel(WIDE_Q4_K);
    const reader = await GgufReader.open(WIDE_Q4_K);
    const name = 'model.layers.0.self_attn.k_proj.weight';
    const [rows = 0, columns = 0] = source.parameters.find((p) => p.name === name)?.shape ?? [];
    const rowBytes = (columns / 256) * 144;
    const hf = await source.read(name);
    const stored = await reader.read('blk.0.attn_k.weight');
    const { headDim } = source.config;
    for (let row = 0; row < rows; row++) {
      const inHead = row % headDim;
      const half = headDim / 2;
      // Element i of the first half sits at 2i, of the second half at 2i + 1.
      const from = row - inHead + (inHead < half ? 2 * inHead : 2 * (inHead - half) + 1);
      const a = hf.subarray(row * rowBytes, (row + 1) * rowBytes);
      const b = stored.subarray(from * rowBytes, (from + 1) * rowBytes);
      expect(Buffer.compare(a, b), `row ${row}`).toBe(0);
    }
    await reader.close();
    await source.close();
  });

  it('says what is wrong with a path that holds no model', async () => {
    const empty = temporaryDirectory();
    expect(await codeOf(() => openModel(join(empty, 'none')))).toContain('does not exist');
    expect(await codeOf(() => openModel(empty))).toContain('config.json');
    writeFileSync(join(empty, 'config.json'), JSON.stringify(TINY_CONFIG));
    expect(await codeOf(() => openModel(empty))).toContain('WEIGHTS_MODEL_NOT_FOUND');
    writeFileSync(join(empty, 'pytorch_model-00001-of-00002.bin'), '');
    expect(await codeOf(() => openModel(empty))).toContain('pytorch_model.bin.index.json');
    writeFileSync(join(empty, 'notes.txt'), '');
    expect(await codeOf(() => openModel(join(empty, 'notes.txt')))).toContain('neither');
    writeFileSync(join(empty, 'config.json'), '{"a": ');
    expect(await codeOf(() => openModel(empty))).toContain('WEIGHTS_JSON_INVALID');
  });
});

describe('tensors of a model directory', () => {
  it('must all be there', async () => {
    const path = await writeTinyHf({}, (t) => t.delete('model.layers.0.mlp.up_proj.weight'));
    const thrown = await codeOf(() => openModel(path));
    expect(thrown).toContain('WEIGHTS_MISSING_TENSOR');
    expect(thrown).toContain('model.layers.0.mlp.up_proj.weight');
  });

  it('explain a missing head', async () => {
    const path = await writeTinyHf({}, (t) => t.delete('lm_head.weight'));
    expect(await codeOf(() => openModel(path))).toContain('tie_word_embeddings');
  });

  it('must be explained by the architecture, but for stored frequencies and a tied head', async () => {
    const data = new Uint8Array(16);
    const known = await writeTinyHf({ tie_word_embeddings: true }, (t) => {
      const name = 'model.layers.0.self_attn.rotary_emb.inv_freq';
      t.set(name, { name, dtype: 'F32', shape: [4], data });
      const embedding = t.get('model.embed_tokens.weight')!;
      t.set('lm_head.weight', { ...embedding, name: 'lm_head.weight' });
    });
    const source = await openModel(known);
    expect(source.ignoredTensors.toSorted()).toEqual([
      'lm_head.weight',
      'model.layers.0.self_attn.rotary_emb.inv_freq',
    ]);
    await source.close();
    const name = 'model.layers.1.input_layernorm.weight';
    const foreign = await writeTinyHf({}, (t) =>
      t.set(name, { name, dtype: 'F32', shape: [4], data }),
    );
    const thrown = await codeOf(() => openModel(foreign));
    expect(thrown).toContain('WEIGHTS_UNEXPECTED_TENSOR');
    expect(thrown).toContain(name);
  });

  it('must have the shape and an element type that the configuration implies', async () => {
    const name = 'model.layers.0.self_attn.q_proj.weight';
    const data = new Uint8Array(4 * 64);
    const turned = await writeTinyHf({}, (t) =>
      t.set(name, { name, dtype: 'F32', shape: [16, 4], data }),
    );
    expect(await codeOf(() => openModel(turned))).toContain(
      '[16, 4]; the configuration implies [8, 8]',
    );
    const integer = await writeTinyHf({}, (t) =>
      t.set(name, { name, dtype: 'I32', shape: [8, 8], data }),
    );
    expect(await codeOf(() => openModel(integer))).toContain('WEIGHTS_TENSOR_DTYPE');
  });

  it('decide the element type when the configuration does not state it', async () => {
    const path = await writeTinyHf({}, (t) => {
      for (const [name, entry] of t) {
        const length = entry.shape.reduce((n, d) => n * d, 1);
        t.set(name, { ...entry, dtype: 'BF16', data: new Uint8Array(2 * length) });
      }
    });
    const source = await openModel(path);
    expect(source.config.torchDtype).toBe('bf16');
    await source.close();
  });
});

describe('GGUF metadata and tensors', () => {
  /** Copies the stories model with other metadata; null removes a key. */
  async function edited(
    changes: Record<string, GgufValue | null>,
    tensors: (name: string) => string | null = (name) => name,
  ): Promise<string> {
    const reader = await GgufReader.open(STORIES_GGUF);
    const metadata = new Map(reader.metadata);
    for (const [key, value] of Object.entries(changes)) {
      if (value === null) metadata.delete(key);
      else metadata.set(key, value);
    }
    const path = join(temporaryDirectory(), 'edited.gguf');
    const entries = [...reader.tensors.values()].flatMap((t) => {
      const name = tensors(t.name);
      return name === null
        ? []
        : [{ name, type: t.type, shape: t.shape, data: () => reader.read(t.name) }];
    });
    await writeGguf(path, { metadata, tensors: entries });
    await reader.close();
    return path;
  }
  const u32 = (value: number): GgufValue => ({ type: 'u32', value });
  const text = (value: string): GgufValue => ({ type: 'string', value });

  it.each([
    [
      'WEIGHTS_UNKNOWN_ARCHITECTURE',
      'known: llama, qwen2, qwen3',
      { 'general.architecture': text('falcon') },
    ],
    ['WEIGHTS_CONFIG_FIELD', 'llama.block_count is missing', { 'llama.block_count': null }],
    [
      'WEIGHTS_CONFIG_FIELD',
      'llama.embedding_length is "64"',
      { 'llama.embedding_length': text('64') },
    ],
    [
      'WEIGHTS_CONFIG_FIELD',
      'llama.attention.head_count_kv is 3',
      { 'llama.attention.head_count_kv': u32(3) },
    ],
    ['WEIGHTS_CONFIG_FIELD', 'below the embedding', { 'tokenizer.ggml.bos_token_id': u32(512) }],
    [
      'WEIGHTS_UNSUPPORTED_FEATURE',
      'llama.rope.dimension_count',
      { 'llama.rope.dimension_count': u32(4) },
    ],
    ['WEIGHTS_UNSUPPORTED_FEATURE', 'llama.expert_count', { 'llama.expert_count': u32(8) }],
    [
      'WEIGHTS_UNSUPPORTED_FEATURE',
      "is 'longrope'",
      { 'llama.rope.scaling.type': text('longrope') },
    ],
    [
      'WEIGHTS_UNSUPPORTED_FEATURE',
      'llama.feed_forward_length differs by layer',
      {
        'llama.feed_forward_length': {
          type: 'array',
          itemType: 'i32',
          value: Int32Array.of(172, 172, 172, 172, 172),
        },
      },
    ],
    ['WEIGHTS_MISSING_TENSOR', 'blk.5.attn_q.weight', { 'llama.block_count': u32(6) }],
    ['WEIGHTS_UNEXPECTED_TENSOR', 'blk.4.', { 'llama.block_count': u32(4) }],
    ['WEIGHTS_TENSOR_SHAPE', 'blk.0.ffn_gate.weight', { 'llama.feed_forward_length': u32(170) }],
  ] as [string, string, Record<string, GgufValue | null>][])(
    'are refused by name: %s, %s',
    async (code, words, changes) => {
      const path = await edited(changes);
      const thrown = await codeOf(() => openModel(path));
      expect(thrown).toContain(code);
      expect(thrown).toContain(words);
    },
  );

  it('need an embedding', async () => {
    const path = await edited({}, (name) => (name === 'token_embd.weight' ? null : name));
    expect(await codeOf(() => openModel(path))).toContain('token_embd.weight');
  });

  it('state linear and YaRN scaling, and end tokens of both kinds', async () => {
    const linear = await openModel(
      await edited({
        'llama.rope.scaling.type': text('linear'),
        'llama.rope.scaling.factor': { type: 'f32', value: 2.5 },
        'tokenizer.ggml.eot_token_id': u32(7),
      }),
    );
    expect(linear.config.ropeScaling).toEqual({ type: 'linear', factor: 2.5 });
    expect(linear.config.eosTokenIds).toEqual([2, 7]);
    await linear.close();
    const yarn = await openModel(
      await edited({
        'llama.rope.scaling.type': text('yarn'),
        'llama.rope.scaling.factor': { type: 'f32', value: 4 },
        'llama.rope.scaling.original_context_length': u32(128),
        'llama.rope.scaling.yarn_attn_factor': { type: 'f32', value: 1.1 },
      }),
    );
    expect(yarn.config.ropeScaling).toMatchObject({
      type: 'yarn',
      factor: 4,
      originalMaxPositionEmbeddings: 128,
      attentionFactor: 1.1,
    });
    await yarn.close();
  });
});
