/**
 * Damaged, hostile and mistaken data files: each ends as an error or a malformed row that names its place, without a
 * crash, a hang or memory of the size that the file claims.
 */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  countRows,
  discoverDataFiles,
  planReadUnits,
  readRecords,
  readUnit,
} from '../src/index.js';
import {
  arrowMessages,
  bodyBytes,
  fixture,
  parquetFooterBegin,
  patched,
  plainBlock,
  replaced,
  zstdFrame,
} from './bad-input-files.js';
import { collect, failure, MEMORY_LIMIT, type Refused, readInUnits } from './bad-input-reading.js';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-bad-input-'));
});

function save(name: string, bytes: string | Buffer): string {
  const path = join(dir, name);
  writeFileSync(path, bytes);
  return path;
}

const flat = () => fixture('flat-none-pages.parquet');
const gzipped = (text: string | Buffer) => gzipSync(text);
const LINES = '{"text":"one"}\n{"text":"two"}\n';

const REFUSED: readonly Refused[] = [
  ['an empty file', 'empty.jsonl', () => '', 'DATA_FILE_EMPTY', 'empty'],
  ['only blank lines', 'blank.jsonl', () => '\n \r\n\t\n', 'DATA_FILE_EMPTY', 'blank'],
  ['only a byte order mark', 'mark.txt', () => '\ufeff', 'DATA_FILE_EMPTY', 'blank'],
  ['an unknown extension', 'data.docx', () => LINES, 'DATA_UNKNOWN_FILE_TYPE', '.docx'],
  ['no extension', 'data', () => LINES, 'DATA_UNKNOWN_FILE_TYPE', "''"],
  ['a gzipped Parquet file', 'a.parquet.gz', () => gzipped('x'), 'DATA_UNKNOWN_FILE_TYPE', '.gz'],
  [
    'UTF-16 with a mark',
    'le.jsonl',
    () => Buffer.from('\ufeff{}', 'utf16le'),
    'DATA_BAD_ENCODING',
    'UTF-16LE',
  ],
  [
    'big-endian UTF-16',
    'be.csv',
    () => Buffer.from([0xfe, 0xff, 0, 0x61]),
    'DATA_BAD_ENCODING',
    'UTF-16BE',
  ],
  [
    'UTF-16 without a mark',
    'nomark.json',
    () => Buffer.from(LINES, 'utf16le'),
    'DATA_BAD_ENCODING',
    'UTF-16LE',
  ],
  [
    'UTF-32',
    'utf32.txt',
    () => Buffer.from([0xff, 0xfe, 0, 0, 0x61, 0, 0, 0]),
    'DATA_BAD_ENCODING',
    'UTF-32LE',
  ],
  [
    'gzipped UTF-16',
    'u.jsonl.gz',
    () => gzipped(Buffer.from(LINES, 'utf16le')),
    'DATA_BAD_ENCODING',
    'UTF-16LE',
  ],
  ['gzip named .jsonl', 'gz.jsonl', () => gzipped(LINES), 'DATA_FILE_MISMATCH', 'gzip'],
  [
    'Zstandard named .json',
    'zst.json',
    () => fixture('tiny.jsonl.zst'),
    'DATA_FILE_MISMATCH',
    'zstd',
  ],
  ['Parquet named .json', 'pq.json', flat, 'DATA_FILE_MISMATCH', 'parquet'],
  ['Arrow named .csv', 'ar.csv', () => fixture('chat-file.arrow'), 'DATA_FILE_MISMATCH', 'arrow'],
  [
    'an Excel sheet named .csv',
    'xl.csv',
    () => Buffer.from('PK\x03\x04rest'),
    'DATA_FILE_MISMATCH',
    'Excel',
  ],
  ['text named .gz', 'text.jsonl.gz', () => LINES, 'DATA_FILE_MISMATCH', 'does not begin as gzip'],
  [
    'text named .zst',
    'text.jsonl.zst',
    () => LINES,
    'DATA_FILE_MISMATCH',
    'does not begin as zstd',
  ],
  [
    'text named .parquet',
    'text.parquet',
    () => LINES,
    'DATA_FILE_MISMATCH',
    'does not begin as parquet',
  ],
  ['text named .arrow', 'text.arrow', () => LINES, 'DATA_FILE_MISMATCH', 'does not begin as arrow'],

  [
    'an object over several lines',
    'pretty.json',
    () => '{\n"a": 1\n}\n',
    'DATA_BAD_JSON',
    /:1: row 1: /,
  ],
  [
    'an array that is not closed',
    'open.json',
    () => '[{"a":1},\n{"a":2}',
    'DATA_BAD_JSON',
    /:2: row 2: .*not closed/,
  ],
  ['an array cut off in a text', 'cut.json', () => '[{"a":"x', 'DATA_BAD_JSON', 'not closed'],
  ['text after an array', 'two.json', () => '[1]\n[2]', 'DATA_BAD_JSON', ':2:'],
  [
    'an array nested too deeply',
    'deep.json',
    () => '['.repeat(5000),
    'DATA_RECORD_TOO_LARGE',
    'nested too deeply',
  ],

  [
    'gzip cut off',
    'cut.jsonl.gz',
    () => gzipped(LINES.repeat(99)).subarray(0, -9),
    'DATA_BAD_COMPRESSION',
    'cut off',
  ],
  [
    'gzip cut off in its header',
    'head.jsonl.gz',
    () => gzipped(LINES).subarray(0, 5),
    'DATA_BAD_COMPRESSION',
    'cut off',
  ],
  [
    'gzip with a wrong checksum',
    'crc.jsonl.gz',
    () => {
      const z = gzipped(LINES);
      return patched(z, z.length - 8, [0, 0, 0, 0]);
    },
    'DATA_BAD_COMPRESSION',
    'damaged',
  ],
  [
    'gzip of another method',
    'method.jsonl.gz',
    () => patched(gzipped(LINES), 2, [7]),
    'DATA_BAD_COMPRESSION',
    'damaged',
  ],
  ['gzip of nothing', 'none.jsonl.gz', () => gzipped(''), 'DATA_FILE_EMPTY', 'blank'],

  [
    'Zstandard cut off',
    'cut.jsonl.zst',
    () => fixture('frames.jsonl.zst').subarray(0, 4000),
    'DATA_BAD_COMPRESSION',
    'cut off',
  ],
  [
    'a damaged Zstandard block',
    'block.jsonl.zst',
    () => patched(fixture('frames.jsonl.zst'), 60, [255, 255, 255, 255]),
    'DATA_BAD_COMPRESSION',
    'damaged',
  ],
  [
    'text after a Zstandard frame',
    'tail.jsonl.zst',
    () => Buffer.concat([fixture('tiny.jsonl.zst'), Buffer.from('tail')]),
    'DATA_BAD_COMPRESSION',
    'not a Zstandard frame',
  ],
  [
    'a reserved Zstandard block',
    'type.jsonl.zst',
    () => zstdFrame({ blocks: [Buffer.from([7, 0, 0])] }),
    'DATA_BAD_COMPRESSION',
    'reserved',
  ],
  [
    'a Zstandard block too large',
    'big.jsonl.zst',
    () => zstdFrame({ blocks: [Buffer.from([3, 0, 0xff, 1])] }),
    'DATA_BAD_COMPRESSION',
    'declares',
  ],
  [
    'a Zstandard window of 1 GiB',
    'window.jsonl.zst',
    () => zstdFrame({ window: 0xa0, blocks: [plainBlock(LINES, true)] }),
    'DATA_BAD_COMPRESSION',
    'window',
  ],
  [
    'a Zstandard dictionary',
    'dict.jsonl.zst',
    () => zstdFrame({ flags: 1, extra: Buffer.from([9]), blocks: [plainBlock(LINES, true)] }),
    'DATA_BAD_COMPRESSION',
    'dictionary 9',
  ],
  [
    'a Zstandard frame of another size',
    'size.jsonl.zst',
    () =>
      zstdFrame({
        flags: 0x80,
        extra: Buffer.from([99, 0, 0, 0]),
        blocks: [plainBlock(LINES, true)],
      }),
    'DATA_BAD_COMPRESSION',
    'a frame of 99 bytes',
  ],

  ['a CSV file of a header alone', 'head.csv', () => 'text,label\n', 'DATA_FILE_EMPTY', 'header'],
  [
    'a CSV header that names a column twice',
    'twice.csv',
    () => 'text,label,text\n1,2,3\n',
    'DATA_BAD_CSV',
    /:1: .*'text' twice/,
  ],
  [
    'a CSV quote that is never closed',
    'quote.csv',
    () => 'a,b\n1,2\n"x,2\n3,4\n',
    'DATA_BAD_CSV',
    ':3:',
  ],
  [
    'a CSV header that is not UTF-8',
    'latin.csv',
    () => Buffer.from('caf\xe9,b\n1,2\n', 'latin1'),
    'DATA_BAD_CSV',
    ':1:',
  ],

  [
    'a Parquet file cut off',
    'cut.parquet',
    () => flat().subarray(0, 9000),
    'DATA_BAD_PARQUET',
    'PAR1',
  ],
  [
    'a Parquet file of 8 bytes',
    'short.parquet',
    () => Buffer.from('PAR1PAR1'),
    'DATA_BAD_PARQUET',
    '8 bytes',
  ],
  [
    'an encrypted Parquet footer',
    'secret.parquet',
    () => patched(flat(), flat().length - 1, [0x45]),
    'DATA_BAD_PARQUET',
    'encrypted',
  ],
  [
    'a Parquet footer beyond the file',
    'foot.parquet',
    () => patched(flat(), flat().length - 8, [255, 255, 255, 127]),
    'DATA_BAD_PARQUET',
    'footer declares',
  ],
  [
    'a Parquet footer of zeros',
    'zeros.parquet',
    () => patched(flat(), parquetFooterBegin(flat()), new Array(200).fill(0)),
    'DATA_BAD_PARQUET',
    'not a readable',
  ],
  [
    'a negative size of a Parquet page',
    'negative.parquet',
    () => patched(flat(), 10, [(flat()[10] ?? 0) | 1]),
    'DATA_BAD_PARQUET',
    'row group 1',
  ],
  [
    'Parquet pages of noise',
    'noise.parquet',
    () =>
      patched(
        flat(),
        4,
        Array.from({ length: 2000 }, (_, i) => (i * 7919) & 255),
      ),
    'DATA_BAD_PARQUET',
    'row group 1',
  ],
  [
    'a packed Parquet page that is damaged',
    'packed.parquet',
    () => patched(fixture('chat-zstd.parquet'), 40, new Array(60).fill(0xaa)),
    'DATA_BAD_PARQUET',
    'row group 1',
  ],

  [
    'an Arrow stream cut off',
    'cut.arrow',
    () => fixture('flat-stream.arrow').subarray(0, 3000),
    'DATA_BAD_ARROW',
    'cut off',
  ],
  [
    'an Arrow file cut off',
    'cutfile.arrow',
    () => fixture('chat-file.arrow').subarray(0, -20),
    'DATA_BAD_ARROW',
    'cut off',
  ],
  [
    'Arrow metadata beyond the file',
    'meta.arrow',
    () => patched(fixture('flat-stream.arrow'), 4, [255, 255, 255, 15]),
    'DATA_BAD_ARROW',
    'metadata',
  ],
  [
    'an Arrow stream without a schema',
    'noschema.arrow',
    () => fixture('flat-stream.arrow').subarray(arrowMessages(fixture('flat-stream.arrow'), 0)[1]),
    'DATA_BAD_ARROW',
    'schema',
  ],
  [
    'an Arrow stream of a schema alone',
    'norows.arrow',
    () =>
      fixture('flat-stream.arrow').subarray(0, arrowMessages(fixture('flat-stream.arrow'), 0)[1]),
    'DATA_FILE_EMPTY',
    'no rows',
  ],
  [
    'an Arrow body beyond the file',
    'body.arrow',
    () => withBody(255),
    'DATA_BAD_ARROW',
    /batch 1 declares|a size of/,
  ],
  [
    'an Arrow body of a negative size',
    'minus.arrow',
    () => withBody(-1),
    'DATA_BAD_ARROW',
    'a size of -',
  ],
];

