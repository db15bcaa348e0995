/** The files of the bad-input corpus that are large, unpack to much, or are many. */
import { writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { TuneyardError } from '@tuneyard/core';
import { beforeAll, describe, expect, it } from 'vitest';
import { readRecords } from '../src/index.js';
import { fixture, patched, plainBlock, repeatBlock, zstdFrame } from './bad-input-files.js';
import {
  collect,
  failure,
  MEMORY_LIMIT,
  MIB,
  type Refused,
  readInUnits,
} from './bad-input-reading.js';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-bad-input-slow-'));
});

function save(name: string, bytes: string | Buffer): string {
  const path = join(dir, name);
  writeFileSync(path, bytes);
  return path;
}

const gzipped = (text: string | Buffer) => gzipSync(text);

const REFUSED: readonly Refused[] = [
  [
    'a gigantic line',
    'giant.jsonl',
    () => Buffer.alloc(66 * MIB, 'a'),
    'DATA_RECORD_TOO_LARGE',
    'at byte 0',
  ],
  [
    'a gigantic element',
    'giant.json',
    () => `["${'a'.repeat(66 * MIB)}"]`,
    'DATA_RECORD_TOO_LARGE',
    'element 1',
  ],
  [
    'a gzip bomb of one line',
    'line.jsonl.gz',
    () => gzipped(Buffer.alloc(200 * MIB, 'a')),
    'DATA_RECORD_TOO_LARGE',
    'longer than',
  ],
  [
    'a gzip bomb of empty lines',
    'lines.txt.gz',
    () => gzipped(Buffer.concat([Buffer.from('x'), Buffer.alloc(300 * MIB, '\n')])),
    'DATA_EXPANDS_TOO_MUCH',
    'become more than',
  ],
  [
    'a Zstandard bomb of one line',
    'bomb.jsonl.zst',
    () => zstdFrame({ blocks: Array.from({ length: 100_000 }, () => repeatBlock(0x61)) }),
    'DATA_RECORD_TOO_LARGE',
    'longer than',
  ],
  [
    'a Zstandard bomb of empty lines',
    'bomb.txt.zst',
    () =>
      zstdFrame({
        blocks: [plainBlock('x', false), ...Array.from({ length: 9000 }, () => repeatBlock(0x0a))],
      }),
    'DATA_EXPANDS_TOO_MUCH',
    'become more than',
  ],
  [
    'a CSV quote that swallows the file',
    'swallow.csv',
    () => Buffer.concat([Buffer.from('a\nb\n"'), Buffer.alloc(66 * MIB, 'x\n')]),
    'DATA_RECORD_TOO_LARGE',
    ':3:',
  ],
];

describe('large files that cannot be read', () => {
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

describe('files with any byte changed', () => {
  const VICTIMS: readonly (readonly [string, number])[] = [
    ['flat-snappy-groups.parquet', 13],
    ['chat-zstd-v2-pages.parquet', 31],
    ['flat-delta.parquet', 17],
    ['flat-gzip-v2.parquet', 11],
    ['chat-file.arrow', 17],
    ['dictionary-stream.arrow', 3],
    ['flat-lz4.arrow', 13],
    ['frames.jsonl.zst', 23],
  ];

  it.each(VICTIMS)('%s is read, or refused with an error of ours', async (name, stride) => {
    const bytes = fixture(name);
    const before = process.memoryUsage().rss;
    let refused = 0;
    for (let at = 0; at < bytes.length; at += stride) {
      const value = (at * 37) % 3 === 0 ? 0xff : (bytes[at] ?? 0) ^ (1 << (at % 8));
      const path = save(`byte-${name}`, patched(bytes, at, [value]));
      const items = await readInUnits(path).catch((error: unknown) => error);
      if (Array.isArray(items)) continue;
      refused++;
      expect(items, `byte ${at}`).toBeInstanceOf(TuneyardError);
      expect((items as TuneyardError).code).toMatch(/^DATA_/);
    }
    expect(refused).toBeGreaterThan(3);
    expect(process.memoryUsage().rss - before).toBeLessThan(MEMORY_LIMIT);
  });
});
