import { bf16ToF32, createRng, f32ToBf16, f32ToF16 } from '@tuneyard/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openTensorMoves } from './open-tensor-moves.js';
import { PlainTensorMoves } from './plain-tensor-moves.js';
import { SimdTensorMoves } from './simd-tensor-moves.js';
import { CASTS, castKind, type TensorMoves } from './tensor-moves.js';

const simd = SimdTensorMoves.open()!;
const plain = new PlainTensorMoves();
const SRC = 64;

/** Casts one line and returns the result's bytes with the count of overflows. */
function cast(
  moves: TensorMoves,
  kind: number,
  input: Uint8Array,
): { bytes: Uint8Array; overflows: number } {
  const { srcSize, dstSize } = CASTS[kind]!;
  const cols = input.length / srcSize;
  const dst = SRC + Math.ceil(input.length / 64) * 64;
  moves.reserve(dst + cols * dstSize);
  moves.bytes.set(input, SRC);
  const move = { src: SRC, srcStride: input.length, dst, dstStride: cols * dstSize, rows: 1, cols };
  const overflows = moves.castRows(kind, move);
  return { bytes: moves.bytes.slice(dst, dst + cols * dstSize), overflows };
}

const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
const halvesOf = (bytes: Uint8Array): Uint16Array => new Uint16Array(bytes.slice().buffer);

/** Patterns where rounding is decided: every upper half with lower halves around zero, a tie and all ones. */
function hardF32(): Uint32Array {
  const lower = [0, 1, 0xfff, 0x1000, 0x1001, 0x1fff, 0x2000, 0x7fff, 0x8000, 0x8001, 0xffff];
  const out = new Uint32Array(65_536 * lower.length);
  for (let upper = 0, i = 0; upper < 65_536; upper++) {
    for (const low of lower) out[i++] = upper * 65_536 + low;
  }
  return out;
}

describe('casts', () => {
  it('run in WebAssembly here', () => {
    expect(openTensorMoves().name).toBe('simd');
  });

  it.each([
    ['BF16', 'F32'],
    ['F16', 'F32'],
    ['BF16', 'F16'],
    ['F16', 'BF16'],
  ])('of every pattern from %s to %s are the same in both kernels', (from, to) => {
    const all = bytesOf(Uint16Array.from({ length: 65_536 }, (_, i) => i));
    const kind = castKind(from, to)!;
    expect(cast(simd, kind, all)).toEqual(cast(plain, kind, all));
  });

  it.each(['BF16', 'F16'])('of hard and random f32 to %s are the same in both kernels', (to) => {
    const rng = createRng(7);
    const random = Uint32Array.from({ length: 300_001 }, () => Math.floor(rng.next() * 2 ** 32));
    for (const input of [hardF32(), random]) {
      const kind = castKind('F32', to)!;
      const a = cast(simd, kind, bytesOf(input));
      const b = cast(plain, kind, bytesOf(input));
      expect(a.overflows).toBe(b.overflows);
      expect(Buffer.compare(a.bytes, b.bytes)).toBe(0);
    }
  });

  it('agree with the conversions that the rest of the product uses', () => {
    const input = new Float32Array(hardF32().buffer);
    const half = new Uint16Array(input.length);
    f32ToBf16(input, half);
    expect(Buffer.compare(cast(simd, 0, bytesOf(input)).bytes, bytesOf(half))).toBe(0);
    f32ToF16(input, half);
    expect(Buffer.compare(cast(simd, 1, bytesOf(input)).bytes, bytesOf(half))).toBe(0);
    const all = Uint16Array.from({ length: 65_536 }, (_, i) => i);
    const wide = new Float32Array(65_536);
    bf16ToF32(all, wide);
    expect(Buffer.compare(cast(simd, 2, bytesOf(all)).bytes, bytesOf(wide))).toBe(0);
  });

  it('round halves to even, keep signs, subnormals and NaN, and count what overflows', () => {
    const input = Float32Array.of(65_504, 65_519.996, 65_520, -1e6, 2 ** -24, 2 ** -25, -0, 1e39);
    const f16 = cast(simd, castKind('F32', 'F16')!, bytesOf(input));
    expect([...halvesOf(f16.bytes)]).toEqual([
      0x7bff, 0x7bff, 0x7c00, 0xfc00, 1, 0, 0x8000, 0x7c00,
    ]);
    // 1e39 is infinite in f32 already.
    expect(f16.overflows).toBe(2);
    const edge = Uint32Array.of(0x7f7f7fff, 0x7f7f8000, 0xff7fffff, 0x7f800000, 0x7f800001);
    const bf16 = cast(simd, castKind('F32', 'BF16')!, bytesOf(edge));
    expect([...halvesOf(bf16.bytes)]).toEqual([0x7f7f, 0x7f80, 0xff80, 0x7f80, 0x7fc0]);
    expect(bf16.overflows).toBe(2);
  });

  it('bring every finite f16 back from f32', () => {
    const all = Uint16Array.from({ length: 65_536 }, (_, i) => i).filter(
      (h) => (h & 0x7c00) < 0x7c00,
    );
    const wide = cast(simd, castKind('F16', 'F32')!, bytesOf(all));
    const back = cast(simd, castKind('F32', 'F16')!, wide.bytes);
    expect(halvesOf(back.bytes)).toEqual(all);
    expect(back.overflows).toBe(0);
  });

  it('of matrices with any strides leave everything else alone', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 5 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 21 }),
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 0, max: 3 }),
        (kind, rows, cols, srcGap, dstGap) => {
          const { srcSize, dstSize } = CASTS[kind]!;
          const move = {
            src: 128,
            srcStride: (cols + srcGap) * srcSize,
            dst: 4096,
            dstStride: (cols + dstGap) * dstSize,
            rows,
            cols,
          };
          const results = [simd, plain].map((moves) => {
            for (let i = 64; i < 8192; i++) moves.bytes[i] = (i * 37) % 251;
            return [moves.castRows(kind, move), moves.bytes.slice(64, 8192)];
          });
          expect(results[0]).toEqual(results[1]);
        },
      ),
    );
  });
});