/** The first record batch with another highest but one byte of its body's length. */
function withBody(value: number): Buffer {
  const bytes = fixture('flat-stream.arrow');
  const at = (arrowMessages(bytes, 0)[1] ?? 0) + 8;
  const { at: place } = bodyBytes(bytes.subarray(at));
  const length = Buffer.alloc(8);
  length.writeBigInt64LE(value < 0 ? -8n : BigInt(value) << 32n);
  return patched(bytes, at + place, [...length]);
}

describe('files that cannot be read', () => {
  it.each(REFUSED)('%s is refused', async (_, name, content, code, says) => {
    const path = save(name, content());
    const before = process.memoryUsage().rss;
    const error = await failure(collect(readRecords(path)));
    expect(error.code).toBe(code);
    expect(error.message).toContain(path);
    expect(error.message).toMatch(says);
    expect(error.details['file']).toBe(path);
    expect((await failure(readInUnits(path))).code).toBe(code);
    expect(process.memoryUsage().rss - before).toBeLessThan(MEMORY_LIMIT);
  });
});

/** A row that cannot be read among rows that can: name, content, the row, its line, the reason. */
type Malformed = readonly [
  what: string,
  name: string,
  content: () => string | Buffer,
  row: number,
  line: number,
  reason: string | RegExp,
];

