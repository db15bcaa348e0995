import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type ReadItem, readRecords } from './read-records.js';
import { JsonArrayScanner } from './text/json-array-scanner.js';
import { lineWindows } from './text/line-windows.js';
import { parseLines } from './text/parse-lines.js';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-readers-'));
});

async function read(name: string, content: string | Buffer): Promise<ReadItem[]> {
  const path = join(dir, name);
  await writeFile(path, content);
  return collect(path);
}

async function collect(path: string): Promise<ReadItem[]> {
  const items: ReadItem[] = [];
  for await (const item of readRecords(path)) items.push(item);
  return items;
}

async function errorOf(name: string, content: string | Buffer): Promise<TuneyardError> {
  const caught = await read(name, content).catch((error: unknown) => error);
  expect(caught).toBeInstanceOf(TuneyardError);
  return caught as TuneyardError;
}

/** Feeds `bytes` to an array scanner in pieces of the given sizes, cycled. */
function scanArray(bytes: Buffer, sizes: readonly number[]): string[] {
  const scanner = new JsonArrayScanner('x');
  const out: string[] = [];
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1;
    for (const raw of scanner.push(bytes.subarray(at, at + size))) out.push(raw.bytes.toString());
    at += size;
  }
  scanner.finish();
  return out;
}

describe('reading JSON Lines', () => {
  it('takes a byte order mark, CRLF, blank lines and a missing last line end', async () => {
    const items = await read('a.jsonl', '\ufeff{"a":1}\r\n\r\n  {"a":2}  \n{"a":3}');
    expect(items).toEqual([
      { kind: 'record', row: 1, value: { a: 1 } },
      { kind: 'record', row: 2, value: { a: 2 } },
      { kind: 'record', row: 3, value: { a: 3 } },
    ]);
  });

  it('reports a malformed line with its number and goes on', async () => {
    const items = await read('b.jsonl', '{"a":1}\n{"a":\n{"a":3}\n');
    expect(items.map((item) => [item.kind, item.row])).toEqual([
      ['record', 1],
      ['malformed', 2],
      ['record', 3],
    ]);
  });

  it('reports bytes that are not UTF-8', async () => {
    const items = await read('c.jsonl', Buffer.from([0x22, 0xff, 0x22, 0x0a]));
    expect(items).toMatchObject([
      { kind: 'malformed', row: 1, reason: 'bytes that are not UTF-8' },
    ]);
  });

  it('reads a .json file that holds one object per line', async () => {
    expect(await read('lines.json', '{"a":1}\n{"a":2}\n')).toHaveLength(2);
  });

  it('explains an object that is spread over several lines', async () => {
    const error = await errorOf('pretty.json', '{\n  "data": []\n}\n');
    expect(error.code).toBe('DATA_BAD_JSON');
    expect(error.hint).toContain('one line');
  });
});

