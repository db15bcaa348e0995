/** A synthetic Llama checkpoint of a wanted size: configuration and safetensors shards of plausible numbers. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRng } from '@tuneyard/core';
import { writeShardedSafetensors } from '@tuneyard/formats';

/** What is made. */
export interface SyntheticModel {
  readonly directory: string;
  readonly dtype: 'BF16' | 'F32';
  /** Bytes of weights; what is made has at least this, in an even number of layers. */
  readonly bytes: number;
}

/** Llama 3 8B with a vocabulary of Llama 2; below 1.5 GB, a quarter of its width. */
const WIDE = { hidden: 4096, ffn: 14_336, heads: 32, groups: 8, vocab: 32_000 } as const;
const NARROW = { hidden: 1024, ffn: 3584, heads: 8, groups: 4, vocab: 8000 } as const;
const NARROW_BELOW = 1.5e9;
const SHARD_BYTES = 2e9;
const PIECE_BYTES = 4 * 1024 * 1024;

/** Writes the checkpoint; returns the bytes of its weights. */
export async function writeSyntheticModel(model: SyntheticModel): Promise<number> {
  const { directory, dtype, bytes } = model;
  const shape = bytes < NARROW_BELOW ? NARROW : WIDE;
  const size = dtype === 'F32' ? 4 : 2;
  const around = tensorsAround(shape).reduce((sum, [, dims]) => sum + product(dims) * size, 0);
  const layer = tensorsOfLayer(shape, 0).reduce((sum, [, dims]) => sum + product(dims) * size, 0);
  // Even, for two pipeline stages.
  const layers = 2 * Math.max(1, Math.ceil((bytes - around) / layer / 2));
  const tensors = [
    ...tensorsAround(shape),
    ...Array.from({ length: layers }, (_, i) => tensorsOfLayer(shape, i)).flat(),
  ];
  mkdirSync(directory, { recursive: true });
  writeFileSync(
    join(directory, 'config.json'),
    JSON.stringify({
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      hidden_size: shape.hidden,
      intermediate_size: shape.ffn,
      num_hidden_layers: layers,
      num_attention_heads: shape.heads,
      num_key_value_heads: shape.groups,
      vocab_size: shape.vocab,
      max_position_embeddings: 4096,
      rms_norm_eps: 1e-5,
      rope_theta: 10_000,
      hidden_act: 'silu',
      tie_word_embeddings: false,
      torch_dtype: dtype === 'F32' ? 'float32' : 'bfloat16',
    }),
  );
  const numbers = randomNumbers(dtype);
  const entries = tensors.map(([name, dims], index) => ({
    name,
    dtype,
    shape: dims,
    data: () => piecesOf(numbers, product(dims) * size, index),
  }));
  await writeShardedSafetensors(directory, entries, {
    maxShardBytes: SHARD_BYTES,
    metadata: { format: 'pt' },
  });
  return entries.reduce((sum, { shape: dims }) => sum + product(dims) * size, 0);
}

type NamedShape = readonly [name: string, shape: readonly number[]];

function tensorsAround({ hidden, vocab }: typeof WIDE | typeof NARROW): NamedShape[] {
  return [
    ['model.embed_tokens.weight', [vocab, hidden]],
    ['model.norm.weight', [hidden]],
    ['lm_head.weight', [vocab, hidden]],
  ];
}

function tensorsOfLayer(shape: typeof WIDE | typeof NARROW, layer: number): NamedShape[] {
  const { hidden, ffn, heads, groups } = shape;
  const keys = (hidden / heads) * groups;
  const tensors: NamedShape[] = [
    ['input_layernorm', [hidden]],
    ['self_attn.q_proj', [hidden, hidden]],
    ['self_attn.k_proj', [keys, hidden]],
    ['self_attn.v_proj', [keys, hidden]],
    ['self_attn.o_proj', [hidden, hidden]],
    ['post_attention_layernorm', [hidden]],
    ['mlp.gate_proj', [ffn, hidden]],
    ['mlp.up_proj', [ffn, hidden]],
    ['mlp.down_proj', [hidden, ffn]],
  ];
  return tensors.map(([name, dims]) => [`model.layers.${layer}.${name}.weight`, dims]);
}

/** Magnitudes between 2^-8 and 1, every mantissa: two pieces' worth, so that tensors can begin anywhere. */
function randomNumbers(dtype: SyntheticModel['dtype']): Uint8Array {
  const rng = createRng(3);
  const words = new Uint32Array((2 * PIECE_BYTES) / 4);
  for (let i = 0; i < words.length; i++) {
    const bits = Math.floor(rng.next() * 2 ** 32);
    const exponents = dtype === 'F32' ? 0x3b800000 : 0x3b803b80;
    const mantissas = dtype === 'F32' ? 0x83ffffff : 0x83ff83ff;
    words[i] = (bits & mantissas) | exponents;
  }
  return new Uint8Array(words.buffer);
}

async function* piecesOf(
  numbers: Uint8Array,
  byteLength: number,
  index: number,
): AsyncGenerator<Uint8Array> {
  for (let done = 0, piece = 0; done < byteLength; piece++) {
    const begin = ((index * 4099 + piece * 7919) % (PIECE_BYTES / 4)) * 4;
    const bytes = Math.min(PIECE_BYTES, byteLength - done);
    yield numbers.subarray(begin, begin + bytes);
    done += bytes;
  }
}

function product(dims: readonly number[]): number {
  return dims.reduce((all, dim) => all * dim, 1);
}