describe('copies and transposes', () => {
  it('put every element where a naive loop puts it', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1, 2, 4, 8),
        fc.integer({ min: 1, max: 90 }),
        fc.integer({ min: 1, max: 90 }),
        fc.boolean(),
        fc.integer({ min: 0, max: 2 }),
        (size, rows, cols, isTurned, gap) => {
          const [dstRows, dstCols] = isTurned ? [cols, rows] : [rows, cols];
          const srcStride = (cols + gap) * size;
          const dstStride = (dstCols + gap) * size;
          const dst = 64 + rows * srcStride + 64;
          const move = { src: 64, srcStride, dst, dstStride, rows, cols };
          for (const moves of [simd, plain]) {
            moves.reserve(dst + dstRows * dstStride);
            for (let i = 64; i < dst; i++) moves.bytes[i] = (i * 31 + (i >> 8)) % 255;
            moves.bytes.fill(255, dst, dst + dstRows * dstStride);
            const expected = moves.bytes.slice(0, dst + dstRows * dstStride);
            for (let r = 0; r < rows; r++) {
              for (let c = 0; c < cols * size; c++) {
                const element = Math.floor(c / size);
                const to = isTurned
                  ? element * dstStride + r * size + (c % size)
                  : r * dstStride + c;
                expected[dst + to] = moves.bytes[64 + r * srcStride + c]!;
              }
            }
            if (isTurned) moves.transposeRows(size, move);
            else moves.copyRows(size, move);
            const found = moves.bytes.subarray(64, expected.length);
            expect(Buffer.compare(found, expected.subarray(64))).toBe(0);
          }
        },
      ),
    );
  });

  it('tell zeros from anything else', () => {
    for (const moves of [simd, plain]) {
      moves.bytes.fill(0, 64, 64 + 100);
      expect(moves.isZero(64, 100)).toBe(true);
      for (const at of [0, 15, 16, 63, 95, 96, 99]) {
        moves.bytes[64 + at] = 1;
        expect(moves.isZero(64, 100)).toBe(false);
        moves.bytes[64 + at] = 0;
      }
    }
  });
});
