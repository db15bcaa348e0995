/** What every codec of the package promises, checked the same way for each. */
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { TuneyardError } from '@tuneyard/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { recordAllocations } from './allocation-record.js';
import { CODECS, type F32Tensor, TENSOR_CODECS } from './codecs.js';
import { useTemporaryDirectory } from './temporary-directory.js';

/** Random cases are the same on every run. */
const SEED = 20_261_125;

const tensor = (name: string, shape: number[], start = 0): F32Tensor => {
  const elements = shape.reduce((product, size) => product * size, 1);
  const values = Float32Array.from({ length: elements }, (_, i) => start + i);
  return { name, shape, data: new Uint8Array(values.buffer) };
};

describe('the conformance suite', () => {
  it('runs on every folder that holds a codec', async () => {
    const source = fileURLToPath(new URL('../src/', import.meta.url));
    const entries = await readdir(source, { withFileTypes: true });
    const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
    const codecFolders = folders.filter((name) => name !== 'io').sort();
    expect(CODECS.map((codec) => codec.folder).sort()).toEqual(codecFolders);
  });
});

describe.each(CODECS)('the $folder codec', (codec) => {
  const directory = useTemporaryDirectory();

  /** Opens the file and reads all of it; null when it was refused with our error type. */
  const readOrRefuse = async (path: string): Promise<TuneyardError | null> => {
    try {
      await codec.read(path);
      return null;
    } catch (error) {
      if (error instanceof TuneyardError && error.category === 'invalid_input') return error;
      throw error;
    }
  };

  it('rewrites a file made by another encoder to the same bytes', async () => {
    const path = await directory.save('foreign', codec.small());
    const contents = await codec.read(path);
    await contents.rewrite(directory.path('rewritten'));
    expect(await readFile(directory.path('rewritten'))).toEqual(Buffer.from(codec.small()));
  });

  it('refuses a file cut at any byte, and allocates no more than the file has', async () => {
    const whole = codec.small();
    for (let length = 0; length < whole.length; length++) {
      const path = await directory.save('cut', whole.subarray(0, length));
      const used = await recordAllocations(async () => {
        expect(await readOrRefuse(path), `cut to ${length} bytes`).not.toBeNull();
      });
      expect(used.largest).toBeLessThanOrEqual(Math.max(8, length));
      expect(used.total).toBeLessThanOrEqual(6 * length + 64);
    }
  });

  it('refuses a file with any count at its maximum, and allocates no more than the file has', async () => {
    for (const { label, bytes } of codec.maximised()) {
      const path = await directory.save('maximum', bytes);
      const used = await recordAllocations(async () => {
        expect(await readOrRefuse(path), label).not.toBeNull();
      });
      expect(used.largest, label).toBeLessThanOrEqual(bytes.length);
    }
  });

  it('refuses data that share bytes', async () => {
    const path = await directory.save('overlap', codec.overlapping());
    expect((await readOrRefuse(path))?.code).toMatch(/_OFFSETS_OVERLAP$/);
  });

  it('reads or refuses a file with random bytes changed, and never fails otherwise', async () => {
    const whole = codec.small();
    const change = fc.record({
      at: fc.nat(whole.length - 1),
      to: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff)),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), async (changes) => {
        const bytes = whole.slice();
        for (const { at, to } of changes) bytes[at] = to;
        const path = await directory.save('fuzzed', bytes);
        const used = await recordAllocations(async () => {
          await readOrRefuse(path);
        });
        expect(used.largest).toBeLessThanOrEqual(bytes.length);
      }),
      { seed: SEED, numRuns: 1000 },
    );
  });
});

describe.each(TENSOR_CODECS)('the $folder codec of tensors', (codec) => {
  const directory = useTemporaryDirectory();

  it('reads back names, shapes and bytes that it wrote', async () => {
    const tensors = [tensor('w', [3, 5]), tensor('v', [7], 100), tensor('cube', [2, 3, 4], -5)];
    await codec.write(directory.path('round'), tensors);
    const { tensors: found } = await codec.read(directory.path('round'));
    expect(found).toEqual(tensors.map((item) => expect.objectContaining(item)));
  });

  it('reads tensors into buffers that start at an 8-byte boundary', async () => {
    await codec.write(directory.path('aligned'), [tensor('a', [1]), tensor('b', [3])]);
    const { tensors } = await codec.read(directory.path('aligned'));
    expect(tensors.map(({ data }) => data.byteOffset % 8)).toEqual([0, 0]);
  });

  it('writes the same bytes for the same tensors', async () => {
    const tensors = [tensor('w', [3, 5]), tensor('v', [7])];
    await codec.write(directory.path('first'), tensors);
    await codec.write(directory.path('second'), tensors);
    expect(await readFile(directory.path('first'))).toEqual(
      await readFile(directory.path('second')),
    );
  });

  it('holds no tensors, empty tensors and single values', async () => {
    for (const tensors of [[], [tensor('e', [0]), tensor('s', []), tensor('z', [4, 0])]]) {
      await codec.write(directory.path('edge'), tensors);
      const { tensors: found } = await codec.read(directory.path('edge'));
      const wanted = tensors.map((item) => expect.objectContaining(item));
      expect(found).toHaveLength(wanted.length);
      expect(found).toEqual(expect.arrayContaining(wanted));
    }
  });

  it('holds names that are empty, numeric, reserved elsewhere, or beyond ASCII', async () => {
    const names = ['', '10', '2', '__proto__', 'a"b\\c\n', '嵌入.权重', '🧵', 'a\u0000b', ' '];
    await codec.write(
      directory.path('names'),
      names.map((name, i) => tensor(name, [2], i)),
    );
    const { tensors } = await codec.read(directory.path('names'));
    expect(tensors.map(({ name }) => name)).toEqual(names);
    expect(tensors.map(({ data }) => new Float32Array(data.buffer)[0])).toEqual(
      names.map((_, i) => i),
    );
  });

  it('refuses to write a name that it could not read back', async () => {
    for (const name of codec.refusedNames) {
      const write = codec.write(directory.path('refused'), [tensor(name, [1])]);
      await expect(write).rejects.toBeInstanceOf(TuneyardError);
    }
    const twice = codec.write(directory.path('refused'), [tensor('a', [1]), tensor('a', [1])]);
    await expect(twice).rejects.toBeInstanceOf(TuneyardError);
  });

  it('round-trips random tensors', async () => {
    const shape = fc.array(fc.nat(5), { maxLength: 4 });
    const name = fc.string({ unit: 'grapheme', maxLength: 12 });
    const specs = fc.uniqueArray(fc.record({ name, shape }), {
      maxLength: 6,
      selector: (spec) => spec.name,
    });
    await fc.assert(
      fc.asyncProperty(specs, async (list) => {
        const tensors = list.map((spec, i) => tensor(spec.name, spec.shape, i));
        await codec.write(directory.path('random'), tensors);
        const { tensors: found } = await codec.read(directory.path('random'));
        expect(new Map(found.map((item) => [item.name, item]))).toEqual(
          new Map(tensors.map((item) => [item.name, expect.objectContaining(item)])),
        );
      }),
      { seed: SEED, numRuns: 100 },
    );
  });
});
