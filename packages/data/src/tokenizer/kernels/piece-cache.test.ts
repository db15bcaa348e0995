import { createRng } from '@tuneyard/core';
import { describe, expect, it } from 'vitest';
import { IdBuffer } from '../id-buffer.js';
import { encodePieces, type PieceMemory } from './encode-pieces.js';
import { createScratch } from './merge.js';
import { buildPairTable } from './pair-table.js';
import { createPieceTable, findPiece, insertPiece, READ_AHEAD } from './piece-cache.js';

const NO_RULES = {
  left: new Int32Array(0),
  right: new Int32Array(0),
  rank: new Int32Array(0),
  result: new Int32Array(0),
};

function textOf(bytes: Uint8Array) {
  const padded = new Uint8Array(bytes.length + READ_AHEAD);
  padded.set(bytes);
  return { bytes: padded, view: new DataView(padded.buffer) };
}

describe('remembered pieces', () => {
  it.each([64, 256, 4096, 65_536])('are those of a map, up to %i slots', (slotsMax) => {
    const rng = createRng(slotsMax);
    const table = createPieceTable(slotsMax);
    const known = new Map<string, number[]>();
    let stored = 0;
    let found = 0;
    for (let i = 0; i < 20_000; i++) {
      const length = 1 + rng.nextInt(rng.nextInt(4) === 0 ? 255 : 10);
      const bytes = Uint8Array.from({ length }, () => rng.nextInt(i % 2 === 0 ? 3 : 256));
      const { view } = textOf(bytes);
      const key = bytes.join();
      const slot = findPiece(table, view, 0, length);
      if (slot >= 0) {
        const count = table.slots[slot + 2]! >> 8;
        const value = table.slots[slot + 3]!;
        const ids = count === 1 ? [value] : [...table.ids.subarray(value, value + count)];
        expect(ids).toEqual(known.get(key));
        found++;
      } else {
        const ids = Int32Array.from({ length: rng.nextInt(6) }, () => rng.nextInt(1e6));
        if (insertPiece(table, view, 0, length, ids, 0, ids.length)) {
          known.set(key, [...ids]);
          stored++;
          expect(findPiece(table, view, 0, length)).toBeGreaterThanOrEqual(0);
        }
      }
    }
    expect(stored).toBeGreaterThan(slotsMax / 8);
    expect(found).toBeGreaterThan(100);
    expect(table.slots.length).toBeLessThanOrEqual(slotsMax * 4);
  });

  it('give the same ids while generations come and go', () => {
    const memory: PieceMemory = {
      young: createPieceTable(64),
      old: null,
      vocabulary: null,
      model: {
        source: {
          kind: 'bytes',
          symbols: Int32Array.from({ length: 256 }, (_, b) => 1000 + b),
          pairs: null,
        },
        table: buildPairTable(NO_RULES),
        scratch: createScratch(16),
      },
      parts: null,
      finish: null,
    };
    const rng = createRng(9);
    for (let round = 0; round < 200; round++) {
      const bytes = Uint8Array.from({ length: 600 }, () => rng.nextInt(2 + (round % 40)));
      const ends: number[] = [];
      for (let end = 0; end < bytes.length; ) {
        end = Math.min(bytes.length, end + 1 + rng.nextInt(14));
        ends.push(end);
      }
      const out = new IdBuffer();
      encodePieces(memory, textOf(bytes), 0, Int32Array.from(ends), ends.length, out);
      expect([...out.toArray()]).toEqual(Array.from(bytes, (byte) => 1000 + byte));
    }
    expect(memory.old).not.toBeNull();
    expect(memory.young.slots).toHaveLength(256);
  });
});
