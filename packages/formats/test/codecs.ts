/** Every codec of the package, behind the few operations that the conformance suite needs. */
import { readFileSync } from 'node:fs';
import { copyFile, mkdir, rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import {
  GgufReader,
  type GgufTensor,
  type GgufValue,
  IndexedDatasetReader,
  IndexedDatasetWriter,
  openDistributedCheckpoint,
  SafetensorsReader,
  type SafetensorsTensor,
  TorchArchiveReader,
  type TorchTensor,
  torchDict,
  torchTensor,
  writeGguf,
  writeSafetensors,
  writeTorchArchive,
} from '../src/index.js';
import { metadataBytes, type PlainChunk } from './dcp-metadata.js';
import { smallGguf } from './gguf-bytes.js';

/** A tensor of f32 values, which both tensor formats know. */
export interface F32Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** What a codec of tensors read from a file. */
interface Contents {
  readonly tensors: readonly F32Tensor[];
  /** Writes everything that was read to another file. */
  rewrite(path: string): Promise<void>;
}

/** One codec under test: what a hostile or foreign file needs. */
export interface Codec {
  readonly folder: string;
  /** Reads everything in a file and gives a way to write it again. */
  read(path: string): Promise<Pick<Contents, 'rewrite'>>;
  /** A small valid file, and for each field that counts something the file with that field at its maximum. */
  small(): Uint8Array;
  maximised(): { label: string; bytes: Uint8Array }[];
  /** The small file with its second tensor moved onto the first. */
  overlapping(): Uint8Array;
}

/** A codec of named tensors. */
export interface TensorCodec extends Codec {
  write(path: string, tensors: readonly F32Tensor[]): Promise<void>;
  read(path: string): Promise<Contents>;
  /** Names that the format cannot hold. */
  readonly refusedNames: readonly string[];
}

const safetensors: TensorCodec = {
  folder: 'safetensors',
  refusedNames: ['__metadata__', '\ud800'],
  write: async (path, tensors) => {
    const entries = tensors.map((tensor) => ({ ...tensor, dtype: 'F32' as const }));
    await writeSafetensors(path, entries, { metadata: { format: 'pt' } });
  },
  read: async (path) => {
    await using reader = await SafetensorsReader.open(path);
    const entries: (SafetensorsTensor & { data: Uint8Array })[] = [];
    for (const found of reader.tensors.values()) {
      entries.push({ ...found, data: await reader.read(found.name) });
    }
    const { metadata } = reader;
    return {
      tensors: entries,
      rewrite: async (to) => {
        await writeSafetensors(to, entries, { metadata });
      },
    };
  },
  small: () => safetensorsFile(SMALL_HEADER),
  maximised: () => {
    const lengths = ['ffffffffffffffff', 'ffffffffffffff7f', '00e1f50500000000'].map((hex) => {
      const bytes = safetensorsFile(SMALL_HEADER);
      bytes.set(Buffer.from(hex, 'hex'));
      return { label: `header length 0x${hex}`, bytes };
    });
    const numbers = [...SMALL_HEADER.matchAll(/(?<=[[,])\d+(?=[,\]])/g)].flatMap((match) =>
      ['18446744073709551615', '9007199254740991', '1e999'].map((maximum) => {
        const end = match.index + match[0].length;
        const header = SMALL_HEADER.slice(0, match.index) + maximum + SMALL_HEADER.slice(end);
        return {
          label: `number at header character ${match.index} as ${maximum}`,
          bytes: safetensorsFile(header),
        };
      }),
    );
    return [...lengths, ...numbers];
  },
  overlapping: () => safetensorsFile(SMALL_HEADER.replace('[8,12]', '[4,8]')),
};

const SMALL_HEADER =
  '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},' +
  '"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}   ';

/** An encoder that shares nothing with the product's writer. */
function safetensorsFile(header: string): Uint8Array {
  const bytes = new Uint8Array(8 + header.length + 12).map((_, i) => i);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(Buffer.from(header), 8);
  return bytes;
}

const gguf: TensorCodec = {
  folder: 'gguf',
  refusedNames: ['n'.repeat(64), '\ud800'],
  write: async (path, tensors) => {
    const metadata = new Map<string, GgufValue>([['k', { type: 'string', value: 'v' }]]);
    const entries = tensors.map((tensor) => ({
      ...tensor,
      type: 'f32' as const,
      shape: tensor.shape.toReversed(),
    }));
    await writeGguf(path, { metadata, tensors: entries });
  },
  read: async (path) => {
    await using reader = await GgufReader.open(path);
    const entries: (GgufTensor & { data: Uint8Array })[] = [];
    for (const found of reader.tensors.values()) {
      entries.push({ ...found, data: await reader.read(found.name) });
    }
    const { metadata } = reader;
    return {
      tensors: entries.map(({ name, shape, data }) => ({ name, shape: shape.toReversed(), data })),
      rewrite: async (to) => {
        await writeGguf(to, { metadata, tensors: entries });
      },
    };
  },
  small: () => smallGguf().bytes(),
  maximised: () =>
    smallGguf().fields.map(({ label, offset, bytes: width }) => {
      const bytes = smallGguf().bytes();
      bytes.fill(0xff, offset, offset + width);
      return { label, bytes };
    }),
  overlapping: () => {
    const file = smallGguf();
    const bytes = file.bytes();
    const field = file.fields.find(({ label }) => label === 'offset of b');
    bytes.fill(0, field!.offset, field!.offset + 8);
    return bytes;
  },
};

/** Two tensors of torch 2.13, in an archive that it wrote. */
const TINY_TORCH = readFileSync(new URL('./fixtures/torch/tiny.pt', import.meta.url));

/** Widths of the fields that count something, by offset in their record. */
const ZIP_COUNTS = {
  '504b0304': { 18: 4, 22: 4, 26: 2, 28: 2 },
  '504b0102': { 20: 4, 24: 4, 28: 2, 30: 2, 32: 2, 34: 2, 42: 4 },
  '504b0506': { 8: 2, 10: 2, 12: 4, 16: 4, 20: 2 },
  '504b0606': { 4: 8, 24: 8, 32: 8, 40: 8, 48: 8 },
  '504b0607': { 4: 4, 8: 8, 16: 4 },
} as const;

const torchArchive: TensorCodec = {
  folder: 'torch-pt',
  refusedNames: ['\ud800'],
  write: async (path, tensors) => {
    const data = new Map(tensors.map((tensor) => [tensor.name, tensor.data]));
    const root = torchDict(
      tensors.map(({ name, shape }) => [name, torchTensor({ dtype: 'float32', shape })]),
    );
    await writeTorchArchive(path, root, (_, name) => data.get(name)!, { archiveName: 'a' });
  },
  read: async (path) => {
    await using reader = await TorchArchiveReader.open(path);
    const entries: (TorchTensor & { data: Uint8Array })[] = [];
    for (const found of reader.tensors.values()) {
      entries.push({ ...found, data: await reader.read(found.name) });
    }
    const { root, archiveName, serializationId } = reader;
    const data = new Map(entries.map((entry) => [entry.storage, entry.data]));
    return {
      tensors: entries,
      rewrite: async (to) => {
        const options = { archiveName, serializationId: serializationId ?? '' };
        await writeTorchArchive(to, root, (storage) => data.get(storage)!, options);
      },
    };
  },
  small: () => TINY_TORCH,
  maximised: () =>
    Object.entries(ZIP_COUNTS).flatMap(([signature, counts]) =>
      placesOf(Buffer.from(signature, 'hex')).flatMap((record) =>
        Object.entries(counts).map(([offset, width]) => {
          const bytes = Uint8Array.from(TINY_TORCH);
          const at = record + Number(offset);
          bytes.fill(0xff, at, at + width);
          // All bits set mean "see the 64-bit record" in the short end record, where that is the truth.
          if (signature === '504b0506') bytes[at + width - 1] = 0x7f;
          return { label: `byte ${offset} of the record ${signature} at ${record}`, bytes };
        }),
      ),
    ),
  overlapping: () => {
    const bytes = Uint8Array.from(TINY_TORCH);
    const listed = (name: string): number => TINY_TORCH.lastIndexOf(name) - 46 + 42;
    bytes.set(
      bytes.subarray(listed('tiny/data/0'), listed('tiny/data/0') + 4),
      listed('tiny/data/1'),
    );
    return bytes;
  },
};

function placesOf(signature: Uint8Array): number[] {
  const places: number[] = [];
  for (
    let at = TINY_TORCH.indexOf(signature);
    at >= 0;
    at = TINY_TORCH.indexOf(signature, at + 1)
  ) {
    places.push(at);
  }
  return places;
}

/** Two documents, three sequences; the values are a file of their own, which no case changes. */
const SMALL_INDEX = [
  ['magic', '4d4d49444944580000'],
  ['version', '0100000000000000'],
  ['type code', '04'],
  ['sequence count', '0300000000000000'],
  ['document index length', '0300000000000000'],
  ['length of 0', '02000000'],
  ['length of 1', '00000000'],
  ['length of 2', '03000000'],
  ['offset of 0', '0000000000000000'],
  ['offset of 1', '0800000000000000'],
  ['offset of 2', '0800000000000000'],
  ['boundary 0', '0000000000000000'],
  ['boundary 1', '0200000000000000'],
  ['boundary 2', '0300000000000000'],
] as const;

const indexWith = (label: string, hex: string): Uint8Array =>
  Buffer.from(SMALL_INDEX.map(([name, bytes]) => (name === label ? hex : bytes)).join(''), 'hex');

const indexedDataset: Codec = {
  folder: 'indexed-dataset',
  read: async (path) => {
    await copyFile(path, `${path}.idx`);
    await writeFile(`${path}.bin`, Int32Array.of(1, 2, 3, -100, 5));
    const reader = await IndexedDatasetReader.open(path);
    const documents: Int32Array[] = [];
    try {
      for (let d = 0; d < reader.documentCount; d++) documents.push(await reader.document(d));
    } finally {
      await reader.close();
    }
    return {
      rewrite: async (to) => {
        await using source = await IndexedDatasetReader.open(path);
        await using writer = await IndexedDatasetWriter.create(to);
        for (let d = 0; d < source.documentCount; d++) {
          const { first, end } = source.documentRange(d);
          for (let i = first; i < end; i++) await writer.append(await source.sequence(i));
          writer.endDocument();
        }
        await writer.commit();
        await rename(`${to}.idx`, to);
      },
    };
  },
  small: () => indexWith('', ''),
  maximised: () =>
    SMALL_INDEX.slice(1).flatMap(([label, hex]) =>
      ['ff'.repeat(hex.length / 2), `${'ff'.repeat(hex.length / 2 - 1)}7f`].map((maximum) => ({
        label: `${label} as 0x${maximum}`,
        bytes: indexWith(label, maximum),
      })),
    ),
  overlapping: () => indexWith('offset of 2', '0400000000000000'),
};

/** Two tensors of one archive each, in a file of their own; the metadata are what the cases change. */
const DCP_ITEMS = fileURLToPath(new URL('./fixtures/torch-dcp/file-per-item/', import.meta.url));
const DCP_ITEM_BYTES = 1577;

const dcpMetadata = (change: Partial<PlainChunk> = {}): Uint8Array => {
  const chunk = { offsets: [0, 0], sizes: [2, 3], offset: 0, length: DCP_ITEM_BYTES };
  const tensor = { dtype: 'int64', shape: [2, 3] };
  return metadataBytes({
    tensors: [
      { ...tensor, name: 'a', chunks: [{ ...chunk, path: '__0_0.distcp' }] },
      { ...tensor, name: 'b', chunks: [{ ...chunk, path: '__0_1.distcp', ...change }] },
    ],
  });
};

const distributedCheckpoint: Codec = {
  folder: 'torch-dcp',
  read: async (path) => {
    const directory = `${path}-checkpoint`;
    await mkdir(directory, { recursive: true });
    for (const name of ['__0_0.distcp', '__0_1.distcp']) {
      await copyFile(`${DCP_ITEMS}${name}`, `${directory}/${name}`);
    }
    await copyFile(path, `${directory}/.metadata`);
    await openDistributedCheckpoint(directory);
    // Such checkpoints are read and never written, so another one can only be a copy.
    return { rewrite: async (to) => await copyFile(path, to) };
  },
  small: () => dcpMetadata(),
  maximised: () => {
    const cases: [string, Partial<PlainChunk>][] = [
      2 ** 31 - 1,
      2 ** 53 - 1,
      2n ** 63n - 1n,
    ].flatMap((maximum): [string, Partial<PlainChunk>][] => [
      [`offset of the item as ${maximum}`, { offset: maximum }],
      [`length of the item as ${maximum}`, { length: maximum }],
      [`offset of the chunk as ${maximum}`, { offsets: [maximum, 0] }],
      [`size of the chunk as ${maximum}`, { sizes: [2, maximum] }],
    ]);
    return cases.map(([label, change]) => ({ label, bytes: dcpMetadata(change) }));
  },
  overlapping: () => dcpMetadata({ path: '__0_0.distcp' }),
};

/** The codecs of named tensors. */
export const TENSOR_CODECS: readonly TensorCodec[] = [safetensors, gguf, torchArchive];

/** All of them; a test checks that no codec folder is missing. */
export const CODECS: readonly Codec[] = [...TENSOR_CODECS, indexedDataset, distributedCheckpoint];