const MALFORMED: readonly Malformed[] = [
  ['a line cut off', 'cut-line.jsonl', () => `${LINES}{"text":"thr`, 3, 3, /JSON/],
  ['a line of half an object', 'half.jsonl', () => `{"text":\n${LINES}`, 1, 1, /JSON/],
  ['single quotes', 'single.jsonl', () => `${LINES}\n{'a':1}\n`, 3, 4, /JSON/],
  ['NaN', 'nan.jsonl', () => `{"a":NaN}\n${LINES}`, 1, 1, /JSON/],
  ['a comma after the last field', 'comma.jsonl', () => `{"a":1,}\n${LINES}`, 1, 1, /JSON/],
  ['two objects on a line', 'pair.jsonl', () => `{"a":1}{"a":2}\n${LINES}`, 1, 1, /JSON/],
  ['a NUL in JSON', 'nul.jsonl', () => `${LINES}{"a":"x\0y"}\n`, 3, 3, 'NUL'],
  ['a line of NULs', 'nuls.jsonl', () => `${LINES}\0\0\0\0\n`, 3, 3, 'NUL'],
  ['a NUL in text', 'nul.txt', () => 'one\ntw\0o\nthree\n', 2, 2, 'NUL'],
  [
    'bytes that are not UTF-8',
    'bytes.jsonl',
    () => Buffer.concat([Buffer.from(LINES), Buffer.from([0x22, 0xff, 0x22])]),
    3,
    3,
    'UTF-8',
  ],
  [
    'a GBK line among UTF-8 lines',
    'gbk.txt',
    () =>
      Buffer.concat([
        Buffer.from('世界\n'),
        Buffer.from([0xca, 0xc0, 0xbd, 0xe7]),
        Buffer.from('\né\n'),
      ]),
    2,
    2,
    'UTF-8',
  ],
  [
    'a Latin-1 element of an array',
    'latin.json',
    () => Buffer.from('["a",\n"caf\xe9",\n"b"]', 'latin1'),
    2,
    2,
    'UTF-8',
  ],
  [
    'half a surrogate pair as bytes',
    'surrogate.jsonl',
    () => Buffer.concat([Buffer.from('"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"\n1\n')]),
    1,
    1,
    'UTF-8',
  ],
  [
    'a line nested too deeply',
    'deep.jsonl',
    () => `${LINES}${'['.repeat(9000)}${']'.repeat(9000)}\n`,
    3,
    3,
    'deep',
  ],
  ['a missing element', 'missing.json', () => '[1,\n2,,\n3]', 3, 2, /JSON/],
  ['an element that is not JSON', 'word.json', () => '[{"a":1},\n{a:2},\n{"a":3}]', 2, 2, /JSON/],
  [
    'a raw line end in a text of an array',
    'raw.json',
    () => '[{"a":1},\n{"a":"x\ny"},{"a":3}]',
    2,
    2,
    /control/,
  ],
  [
    'too few CSV fields',
    'few.csv',
    () => 'a,b\n1,2\n"x\ny",2\n3\n',
    3,
    5,
    '1 fields where the header has 2',
  ],
  [
    'too many CSV fields',
    'many.csv',
    () => 'a,b\r\n1,2,3\r\n4,5\r\n',
    1,
    2,
    '3 fields where the header has 2',
  ],
  ['a CSV row cut off', 'cut.tsv', () => 'a\tb\n1\t2\n3', 2, 3, '1 fields'],
  [
    'a CSV field that is not UTF-8',
    'latin-row.csv',
    () => Buffer.from('a,b\n1,caf\xe9\n3,4\n', 'latin1'),
    1,
    2,
    'UTF-8',
  ],
  ['a NUL in CSV', 'nul.csv', () => 'a,b\n1,2\n3,\0\n', 2, 3, 'NUL'],
  [
    'a gzipped malformed line',
    'bad.jsonl.gz',
    () => gzipSync(`${LINES}\n{"a"\n{}\n`),
    3,
    4,
    /JSON/,
  ],
  ['a text in Parquet that is not UTF-8', 'text.parquet', () => badParquetText(), 1, 1, 'UTF-8'],
  ['a text in Arrow that is not UTF-8', 'text.arrow', () => badArrowText(), 1, 1, 'UTF-8'],
];

