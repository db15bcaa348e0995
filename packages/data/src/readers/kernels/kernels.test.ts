import fc from 'fast-check';
import { decompressLz4Raw } from 'hyparquet-compressors';
import { describe, expect, it } from 'vitest';
import { areRunsSound } from './check-rle-runs.js';
import { countLineFeeds } from './count-line-feeds.js';
import { joinElementLines } from './scan-json-array.js';
import { unpackLz4Block } from './unpack-lz4-block.js';

describe('the LZ4 block decoder', () => {
  it('repeats a pattern that overlaps what it writes', () => {
    // Two literals, a match of 9 at distance 2, then five literals.
    const block = Uint8Array.of(0x25, 0x61, 0x62, 2, 0, 0x50, 0x76, 0x77, 0x78, 0x79, 0x7a);
    const out = Buffer.alloc(16);
    expect(unpackLz4Block(block, out, 0)).toBe(16);
    expect(out.toString()).toBe('abababababavwxyz');
    expect(Buffer.from(decompressLz4Raw(block, 16)).toString()).toBe('abababababavwxyz');
  });

  it('never writes beyond its output, whatever the block', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }),
        fc.integer({ min: 0, max: 80 }),
        (block, size) => {
          const end = unpackLz4Block(block, Buffer.alloc(size), 0);
          expect(end).toBeGreaterThanOrEqual(-1);
          expect(end).toBeLessThanOrEqual(size);
        },
      ),
    );
  });
});

describe('the check of run-length data', () => {
  it('takes runs of the count and refuses one that declares more', () => {
    const runs = { begin: 0, end: 3, width: 1, count: 8 };
    // A run of 8 ones; a bit-packed run of 8; a run of 9.
    expect(areRunsSound(Uint8Array.of(16, 1, 0), runs)).toBe(true);
    expect(areRunsSound(Uint8Array.of(3, 0xff, 0), runs)).toBe(true);
    expect(areRunsSound(Uint8Array.of(18, 1, 0), runs)).toBe(false);
    expect(areRunsSound(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 1), { ...runs, end: 6 })).toBe(
      false,
    );
  });
});

describe('scanning bytes', () => {
  it('counts line feeds', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(countLineFeeds(Buffer.from(text))).toBe(text.split('\n').length - 1);
      }),
    );
  });

  it('makes an element one line without changing what it means', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const element = Buffer.from(JSON.stringify(value, null, 1));
        joinElementLines(element);
        expect(element.includes(10)).toBe(false);
        expect(JSON.parse(element.toString())).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});
