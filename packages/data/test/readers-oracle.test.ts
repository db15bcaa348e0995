/** Holds the readers against the tools that own the formats: see fixtures/readers/README.md. */
import { readFileSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  countRows,
  discoverDataFiles,
  planReadUnits,
  type ReadItem,
  readRecords,
  readUnit,
} from '../src/index.js';

const FIXTURES = fileURLToPath(new URL('./fixtures/readers/', import.meta.url));

const PARQUET = [
  'flat-snappy-groups',
  'flat-none-pages',
  'flat-gzip-v2',
  'flat-brotli',
  'flat-lz4',
  'flat-delta',
  'chat-zstd',
  'chat-snappy-pages',
  'chat-zstd-v2-pages',
  'nested',
  'types',
  'pandas',
];

function expectedRows(name: string): unknown[] {
  return JSON.parse(readFileSync(join(FIXTURES, `${name}.rows.json`), 'utf8'));
}

/** Values as the fixtures write them: bytes as base64. */
function comparable(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, inner: unknown) =>
      inner instanceof Uint8Array ? { base64: Buffer.from(inner).toString('base64') } : inner,
    ),
  );
}

async function valuesOf(items: AsyncIterable<ReadItem>): Promise<unknown[]> {
  const values: unknown[] = [];
  for await (const item of items) {
    values.push(item.kind === 'record' ? comparable(item.value) : item);
  }
  return values;
}

/** Reads through units, as preprocessing does. */
async function readByUnits(path: string, unitBytes: number, columns?: readonly string[]) {
  const files = await discoverDataFiles(path, { baseDir: FIXTURES });
  const options = columns === undefined ? {} : { columns };
  const values: unknown[] = [];
  let units = 0;
  for await (const unit of planReadUnits(files, { unitBytes, ...options })) {
    units++;
    const own: ReadItem[] = [];
    for await (const item of readUnit(unit, options)) own.push(item);
    expect(own.map((item) => item.row)).toEqual(own.map((_, i) => i + 1));
    values.push(...own.map((item) => (item.kind === 'record' ? comparable(item.value) : item)));
  }
  expect(await countRows(files)).toBe(values.length);
  return { values, units };
}

describe('Parquet files made by pyarrow', () => {
  it.each(PARQUET)('reads %s as pyarrow does', async (name) => {
    const values = await valuesOf(readRecords(join(FIXTURES, `${name}.parquet`)));
    expect(values).toEqual(expectedRows(`${name}.parquet`));
  });

  it.each(PARQUET)('reads %s in small units', async (name) => {
    const { values, units } = await readByUnits(`${name}.parquet`, 512);
    expect(values).toEqual(expectedRows(`${name}.parquet`));
    if (name === 'flat-none-pages') expect(units).toBeGreaterThan(20);
  });

  it.each(['chat-snappy-pages', 'chat-zstd', 'nested', 'flat-none-pages'])(
    'reads any range of rows of %s, onwards and backwards',
    async (name) => {
      const path = join(FIXTURES, `${name}.parquet`);
      const expected = expectedRows(`${name}.parquet`);
      const begins = expected.map((_, i) => i).filter((i) => i % 11 === 0);
      for (const begin of [...begins, ...begins.reverse()]) {
        const end = Math.min(begin + 11, expected.length);
        const unit = { kind: 'rows', path, layout: 'parquet', begin, end } as const;
        expect(await valuesOf(readUnit(unit))).toEqual(expected.slice(begin, end));
      }
    },
  );

  it('reads only the columns asked for, and those that are there', async () => {
    const { values } = await readByUnits('flat-snappy-groups.parquet', 4096, [
      'id',
      'none',
      'text',
    ]);
    const rows = expectedRows('flat-snappy-groups.parquet') as { text: unknown; id: unknown }[];
    expect(values).toEqual(rows.map(({ text, id }) => ({ text, id })));
  });
});

const ARROW = [
  'chat-file',
  'flat-stream',
  'dictionary-stream',
  'dictionary-file',
  'types-stream',
  'nested-file',
  'flat-lz4',
  'flat-zstd',
];

describe('Arrow files made by pyarrow', () => {
  it.each(ARROW)('reads %s as pyarrow does', async (name) => {
    const values = await valuesOf(readRecords(join(FIXTURES, `${name}.arrow`)));
    expect(values).toEqual(expectedRows(`${name}.arrow`));
  });

  it.each(ARROW)('reads %s in small units', async (name) => {
    const { values, units } = await readByUnits(`${name}.arrow`, 64);
    expect(values).toEqual(expectedRows(`${name}.arrow`));
    if (name === 'chat-file') expect(units).toBeGreaterThan(20);
  });

  it('reads only the columns asked for', async () => {
    const { values } = await readByUnits('chat-file.arrow', 4096, ['tags']);
    const rows = expectedRows('chat-file.arrow') as { tags: unknown }[];
    expect(values).toEqual(rows.map(({ tags }) => ({ tags })));
  });
});

describe('a data set saved by Hugging Face datasets', () => {
  it('gives the rows of a split', async () => {
    expect((await readByUnits('saved', 4096)).values).toEqual(expectedRows('saved-train'));
    const files = await discoverDataFiles('saved', { baseDir: FIXTURES, split: 'test' });
    expect(await valuesOf(readRecords(files[0]?.path ?? ''))).toEqual(expectedRows('saved-test'));
  });
});

describe('CSV as Python reads it', () => {
  const cases: readonly { raw: string; delimiter: string; rows: string[][] }[] = JSON.parse(
    readFileSync(join(FIXTURES, 'csv-cases.json'), 'utf8'),
  );
  let dir = '';
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tuneyard-csv-'));
  });

  it('gives the same fields in every case', async () => {
    expect(cases.length).toBeGreaterThan(300);
    for (const { raw, delimiter, rows } of cases) {
      const path = join(dir, delimiter === ',' ? 'case.csv' : 'case.tsv');
      await writeFile(path, raw);
      const [header = [], ...records] = rows;
      const expected = records.map((fields) =>
        fields.length === header.length
          ? Object.fromEntries(header.map((name, i) => [name, fields[i]]))
          : `${fields.length} fields where the header has ${header.length}`,
      );
      if (expected.length === 0) {
        await expect(valuesOf(readRecords(path))).rejects.toMatchObject({
          code: 'DATA_FILE_EMPTY',
        });
        continue;
      }
      const show = (items: unknown[]) =>
        items.map((item) => (item as { reason?: string }).reason ?? item);
      expect(show(await valuesOf(readRecords(path))), JSON.stringify(raw)).toEqual(expected);
      expect(show((await readByUnits(path, 64)).values)).toEqual(expected);
    }
  });
});

describe('Zstandard', () => {
  it.each(['frames.jsonl.zst', 'stream.jsonl.zst'])('unpacks %s', async (name) => {
    const lines = readFileSync(join(FIXTURES, 'lines.jsonl'), 'utf8').trimEnd().split('\n');
    const rows = lines.map((line) => JSON.parse(line));
    expect(await valuesOf(readRecords(join(FIXTURES, name)))).toEqual(rows);
    expect((await readByUnits(name, 1000)).values).toEqual(rows);
  });

  it('unpacks a frame of a few bytes', async () => {
    expect(await valuesOf(readRecords(join(FIXTURES, 'tiny.jsonl.zst')))).toEqual([7]);
  });
});
