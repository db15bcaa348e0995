import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TuneyardError } from '@tuneyard/core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  locateTensors,
  openDistributedCheckpoint,
  readDistributedObject,
  readDistributedTensor,
  torchDict,
  torchTensor,
  torchTuple,
  writeSafetensors,
  writeTorchArchive,
} from '../src/index.js';
import { checkCoverage } from '../src/torch-dcp/coverage.js';
import { formatPickle } from '../src/torch-pt/pickle/pickle-writer.js';
import {
  metadataBytes,
  type PlainChunk,
  type PlainMetadata,
  type PlainTensor,
} from './dcp-metadata.js';

const FIXTURES = fileURLToPath(new URL('./fixtures/torch-dcp/', import.meta.url));

let root = '';
let made = 0;
/** Bytes of an archive of one f32 [2, 3]; `two.distcp` has two of them. */
let itemBytes = 0;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'tuneyard-dcp-'));
  const data = new Uint8Array(Float32Array.from([1, 2, 3, 4, 5, 6]).buffer);
  const value = torchTensor({ dtype: 'float32', shape: [2, 3] });
  const { bytes } = await writeTorchArchive(join(root, 'one'), value, () => data);
  itemBytes = bytes;
  const archive = readFileSync(join(root, 'one'));
  writeFileSync(join(root, 'two'), Buffer.concat([archive, archive]));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function directory(): string {
  made += 1;
  const path = join(root, `case-${made}`);
  mkdirSync(path);
  return path;
}

const copyOf = (name: string): string => {
  const path = directory();
  cpSync(`${FIXTURES}${name}`, path, { recursive: true });
  return path;
};

/** A chunk of two rows: the first or second archive of `two.distcp`. */
const chunk = (index: 0 | 1, change: Partial<PlainChunk> = {}): PlainChunk => ({
  offsets: [2 * index, 0],
  sizes: [2, 3],
  path: '__0_0.distcp',
  offset: index * itemBytes,
  length: itemBytes,
  ...change,
});

const tensor = (chunks: PlainChunk[], change: Partial<PlainTensor> = {}): PlainTensor => ({
  name: 'w',
  dtype: 'float32',
  shape: [4, 3],
  chunks,
  ...change,
});

/** A checkpoint with the given metadata and the two archives. */
function checkpoint(metadata: PlainMetadata | Uint8Array): string {
  const path = directory();
  copyFileSync(join(root, 'two'), join(path, '__0_0.distcp'));
  const bytes = metadata instanceof Uint8Array ? metadata : metadataBytes(metadata);
  writeFileSync(join(path, '.metadata'), bytes);
  return path;
}

