import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SafetensorsReader, writeSafetensors } from '@tuneyard/formats';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildDataReport } from '../encode/data-report.js';
import type { TokenizedSample } from '../encode/samples.js';
import { openTokenSet, writeTokenSet } from './token-set.js';

const meta = { vocabSize: 100, template: 'plain', cutoffLength: 64, stopTokenIds: [1] };
const reportOf = (samples: readonly TokenizedSample[]) =>
  buildDataReport({
    rows: samples.length,
    keptRows: samples.length,
    samples,
    truncated: [],
    rejected: [],
    packCapacity: null,
  });
const freshDir = () => mkdtemp(join(tmpdir(), 'tuneyard-tokens-'));

const sample: fc.Arbitrary<TokenizedSample> = fc
  .array(fc.tuple(fc.nat(99), fc.boolean()), { minLength: 1, maxLength: 20 })
  .chain((tokens) =>
    fc.record({
      ids: fc.constant(Int32Array.from(tokens, ([id]) => id)),
      learned: fc.constant(Uint8Array.from(tokens, ([, on], i) => (on && i > 0 ? 1 : 0))),
      row: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
      source: fc.constantFrom('a', 'b', 'ünïcode "set"'),
    }),
  );

describe('a token set on disk', () => {
  it('gives back every sample, the meta data and the report', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(sample, { minLength: 1, maxLength: 12 }), async (samples) => {
        const dir = await freshDir();
        await writeTokenSet(dir, samples, { meta, report: reportOf(samples) });
        expect(await openTokenSet(dir)).toEqual({ samples, meta, report: reportOf(samples) });
      }),
      { numRuns: 25 },
    );
  });

  it('refuses an id outside the vocabulary before writing', async () => {
    const bad = { ids: Int32Array.of(1, 100), learned: new Uint8Array(2), row: 1, source: 'a' };
    const options = { meta, report: reportOf([bad]) };
    await expect(writeTokenSet(await freshDir(), [bad], options)).rejects.toMatchObject({
      code: 'DATA_BAD_TOKEN_SET',
      message: expect.stringContaining('token 1 has the id 100'),
    });
  });

  it.each([
    ['sample_offsets', BigInt64Array.of(0n, 9n, 4n), 'sample_offsets[1] is 9'],
    ['sample_offsets', BigInt64Array.of(0n, 2n, 3n), 'tokens follow'],
    ['learned', Uint8Array.of(1, 1, 0, 1), 'learns its first token'],
    ['learned', Uint8Array.of(0, 7, 0, 1), 'other than 0, 1'],
    ['sources', Int32Array.of(0, 5), 'sources[1]'],
    ['rows', Int32Array.of(1), '1 rows, 3 offsets'],
    ['input_ids', Int32Array.of(1, 2, 3, -4), 'id -4'],
  ] as const)('refuses damaged %s', async (name, values, message) => {
    const dir = await freshDir();
    const good = [1, 2].map((row) => ({
      ids: Int32Array.of(1, 2),
      learned: Uint8Array.of(0, 1),
      row,
      source: 'a',
    }));
    await writeTokenSet(dir, good, { meta, report: reportOf(good) });
    const path = join(dir, 'tokens.safetensors');
    const reader = await SafetensorsReader.open(path);
    const entries = await Promise.all(
      [...reader.tensors.values()].map(async ({ name, dtype, shape }) => ({
        name,
        dtype,
        shape,
        data: await reader.read(name),
      })),
    );
    await reader.close();
    const data = new Uint8Array(values.buffer);
    const damaged = entries.map((entry) =>
      entry.name === name ? { ...entry, shape: [values.length], data } : entry,
    );
    await writeSafetensors(path, damaged, { metadata: reader.metadata });
    await expect(openTokenSet(dir)).rejects.toMatchObject({
      code: 'DATA_BAD_TOKEN_SET',
      message: expect.stringContaining(message),
    });
  });
});
