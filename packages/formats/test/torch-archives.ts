/**
 * Torch archives as this package writes them, for torch to read: fixtures read and written again, and archives made from
 * nothing. `test/oracles/write-torch-archives.mjs` writes them for the oracle.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  TorchArchiveReader,
  type TorchValue,
  torchDict,
  torchDtype,
  torchFloat,
  torchList,
  torchNamespace,
  torchTensor,
  torchTuple,
  writeTorchArchive,
} from '../src/index.js';

const fixtures = fileURLToPath(new URL('./fixtures/torch/', import.meta.url));

/** Fixtures that are written again, each with protocol 2 and 4. */
export const fixtureNames = [
  'dtypes',
  'strides',
  'module',
  'megatron',
  'shared',
  'plain',
  'legacy',
  'deflated',
  'megatron-protocol-4',
  'torch-1.13.1-dtypes',
  'torch-1.13.1-strides',
  'torch-1.13.1-module',
  'torch-1.13.1-megatron',
] as const;

/** A checkpoint as a converter makes it: arguments and weights, no file to start from. */
function fromNothing(): TorchValue {
  return torchDict([
    [
      'args',
      torchNamespace([
        ['num_layers', 2],
        ['rope_theta', 1e6],
        ['norm_epsilon', 1e-5],
        ['lr', torchFloat(1)],
        ['params_dtype', torchDtype('bfloat16')],
        ['num_layer_list', null],
        ['swiglu', true],
        ['shapes', torchList([torchTuple([1, 2]), torchTuple([])])],
        ['big', 2n ** 80n],
        ['negative', -(2n ** 40n)],
      ]),
    ],
    ['checkpoint_version', torchFloat(3)],
    ['iteration', 1],
    [
      'model',
      torchDict(
        [
          ['embedding.word_embeddings.weight', torchTensor({ dtype: 'bfloat16', shape: [8, 4] })],
          ['decoder.final_layernorm.weight', torchTensor({ dtype: 'float16', shape: [4] })],
          ['scale', torchTensor({ dtype: 'float8_e4m3fn', shape: [3, 0] })],
          ['quantized', torchTensor({ dtype: 'float8_e4m3fn', shape: [2, 3] })],
          ['steps', torchTensor({ dtype: 'int64', shape: [] })],
        ],
        'OrderedDict',
      ),
    ],
  ]);
}

/** So many entries that the memo of the pickle and the batches of the dictionary overflow their short forms. */
function manyTensors(): TorchValue {
  return torchDict(
    Array.from({ length: 1200 }, (_, i) => [
      `layers.${i}.weight`,
      torchTensor({ dtype: 'float32', shape: [1, 2] }),
    ]),
  );
}

/** Writes all of them; gives their paths in order. */
export async function writeArchives(directory: string): Promise<string[]> {
  await mkdir(directory, { recursive: true });
  const paths: string[] = [];
  for (const name of fixtureNames) {
    await using reader = await TorchArchiveReader.open(`${fixtures}${name}.pt`);
    for (const protocol of [2, 4] as const) {
      const path = join(directory, `${name}.p${protocol}.pt`);
      await writeTorchArchive(path, reader.root, (s) => () => reader.readStorage(s), { protocol });
      paths.push(path);
    }
  }
  for (const [name, root] of [
    ['from-nothing', fromNothing()],
    ['many', manyTensors()],
  ] as const) {
    for (const protocol of [2, 4] as const) {
      const path = join(directory, `${name}.p${protocol}.pt`);
      await writeTorchArchive(path, root, counted, { protocol });
      paths.push(path);
    }
  }
  return paths;
}

/** Bytes 1, 2, 3, … of small finite numbers. */
function counted({ byteLength }: { byteLength: number }): Uint8Array {
  return Uint8Array.from({ length: byteLength }, (_, i) => 1 + (i % 63));
}