function badParquetText(): Buffer {
  return replaced(flat(), Buffer.from('émile'), Buffer.from('\xc3\x28mile', 'latin1'));
}

function badArrowText(): Buffer {
  return replaced(
    fixture('flat-stream.arrow'),
    Buffer.from('émile'),
    Buffer.from('\xc3\x28mile', 'latin1'),
  );
}

describe('rows that cannot be read', () => {
  it.each(MALFORMED)('%s is one malformed row', async (_, name, content, row, line, reason) => {
    const path = save(`row-${name}`, content());
    const items = await collect(readRecords(path));
    const bad = items.filter((item) => item.kind === 'malformed');
    const isColumnar = name.endsWith('.parquet') || name.endsWith('.arrow');
    // The damaged text may be in any row; elsewhere the place is known.
    if (!isColumnar) {
      expect(bad).toMatchObject([{ row, line }]);
      expect(items.map((item) => item.row)).toEqual(items.map((_, i) => i + 1));
    }
    expect(bad).toHaveLength(1);
    expect(bad[0]).toMatchObject({ reason: expect.stringMatching(reason) });
    expect(items.length).toBeGreaterThan(1);
    expect(await readInUnits(path)).toEqual(items);
    const files = await discoverDataFiles(path, { baseDir: dir });
    expect(await countRows(files)).toBe(items.length);
  });

  it('values that are no objects are handed on for the handler to refuse', async () => {
    const path = save('types.jsonl', '1\n"a"\nnull\n[1]\ntrue\n');
    const items = await collect(readRecords(path));
    expect(items.map((item) => item.kind === 'record' && item.value)).toEqual([
      1,
      'a',
      null,
      [1],
      true,
    ]);
  });

  it('a name that would set the prototype is a field like others', async () => {
    const [csv] = await collect(readRecords(save('proto.csv', '__proto__,b\nx,y\n')));
    const [json] = await collect(readRecords(save('proto.jsonl', '{"__proto__":"x","b":"y"}')));
    expect(csv).toEqual(json);
    expect(Object.keys((csv as { value: object }).value)).toEqual(['__proto__', 'b']);
  });
});