describe('reading a JSON array', () => {
  it('numbers elements and keeps brackets and commas inside strings', async () => {
    const rows = [{ a: '],{"\\' }, [1, [2]], 'x,]', 5, null];
    const items = await read('a.json', JSON.stringify(rows, null, 2));
    expect(items).toEqual(rows.map((value, i) => ({ kind: 'record', row: i + 1, value })));
  });

  it('gives nothing for an empty array and ignores a trailing comma', async () => {
    expect(await read('e.json', ' [ \n ] ')).toEqual([]);
    expect(await read('t.json', '[{"a":1},]')).toHaveLength(1);
  });

  it('counts one bad element and keeps its neighbours', async () => {
    const items = await read('bad.json', '[{"a":1},\n{a:2},\n{"a":3},,{"a":5}]');
    expect(items.map((item) => item.kind)).toEqual([
      'record',
      'malformed',
      'record',
      'malformed',
      'record',
    ]);
    expect(items[1]).toMatchObject({ row: 2, line: 2 });
  });

  it('refuses a file cut off at any byte', async () => {
    const text = '[{"a":"x"},{"b":[1,2]}]';
    for (let length = 1; length < text.length; length++) {
      const error = await errorOf('cut.json', text.slice(0, length));
      expect(error.code).toBe('DATA_BAD_JSON');
    }
  });

  it('refuses text after the array and excessive depth', async () => {
    expect((await errorOf('two.json', '[1][2]')).code).toBe('DATA_BAD_JSON');
    expect((await errorOf('deep.json', '['.repeat(600))).code).toBe('DATA_RECORD_TOO_LARGE');
  });

  it('cuts the same elements however the bytes are chunked', () => {
    fc.assert(
      fc.property(
        fc.array(fc.jsonValue(), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 4 }),
        (rows, sizes) => {
          const bytes = Buffer.from(JSON.stringify(rows, null, 1));
          const parts = scanArray(bytes, sizes);
          expect(parts.map((part) => JSON.parse(part))).toEqual(JSON.parse(bytes.toString()));
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('ranges of lines', () => {
  it('give every line once, wherever the file is cut and however small the window', async () => {
    const path = join(dir, 'ranges.jsonl');
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.string({ maxLength: 9 }), fc.constant('')), { maxLength: 12 }),
        fc.constantFrom('\n', '\r\n'),
        fc.boolean(),
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 30 }),
        async (texts, lineEnd, isClosed, unitBytes, windowBytes) => {
          const lines = texts.map((text) => (text === '' ? '' : JSON.stringify(text)));
          const bytes = Buffer.from(lines.join(lineEnd) + (isClosed ? lineEnd : ''));
          await writeFile(path, bytes);
          const source = { path, layout: 'json-lines', recordLines: null, rowsBefore: 0 } as const;
          const values: unknown[] = [];
          for (let begin = 0; begin < bytes.length; begin += unitBytes) {
            const range = { path, begin, end: Math.min(begin + unitBytes, bytes.length) };
            for (const window of lineWindows(range, windowBytes)) {
              const items = parseLines(window, source, { rows: 0, lines: 0 });
              values.push(...items.map((item) => (item.kind === 'record' ? item.value : item)));
            }
          }
          expect(values).toEqual(texts.filter((text) => text !== ''));
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('refusing files', () => {
  it('names the missing file, the directory, the empty file and the unknown type', async () => {
    const missing = await collect(join(dir, 'none.json')).catch((error: unknown) => error);
    expect(missing).toMatchObject({ code: 'DATA_FILE_NOT_FOUND', category: 'not_found' });
    expect(await collect(dir).catch((error: unknown) => error)).toMatchObject({
      code: 'DATA_FILE_NOT_FOUND',
    });
    expect((await errorOf('empty.jsonl', '')).code).toBe('DATA_FILE_EMPTY');
    expect((await errorOf('blank.json', ' \n\n')).code).toBe('DATA_FILE_EMPTY');
    expect((await errorOf('x.bin', 'PAR1')).code).toBe('DATA_UNKNOWN_FILE_TYPE');
  });

  it('names UTF-16 and gzip', async () => {
    expect((await errorOf('u.json', Buffer.from('\ufeff[]', 'utf16le'))).hint).toContain('UTF-8');
    expect((await errorOf('z.jsonl', Buffer.from([0x1f, 0x8b, 8]))).hint).toContain('.jsonl.gz');
  });

  it('stops when the signal fires', async () => {
    await writeFile(join(dir, 'big.jsonl'), '{"a":1}\n'.repeat(100_000));
    const controller = new AbortController();
    controller.abort();
    const records = readRecords(join(dir, 'big.jsonl'), { signal: controller.signal });
    await expect(records.next()).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('reads text lines as documents', async () => {
    expect(await read('t.txt', 'one\n\ntwo\n')).toEqual([
      { kind: 'record', row: 1, value: { text: 'one' } },
      { kind: 'record', row: 2, value: { text: 'two' } },
    ]);
  });
});
