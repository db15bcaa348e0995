import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  type DistributedCheckpoint,
  locateTensors,
  openDistributedCheckpoint,
  readDistributedObject,
  readDistributedTensor,
  TORCH_DTYPES,
  TorchArchiveReader,
  type TorchDict,
} from '../src/index.js';

const FIXTURES = fileURLToPath(new URL('./fixtures/torch-dcp/', import.meta.url));

interface Expected {
  readonly tensors: Record<string, { dtype: string; shape: number[]; sha256: string }>;
  readonly objects: string[];
}

const directory = (name: string): string => `${FIXTURES}${name}`;

async function expectedOf(name: string): Promise<Expected> {
  return JSON.parse(await readFile(`${directory(name)}/expected.json`, 'utf8'));
}

async function factsOf(
  checkpoint: DistributedCheckpoint,
  name: string,
): Promise<{ dtype: string; shape: readonly number[]; sha256: string }> {
  const tensor = checkpoint.tensors.get(name)!;
  const bytes = await readDistributedTensor(checkpoint, name);
  return {
    dtype: TORCH_DTYPES.get(tensor.dtype)!.safetensors!,
    shape: tensor.shape,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  };
}

describe('checkpoints that torch.distributed.checkpoint wrote', () => {
  it.each([
    'plain',
    'file-per-item',
    'safetensors-distcp',
    'dtensor',
    'per-rank-metadata',
    'huggingface-shards',
  ])('give every tensor that was saved: %s', async (name) => {
    const checkpoint = await openDistributedCheckpoint(directory(name));
    const expected = await expectedOf(name);
    expect([...checkpoint.tensors.keys()].sort()).toEqual(Object.keys(expected.tensors).sort());
    for (const [tensor, facts] of Object.entries(expected.tensors)) {
      expect(await factsOf(checkpoint, tensor), tensor).toEqual(facts);
    }
    expect([...checkpoint.objects.keys()].sort()).toEqual(expected.objects);
    expect(checkpoint.backend).toBeNull();
  });

  it('give the model of FSDP2 next to its optimizer', async () => {
    const checkpoint = await openDistributedCheckpoint(directory('fsdp2'));
    const expected = await expectedOf('fsdp2');
    for (const [tensor, facts] of Object.entries(expected.tensors)) {
      expect(await factsOf(checkpoint, tensor), tensor).toEqual(facts);
    }
    const others = [...checkpoint.tensors.keys()].filter((key) => !(key in expected.tensors));
    expect(others.length).toBeGreaterThan(0);
    expect(others.every((key) => key.startsWith('optimizer.'))).toBe(true);
    // 33 rows on two ranks: 17 and 16.
    const embedding = checkpoint.tensors.get('model.model.embed_tokens.weight')!;
    expect(embedding.chunks.map(({ offsets, sizes }) => [offsets, sizes])).toEqual([
      [
        [0, 0],
        [17, 16],
      ],
      [
        [17, 0],
        [16, 16],
      ],
    ]);
  });

  it('give objects as plain data', async () => {
    const checkpoint = await openDistributedCheckpoint(directory('plain'));
    expect(await readDistributedObject(checkpoint, 'step')).toBe(7);
    expect(await readDistributedObject(checkpoint, 'note')).toBe('written by PyTorch');
    expect(await readDistributedObject(checkpoint, 'list.1.deep')).toBe(true);
    await expect(readDistributedObject(checkpoint, 'model.scalar')).rejects.toMatchObject({
      code: 'DCP_ENTRY_NOT_FOUND',
    });
    await expect(readDistributedTensor(checkpoint, 'step')).rejects.toMatchObject({
      code: 'DCP_ENTRY_NOT_FOUND',
    });
  });

  it('say where the numbers of each chunk lie in which file', async () => {
    const checkpoint = await openDistributedCheckpoint(directory('plain'));
    const located = await locateTensors(checkpoint, ['model.turned', 'model.part']);
    const [turned] = located.get('model.turned')!.chunks;
    expect(turned).toMatchObject({ strides: [1, 6], isContiguous: false, offsets: [0, 0] });
    const [part] = located.get('model.part')!.chunks;
    expect(part).toMatchObject({ strides: [4, 1], isContiguous: true, sizes: [3, 4] });
    const bytes = (await readFile(part!.file)).subarray(part!.begin, part!.begin + 48);
    const floats = Array.from({ length: 12 }, (_, i) => bytes.readFloatLE(4 * i));
    expect(floats).toEqual(Array.from({ length: 12 }, (_, i) => 10 + i));
  });

  it('are cancelled before a file is read', async () => {
    const options = { signal: AbortSignal.abort() };
    const checkpoint = await openDistributedCheckpoint(directory('dtensor'));
    await expect(openDistributedCheckpoint(directory('dtensor'), options)).rejects.toMatchObject({
      code: 'CANCELLED',
    });
    await expect(locateTensors(checkpoint, ['state.rows'], options)).rejects.toMatchObject({
      code: 'CANCELLED',
    });
  });
});

describe('checkpoints that megatron-core wrote', () => {
  it('say their backend and carry their arguments', async () => {
    const checkpoint = await openDistributedCheckpoint(directory('megatron-stacked-tp2'));
    expect(checkpoint.backend).toEqual({ shardedBackend: 'torch_dist', shardedBackendVersion: 1 });
    await using common = await TorchArchiveReader.open(checkpoint.commonFile!);
    const { root } = common;
    expect(root).toMatchObject({ kind: 'dict' });
    const keys = (root as TorchDict).entries.map(([key]) => key);
    expect(keys).toEqual(expect.arrayContaining(['args', 'checkpoint_version', 'iteration']));
  });

  it('stack their layers along a first axis, or do not', async () => {
    const stacked = await openDistributedCheckpoint(directory('megatron-stacked-tp2'));
    expect(stacked.tensors.get('decoder.layers.mlp.linear_fc1.weight')?.shape).toEqual([2, 40, 16]);
    const single = await openDistributedCheckpoint(directory('megatron-layers-pp2'));
    expect(single.tensors.get('decoder.layers.1.mlp.linear_fc1.weight_v')?.shape).toEqual([20, 16]);
  });

  it('keep objects that each rank wrote', async () => {
    const checkpoint = await openDistributedCheckpoint(directory('megatron-stacked-pp2'));
    const name = [...checkpoint.objects.keys()].find((key) => key.includes('_extra_state'))!;
    expect(await readDistributedObject(checkpoint, name)).toEqual({ kind: 'list', items: [null] });
  });
});