describe('paths that lead nowhere', () => {
  const discover = (input: string) => discoverDataFiles(input, { baseDir: dir });

  it('names a missing file, a file as folder and a folder as file', async () => {
    expect(await failure(discover('none.jsonl'))).toMatchObject({
      code: 'DATA_FILE_NOT_FOUND',
      category: 'not_found',
    });
    save('plain.txt', 'x');
    expect((await failure(discover('plain.txt/a.json'))).message).toContain('is a file');
    const folder = join(dir, 'folder.json');
    mkdirSync(folder);
    expect((await failure(collect(readRecords(folder)))).message).toContain('directory');
    expect((await failure(discover('folder.json'))).code).toBe('DATA_NO_FILES');
  });

  it('names links that go in a circle or lead nowhere', async () => {
    const folder = join(dir, 'links');
    mkdirSync(folder);
    symlinkSync('b.jsonl', join(folder, 'a.jsonl'));
    symlinkSync('a.jsonl', join(folder, 'b.jsonl'));
    const error = await failure(discover('links/a.jsonl'));
    expect(error.code).toBe('DATA_FILE_NOT_FOUND');
    expect(error.message).toContain('circle');
    expect((await failure(discover('links'))).message).toContain('a.jsonl');
    const dangling = join(dir, 'dangling');
    mkdirSync(dangling);
    symlinkSync('/nowhere/at/all.jsonl', join(dangling, 'x.jsonl'));
    expect((await failure(discover('dangling'))).message).toContain('x.jsonl');
  });

  it('walks a folder that contains itself once', async () => {
    const folder = join(dir, 'self');
    mkdirSync(join(folder, 'in'), { recursive: true });
    writeFileSync(join(folder, 'in', 'a.jsonl'), LINES);
    symlinkSync('..', join(folder, 'in', 'up'));
    const files = await discover('self/**/*.jsonl');
    expect(files.map((file) => file.path)).toContain(join(folder, 'in', 'a.jsonl'));
    expect(files.length).toBeLessThan(50);
  });

  it('refuses a device', async () => {
    symlinkSync('/dev/zero', join(dir, 'zero.jsonl'));
    expect((await failure(discover('zero.jsonl'))).message).toContain('not a regular file');
  });

  it('names an empty folder and a pattern without a match', async () => {
    mkdirSync(join(dir, 'nothing'));
    expect((await failure(discover('nothing'))).code).toBe('DATA_NO_FILES');
    expect(await failure(discover('nothing/*.json'))).toMatchObject({
      code: 'DATA_NO_FILES',
      category: 'not_found',
    });
  });

  it('names the columns of a file that has none of those asked for', async () => {
    const path = save('wrong.parquet', flat());
    const error = await failure(readInUnits(path, ['instruction', 'output']));
    expect(error.code).toBe('DATA_NO_SUCH_COLUMN');
    expect(error.message).toContain('text, source, id');
  });

  it('notices that a file became shorter after it was cut', async () => {
    const path = save('shrink.jsonl', LINES.repeat(100));
    const [file] = await discover(path);
    await truncate(path, 100);
    const read = async () => {
      for await (const unit of planReadUnits([file!])) await collect(readUnit(unit));
    };
    expect((await failure(read())).code).toBe('DATA_FILE_CHANGED');
  });
});

describe('files of another length or form', () => {
  it('a Parquet or Arrow file cut off anywhere is refused', async () => {
    for (const name of ['flat-gzip-v2.parquet', 'chat-file.arrow']) {
      const bytes = fixture(name);
      for (let length = 1; length < bytes.length; length += 37) {
        const path = save(`cut-${name}`, bytes.subarray(0, length));
        expect((await failure(readInUnits(path))).code).toMatch(/^DATA_(BAD_|FILE_MISMATCH)/);
      }
    }
  });

  it('deflate without gzip around it is no gzip', async () => {
    const path = save('raw.jsonl.gz', deflateRawSync(LINES));
    expect((await failure(readInUnits(path))).code).toBe('DATA_FILE_MISMATCH');
  });
});