async function codeOf(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
  } catch (error) {
    if (error instanceof TuneyardError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'nothing was thrown';
}

const openCode = (path: string): Promise<string> => codeOf(() => openDistributedCheckpoint(path));

/** Opens and reads everything. */
const readCode = (path: string): Promise<string> =>
  codeOf(async () => {
    const opened = await openDistributedCheckpoint(path);
    for (const name of opened.tensors.keys()) await readDistributedTensor(opened, name);
    for (const name of opened.objects.keys()) await readDistributedObject(opened, name);
  });

describe('a distributed checkpoint', () => {
  it('built here from plain facts is read', async () => {
    const path = checkpoint({ tensors: [tensor([chunk(0), chunk(1)])] });
    const opened = await openDistributedCheckpoint(path);
    const bytes = await readDistributedTensor(opened, 'w');
    expect([...new Float32Array(bytes.buffer)]).toEqual([1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6]);
  });
});

describe('metadata that no writer makes', () => {
  const whole = () => [chunk(0), chunk(1)];
  const cases: [string, string, () => PlainMetadata][] = [
    [
      'a file name that leads out of the directory',
      'DCP_BAD_PATH',
      () => ({ tensors: [tensor([chunk(0, { path: '../two' }), chunk(1)])] }),
    ],
    [
      'an absolute file name',
      'DCP_BAD_PATH',
      () => ({ tensors: [tensor([chunk(0, { path: '/etc/passwd' }), chunk(1)])] }),
    ],
    [
      'a file name with a backslash',
      'DCP_BAD_PATH',
      () => ({ tensors: [tensor([chunk(0, { path: '..\\two' }), chunk(1)])] }),
    ],
    [
      'a file name that is the directory',
      'DCP_BAD_PATH',
      () => ({ tensors: [tensor([chunk(0, { path: '.' }), chunk(1)])] }),
    ],
    [
      'a file name that is no string',
      'DCP_BAD_METADATA',
      () => ({ tensors: [tensor([chunk(0, { path: 3 }), chunk(1)])] }),
    ],
    [
      'a file that is not there',
      'DCP_FILE_MISSING',
      () => ({ tensors: [tensor([chunk(0), chunk(1, { path: '__1_0.distcp' })])] }),
    ],
    [
      'an offset beyond the file',
      'DCP_ITEM_OUT_OF_FILE',
      () => ({ tensors: [tensor([chunk(0), chunk(1, { offset: 2 ** 52 })])] }),
    ],
    [
      'a negative offset',
      'DCP_BAD_METADATA',
      () => ({ tensors: [tensor([chunk(0), chunk(1, { offset: -1 })])] }),
    ],
    [
      'an offset beyond exact integers',
      'DCP_BAD_METADATA',
      () => ({ tensors: [tensor([chunk(0), chunk(1, { offset: 2n ** 63n })])] }),
    ],
    [
      'a length of nothing',
      'DCP_ITEM_OUT_OF_FILE',
      () => ({ tensors: [tensor([chunk(0), chunk(1, { length: 0 })])] }),
    ],
    [
      'a length beyond the file',
      'DCP_ITEM_OUT_OF_FILE',
      () => ({ tensors: [tensor([chunk(0), chunk(1, { length: itemBytes + 1 })])] }),
    ],
    [
      'two chunks in the same bytes',
      'DCP_OFFSETS_OVERLAP',
      () => ({ tensors: [tensor([chunk(0), chunk(1, { offset: 0 })])] }),
    ],
    [
      'an object in the bytes of a chunk',
      'DCP_OFFSETS_OVERLAP',
      () => ({
        tensors: [tensor(whole())],
        objects: [{ name: 'o', path: '__0_0.distcp', offset: 10, length: 20 }],
      }),
    ],
    [
      'a chunk that is left out',
      'DCP_CHUNKS_INCOMPLETE',
      () => ({ tensors: [tensor([chunk(0)])] }),
    ],
    ['no chunks at all', 'DCP_CHUNKS_INCOMPLETE', () => ({ tensors: [tensor([])] })],
    [
      'a chunk that lies over another',
      'DCP_CHUNKS_OVERLAP',
      () => ({ tensors: [tensor([chunk(0), chunk(1, { offsets: [1, 0] })], { shape: [3, 3] })] }),
    ],
    [
      'a chunk out of its tensor',
      'DCP_CHUNK_OUT_OF_BOUNDS',
      () => ({ tensors: [tensor([chunk(0), chunk(1, { offsets: [3, 0] })])] }),
    ],
    [
      'a chunk of another number of dimensions',
      'DCP_BAD_METADATA',
      () => ({ tensors: [tensor([chunk(0, { offsets: [0], sizes: [2] }), chunk(1)])] }),
    ],
    [
      'a size that is no count',
      'DCP_BAD_METADATA',
      () => ({ tensors: [tensor(whole(), { shape: [4, -3] })] }),
    ],
    [
      'a shape that is no torch.Size',
      'DCP_BAD_METADATA',
      () => ({ tensors: [tensor(whole(), { shape: ['4', 3] })] }),
    ],
    [
      'a chunk whose place is not said',
      'DCP_ITEM_MISSING',
      () => ({ tensors: [tensor([chunk(0), chunk(1, { storedAs: [3, 0] })])] }),
    ],
    [
      'a chunk that is stored twice',
      'DCP_BAD_METADATA',
      () => ({ tensors: [tensor([chunk(0), chunk(1, { storedAs: [0, 0] })])] }),
    ],
    [
      'bytes that an extension compressed',
      'DCP_UNSUPPORTED',
      () => ({ tensors: [tensor([chunk(0, { transforms: ['stream.zstd'] }), chunk(1)])] }),
    ],
    [
      'properties without an element type',
      'DCP_BAD_METADATA',
      () => ({ tensors: [tensor(whole(), { dtype: 7 })] }),
    ],
    [
      'more dimensions than torch has',
      'DCP_BAD_METADATA',
      () => ({ tensors: [tensor([], { shape: new Array(65).fill(1) })] }),
    ],
  ];
  it.each(cases)('are refused: %s', async (_, code, metadata) => {
    expect(await openCode(checkpoint(metadata()))).toContain(`${code} `);
  });

  it('are refused when they are no Metadata', async () => {
    for (const value of [null, 7, torchDict([['state_dict_metadata', torchDict([])]])]) {
      const { bytes } = formatPickle(value, 4);
      expect(await openCode(checkpoint(bytes))).toContain('DCP_BAD_METADATA');
    }
  });

  it('are refused when bytes follow them', async () => {
    const bytes = metadataBytes({ tensors: [] });
    const longer = Buffer.concat([bytes, Buffer.from('.')]);
    expect(await openCode(checkpoint(longer))).toContain('DCP_BAD_METADATA');
  });

  it('stay inert: a call of the system is refused, an unknown class is no Metadata', async () => {
    const attack = Buffer.from('\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R.', 'latin1');
    expect(await openCode(checkpoint(attack))).toContain('TORCH_PICKLE_FORBIDDEN_GLOBAL');
    const unknown = Buffer.from('\x80\x02cevil.module\nMetadata\n)\x81}b.', 'latin1');
    expect(await openCode(checkpoint(unknown))).toContain('evil.module.Metadata');
  });

  it('cannot ask for a grid without end', async () => {
    // 7 boxes of a 60-dimensional cube, each with cuts of its own along every axis.
    const axes = 60;
    const chunks = Array.from({ length: 7 }, (_, i) => ({
      offsets: new Array<number>(axes).fill(i),
      sizes: new Array<number>(axes).fill(1),
    }));
    const shape = new Array<number>(axes).fill(9);
    expect(() => checkCoverage({ name: 'w', shape, chunks }, 'here')).toThrow(/grid of/);
  });
});

describe('bytes that differ from what the metadata say', () => {
  it('are refused: another type, another shape', async () => {
    const chunks = [chunk(0), chunk(1)];
    const typed = checkpoint({ tensors: [tensor(chunks, { dtype: 'int32' })] });
    expect(await readCode(typed)).toContain('DCP_CHUNK_MISMATCH');
    const turned = chunks.map((item, i) => ({ ...item, offsets: [0, 2 * i], sizes: [3, 2] }));
    const shaped = checkpoint({ tensors: [tensor(turned, { shape: [3, 4] })] });
    expect(await readCode(shaped)).toContain('holds torch.float32 [2, 3]');
  });

  it('are refused: a chunk larger than its bytes', async () => {
    const huge = 2 ** 40;
    const path = checkpoint({
      tensors: [tensor([chunk(0, { sizes: [huge, 3] })], { shape: [huge, 3] })],
    });
    expect(await readCode(path)).toContain('DCP_CHUNK_MISMATCH');
  });

  it('are refused: offsets between two archives', async () => {
    const cut = chunk(0, { length: itemBytes - 7 });
    const late = chunk(1, { offset: itemBytes - 7 });
    for (const chunks of [
      [cut, chunk(1)],
      [cut, late],
    ]) {
      const code = await readCode(checkpoint({ tensors: [tensor(chunks)] }));
      expect(code).toMatch(/^TORCH_ARCHIVE_/);
    }
  });

  it('are refused: an archive that holds no tensor', async () => {
    const path = checkpoint({ tensors: [tensor([chunk(0)], { shape: [2, 3] })] });
    await writeTorchArchive(join(path, '__0_0.distcp'), torchTuple([1, 2]), () => new Uint8Array());
    const { size } = statSync(join(path, '__0_0.distcp'));
    const metadata = { tensors: [tensor([chunk(0, { length: size })], { shape: [2, 3] })] };
    writeFileSync(join(path, '.metadata'), metadataBytes(metadata));
    expect(await readCode(path)).toContain('its archive holds no tensor');
  });

  it('are refused: an object that is no archive', async () => {
    const objects = [{ name: 'o', path: '__0_0.distcp', offset: 3, length: 20 }];
    expect(await readCode(checkpoint({ tensors: [], objects }))).toContain('DCP_UNSUPPORTED');
  });
});

describe('damaged checkpoints of PyTorch and Megatron', () => {
  it('name the file that is missing', async () => {
    const path = copyOf('dtensor');
    rmSync(join(path, '__1_0.distcp'));
    const code = await openCode(path);
    expect(code).toContain('DCP_FILE_MISSING');
    expect(code).toContain('__1_0.distcp');
  });

  it('name the file that was cut', async () => {
    const path = copyOf('megatron-stacked-tp2');
    truncateSync(join(path, '__1_1.distcp'), 4000);
    const code = await openCode(path);
    expect(code).toContain('DCP_ITEM_OUT_OF_FILE');
    expect(code).toContain('__1_1.distcp has 4000 bytes');
  });

  it('are refused with files of another checkpoint', async () => {
    const path = copyOf('dtensor');
    copyFileSync(`${FIXTURES}plain/__0_0.distcp`, join(path, '__0_0.distcp'));
    expect(await readCode(path)).toMatch(/^(DCP|TORCH_ARCHIVE)_/);
  });

  it('are refused without the metadata of one rank', async () => {
    const path = copyOf('per-rank-metadata');
    rmSync(join(path, '__1.metadata'));
    expect(await openCode(path)).toContain('DCP_CHUNKS_INCOMPLETE');
  });

  it('are refused when ranks disagree about a tensor', async () => {
    const path = directory();
    copyFileSync(join(root, 'two'), join(path, '__0_0.distcp'));
    const one = metadataBytes({ tensors: [tensor([chunk(0)])] });
    const other = metadataBytes({ tensors: [tensor([chunk(1)], { shape: [4, 4] })] });
    writeFileSync(join(path, '__0.metadata'), one);
    writeFileSync(join(path, '__1.metadata'), other);
    expect(await openCode(path)).toContain('DCP_PARTS_DISAGREE');
  });

  it('are refused as safetensors with a part missing, or placed wrongly', async () => {
    const gone = copyOf('huggingface-shards');
    rmSync(join(gone, 'shard-00001-model-00001-of-00001.safetensors'));
    expect(await openCode(gone)).toContain('DCP_CHUNKS_INCOMPLETE');
    const data = new Uint8Array(8);
    const entries = [{ name: 'w', dtype: 'F32' as const, shape: [2], data }];
    const write = (path: string, info: string) =>
      writeSafetensors(join(path, 'shard-00001-model-00001-of-00001.safetensors'), entries, {
        metadata: { DCP_SHARDING_INFO: info },
      });
    for (const info of [
      '{',
      '[]',
      '{}',
      '{"w":{"saved_offsets":[-1]}}',
      '{"w":{"saved_offsets":[0,0]}}',
    ]) {
      const path = directory();
      await write(path, info);
      expect(await openCode(path), info).toContain('DCP_BAD_METADATA');
    }
  });

  it('are refused as safetensors where the metadata say another shape', async () => {
    const path = copyOf('safetensors-distcp');
    const entries = [
      { name: 'a', dtype: 'F32' as const, shape: [3, 2], data: new Uint8Array(24) },
      { name: 'b', dtype: 'BF16' as const, shape: [3], data: new Uint8Array(6) },
    ];
    await writeSafetensors(join(path, '__0_0.distcp'), entries);
    expect(await openCode(path)).toContain('DCP_CHUNK_MISMATCH');
  });

  it('are not looked for where there is none', async () => {
    const path = directory();
    expect(await openCode(path)).toContain('DCP_NOT_FOUND');
    mkdirSync(join(path, 'iter_0000010'));
    await expect(openDistributedCheckpoint(path)).rejects.toMatchObject({
      code: 'DCP_NOT_FOUND',
      hint: expect.stringContaining('iter_0000010'),
    });
    expect(await openCode(join(path, 'nowhere'))).toContain('FILE_NOT_FOUND');
  });

  it('are refused in the backends that Megatron has left', async () => {
    const path = copyOf('megatron-stacked-tp2');
    writeFileSync(join(path, 'metadata.json'), '{"sharded_backend": "zarr"}');
    expect(await openCode(path)).toContain('DCP_UNSUPPORTED');
    writeFileSync(join(path, 'metadata.json'), '{"sharded_backend"');
    expect(await openCode(path)).toContain('DCP_BAD_METADATA');
  });
});

describe('random bytes changed in the files of a checkpoint', () => {
  it('are read or refused, and never fail otherwise', async () => {
    const path = copyOf('dtensor');
    const whole = readFileSync(join(path, '__0_0.distcp'));
    const change = fc.record({
      at: fc.nat(whole.length - 1),
      to: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff)),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const bytes = Buffer.from(whole);
        for (const { at, to } of changes) bytes[at] = to;
        writeFileSync(join(path, '__0_0.distcp'), bytes);
        expect(await readCode(path)).toMatch(/^(nothing was thrown|DCP_|TORCH_)/);
      }),
      { seed: 11, numRuns: 150 },
    );
  });
});

