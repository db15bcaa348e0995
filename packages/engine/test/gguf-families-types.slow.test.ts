/** Every element type of a GGUF file: llama.cpp runs it, and it comes back dequantized. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ggufTokenizerFields } from '@tuneyard/data';
import { GgufReader, SafetensorsReader } from '@tuneyard/formats';
import { ggmlCodec, LlamaModel } from '@tuneyard/ggml';
import {
  convertGgufToHf,
  convertHfToGguf,
  GGUF_EXPORT_TYPES,
  type GgufExportType,
  openModel,
} from '@tuneyard/weights';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Golden, STORIES, writeCheckpoint, writeFamily } from './gguf-families-fixtures.js';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'gguf-types-'));
});
afterAll(() => rm(root, { recursive: true }));

const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 256,
  intermediate_size: 256,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 512,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-5,
  bos_token_id: 1,
  eos_token_id: 2,
};
const LAYER = 'model.layers.0.';
const TENSORS: Golden['tensors'] = [
  ['model.embed_tokens.weight', [512, 256]],
  [`${LAYER}self_attn.q_proj.weight`, [256, 256]],
  [`${LAYER}self_attn.k_proj.weight`, [128, 256]],
  [`${LAYER}self_attn.v_proj.weight`, [128, 256]],
  [`${LAYER}self_attn.o_proj.weight`, [256, 256]],
  [`${LAYER}mlp.gate_proj.weight`, [256, 256]],
  [`${LAYER}mlp.up_proj.weight`, [256, 256]],
  [`${LAYER}mlp.down_proj.weight`, [256, 256]],
  [`${LAYER}input_layernorm.weight`, [256]],
  [`${LAYER}post_attention_layernorm.weight`, [256]],
  ['model.norm.weight', [256]],
  ['lm_head.weight', [512, 256]],
];

const WIDE = { config: CONFIG, tensors: TENSORS };

describe('every type that ggml quantizes to', () => {
  it.each(Object.keys(GGUF_EXPORT_TYPES) as GgufExportType[])(
    '%s: llama.cpp runs the file, and it comes back dequantized',
    async (type) => {
      const directory = await writeCheckpoint(join(root, 'wide'), WIDE, 'f32');
      const path = join(root, `wide-${type}.gguf`);
      const tokenizer = await ggufTokenizerFields(STORIES, { vocabSize: 512 });
      const report = await convertHfToGguf(directory, path, { type, codec: ggmlCodec, tokenizer });
      expect(report.fallbacks).toEqual([]);
      using model = new LlamaModel(path, { threads: 1 });
      const { ids, margins } = await model.greedy([1, 17, 200], {
        maxNewTokens: 4,
        stopTokenIds: [],
      });
      expect(ids).toHaveLength(4);
      expect(margins.every(Number.isFinite)).toBe(true);
      const back = join(root, `wide-${type}-back`);
      await convertGgufToHf(path, back, { dtype: 'f32', codec: ggmlCodec });
      await using gguf = await GgufReader.open(path);
      await using hf = await SafetensorsReader.open(back);
      // A matrix without reordered rows: the library's own dequantizer is the second opinion.
      const { type: stored } = gguf.tensors.get('blk.0.ffn_up.weight')!;
      expect(stored).toBe(type);
      const expected = ggmlCodec.toF32(stored, await gguf.read('blk.0.ffn_up.weight'), 65_536);
      const found = await hf.read(`${LAYER}mlp.up_proj.weight`);
      expect(Buffer.compare(found, new Uint8Array(expected.buffer))).toBe(0);
      // One with: the loader of the trainers is.
      const source = await openModel(path);
      const name = `${LAYER}self_attn.q_proj.weight`;
      const rows = ggmlCodec.toF32(stored, await source.read(name), 65_536);
      await source.close();
      expect(Buffer.compare(await hf.read(name), new Uint8Array(rows.buffer))).toBe(0);
    },
  );

  it('says in which type rows went that do not divide', async () => {
    const directory = await writeFamily(root, 'llama', 'f32');
    const tokenizer = await ggufTokenizerFields(STORIES, { vocabSize: 512 });
    const path = join(root, 'fallback.gguf');
    const { fallbacks } = await convertHfToGguf(directory, path, {
      type: 'q4_K',
      codec: ggmlCodec,
      tokenizer,
    });
    expect(fallbacks).toContainEqual({
      tensor: 'blk.0.attn_q.weight',
      rowElements: 32,
      asked: 'q4_K',
      used: 'q5_0',
    });
    using model = new LlamaModel(path, { threads: 1 });
    expect(model.vocabSize).toBe(512);
  });
});
