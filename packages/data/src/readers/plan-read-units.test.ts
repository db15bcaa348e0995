import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { countRows } from './count-rows.js';
import { probeFile } from './discover/probe-file.js';
import { planReadUnits } from './plan-read-units.js';
import type { ReadItem } from './read-item.js';
import { readRecords } from './read-records.js';
import type { ReadUnit, RecordUnit } from './read-unit.js';
import { readUnit } from './read-unit-records.js';
import { cutCsv } from './text/cut-csv.js';
import { cutJsonArray } from './text/cut-json-array.js';
import { cutLines } from './text/cut-lines.js';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-units-'));
});

async function gather<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function* inChunks(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const end = at + (sizes[i % sizes.length] ?? 1);
    // A copy: chunks belong to the one who takes them.
    yield Buffer.from(bytes.subarray(at, end));
    at = end;
  }
}

const rowsArbitrary = fc.array(
  fc.record({ text: fc.string({ unit: 'grapheme' }), n: fc.integer() }),
  { minLength: 1, maxLength: 12 },
);
const sizesArbitrary = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 });

function csvOf(rows: readonly { text: string; n: number }[], lineEnd: string): string {
  const quoted = rows.map(({ text, n }) => `"${text.replaceAll('"', '""')}",${n}`);
  return ['text,n', ...quoted].join(lineEnd);
}

/** What of units must not depend on chunks: all. */
function comparable(units: readonly RecordUnit[]) {
  return units.map(({ bytes, ...rest }) => ({
    ...rest,
    text: Buffer.from(bytes).toString('latin1'),
  }));
}

describe('units of a stream', () => {
  it('do not depend on how its bytes arrive', async () => {
    await fc.assert(
      fc.asyncProperty(
        rowsArbitrary,
        sizesArbitrary,
        fc.integer({ min: 64, max: 200 }),
        async (rows, sizes, unitBytes) => {
          const lines = Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join('\r\n'));
          const array = Buffer.from(JSON.stringify(rows, null, 1));
          const csv = Buffer.from(csvOf(rows, '\r\n'));
          const cuts: ((bytes: Buffer, sizes: readonly number[]) => AsyncGenerator<RecordUnit>)[] =
            [
              (bytes, by) =>
                cutLines(inChunks(bytes, by), { path: 'x', layout: 'json-lines', unitBytes }),
              (bytes, by) => cutJsonArray(inChunks(bytes, by), 'x', unitBytes),
              (bytes, by) => cutCsv(inChunks(bytes, by), { path: 'x', delimiter: ',', unitBytes }),
            ];
          for (const [i, bytes] of [lines, array, csv].entries()) {
            const whole = comparable(await gather(cuts[i]!(bytes, [bytes.length])));
            expect(comparable(await gather(cuts[i]!(bytes, sizes)))).toEqual(whole);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('give the same rows and lines at every size, and their number is counted', async () => {
    await fc.assert(
      fc.asyncProperty(
        rowsArbitrary,
        fc.integer({ min: 64, max: 200 }),
        async (rows, unitBytes) => {
          const json = rows.map((row) => JSON.stringify(row));
          const files: Record<string, string | Buffer> = {
            'a.jsonl': json.join('\n\n'),
            'b.jsonl.gz': Buffer.concat([
              gzipSync(`${json[0]}\r\n`),
              gzipSync(json.slice(1).join('\r\n')),
            ]),
            'c.json': `\ufeff${JSON.stringify(rows, null, 2)}\n`,
            'd.csv': csvOf(rows, '\n'),
            'e.csv.gz': gzipSync(csvOf(rows, '\r\n')),
          };
          for (const [name, content] of Object.entries(files)) {
            const path = join(dir, name);
            await writeFile(path, content);
            const file = await probeFile(path);
            const items: ReadItem[] = [];
            for await (const unit of planReadUnits([file], { unitBytes }))
              items.push(...(await gather(readUnit(unit))));
            const all = await gather(readRecords(path));
            const expected = name.includes('csv')
              ? rows.map(({ text, n }) => ({ text, n: String(n) }))
              : rows;
            expect(items.map((item) => item.kind === 'record' && item.value)).toEqual(expected);
            expect(all.map((item) => item.kind === 'record' && item.value)).toEqual(expected);
            expect(all.map((item) => item.row)).toEqual(rows.map((_, i) => i + 1));
            expect(await countRows([file])).toBe(rows.length);
          }
        },
      ),
      { numRuns: 15 },
    );
  });

  it('own their bytes, so that they can be handed to a worker', async () => {
    const path = join(dir, 'own.json.gz');
    await writeFile(path, gzipSync(JSON.stringify(Array.from({ length: 500 }, (_, i) => ({ i })))));
    const units: ReadUnit[] = [];
    for await (const unit of planReadUnits([await probeFile(path)], { unitBytes: 1000 })) {
      if (unit.kind !== 'records') throw new Error('a record unit was expected');
      units.push(structuredClone(unit, { transfer: [unit.bytes.buffer] }));
      expect(unit.bytes.length).toBe(0);
    }
    expect(units.length).toBeGreaterThan(3);
    const items = (await Promise.all(units.map((unit) => gather(readUnit(unit))))).flat();
    expect(items.map((item) => item.kind === 'record' && item.value)).toEqual(
      Array.from({ length: 500 }, (_, i) => ({ i })),
    );
  });
});

describe('reading', () => {
  it('stops between units and windows when the signal fires', async () => {
    const path = join(dir, 'stop.jsonl.gz');
    await writeFile(path, gzipSync('{"a":1}\n'.repeat(200_000)));
    const controller = new AbortController();
    const { signal } = controller;
    const units = planReadUnits([await probeFile(path)], { unitBytes: 1000, signal });
    const first = await units.next();
    controller.abort();
    await expect(gather(units)).rejects.toMatchObject({ code: 'CANCELLED' });
    const unit = first.value as ReadUnit;
    await expect(gather(readUnit(unit, { signal }))).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('keeps the blanks of text lines and the text of CSV fields', async () => {
    await writeFile(join(dir, 'blanks.txt'), '  if x:\r\n\treturn \n \n');
    const items = await gather(readRecords(join(dir, 'blanks.txt')));
    expect(items.map((item) => item.kind === 'record' && item.value)).toEqual([
      { text: '  if x:' },
      { text: '\treturn ' },
    ]);
  });
});