describe('coverage', () => {
  it('agrees with counting every element', () => {
    const box = (shape: number[]) =>
      fc.tuple(...shape.map((size) => fc.tuple(fc.nat(size), fc.nat(size)))).map((axes) => ({
        offsets: axes.map(([a, b]) => Math.min(a, b)),
        sizes: axes.map(([a, b]) => Math.abs(a - b)),
      }));
    const tensors = fc
      .array(fc.nat(4), { minLength: 0, maxLength: 3 })
      .chain((shape) =>
        fc.record({ shape: fc.constant(shape), chunks: fc.array(box(shape), { maxLength: 5 }) }),
      );
    fc.assert(
      fc.property(tensors, ({ shape, chunks }) => {
        const total = shape.reduce((product, size) => product * size, 1);
        const counts = new Uint8Array(total);
        for (let element = 0; element < total; element++) {
          let rest = element;
          const place = shape.toReversed().map((size) => {
            const at = rest % size;
            rest = Math.floor(rest / size);
            return at;
          });
          place.reverse();
          for (const { offsets, sizes } of chunks) {
            const isInside = place.every(
              (at, axis) => at >= offsets[axis]! && at < offsets[axis]! + sizes[axis]!,
            );
            if (isInside) counts[element]! += 1;
          }
        }
        const isWhole = counts.every((count) => count === 1);
        let thrown = '';
        try {
          checkCoverage({ name: 'w', shape, chunks }, 'here');
        } catch (error) {
          thrown = (error as TuneyardError).code;
        }
        if (isWhole) expect(thrown).toBe('');
        else if (counts.some((count) => count > 1)) expect(thrown).toBe('DCP_CHUNKS_OVERLAP');
        else expect(thrown).toBe('DCP_CHUNKS_INCOMPLETE');
      }),
      { seed: 7, numRuns: 2000 },
    );
  });

  it('finds chunks whose numbers are elsewhere than expected', async () => {
    const path = checkpoint({
      tensors: [tensor([chunk(1, { offsets: [0, 0] }), chunk(0, { offsets: [2, 0] })])],
    });
    const opened = await openDistributedCheckpoint(path);
    const [first, second] = (await locateTensors(opened, ['w'])).get('w')!.chunks;
    expect(first!.begin - second!.begin).toBe(itemBytes);
  });
});
