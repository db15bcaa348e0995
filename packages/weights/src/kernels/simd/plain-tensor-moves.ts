/**
 * {@link TensorMoves} in plain TypeScript, for a Node without WebAssembly SIMD, and the reference for the kernels.
 *
 * Bounds: addresses are those of the caller and multiples of the element size; reads outside of the memory give
 * zeros and writes outside of it are lost.
 */
import { CASTS, type CastKind, type StridedMove, type TensorMoves } from './tensor-moves.js';
import { transposeElements } from './transpose-elements.js';

/** {@link TensorMoves} without WebAssembly. */
export class PlainTensorMoves implements TensorMoves {
  readonly name = 'plain';
  bytes = new Uint8Array(0);
  #halves = new Uint16Array(0);
  #words = new Uint32Array(0);

  constructor() {
    this.reserve(65_536);
  }

  reserve(byteLength: number): void {
    if (byteLength <= this.bytes.length) return;
    this.bytes = new Uint8Array(Math.ceil(byteLength / 65_536) * 65_536);
    this.#halves = new Uint16Array(this.bytes.buffer);
    this.#words = new Uint32Array(this.bytes.buffer);
  }

  castRows(kind: CastKind, move: StridedMove): number {
    let overflows = 0;
    for (let row = 0; row < move.rows; row++) {
      const src = move.src + row * move.srcStride;
      const dst = move.dst + row * move.dstStride;
      overflows += this.#castLine(kind, { src, dst, count: move.cols });
    }
    return overflows;
  }

  copyRows(size: number, move: StridedMove): void {
    for (let row = 0; row < move.rows; row++) {
      const src = move.src + row * move.srcStride;
      this.bytes.copyWithin(move.dst + row * move.dstStride, src, src + move.cols * size);
    }
  }

  transposeRows(size: number, move: StridedMove): void {
    transposeElements(this.bytes, size, move);
  }

  isZero(at: number, byteLength: number): boolean {
    for (let i = at; i < at + byteLength; i++) if (this.bytes[i] !== 0) return false;
    return true;
  }

  #castLine(kind: CastKind, line: { src: number; dst: number; count: number }): number {
    const { srcSize, dstSize, to } = CASTS[kind]!;
    const source = srcSize === 4 ? this.#words : this.#halves;
    const src = line.src / srcSize;
    const dst = line.dst / dstSize;
    let overflows = 0;
    for (let i = 0; i < line.count; i++) {
      const bits = widen(kind, source[src + i]!);
      if (to === 'F32') {
        this.#words[dst + i] = bits;
        continue;
      }
      const half = to === 'BF16' ? bf16FromBits(bits) : f16FromBits(bits);
      this.#halves[dst + i] = half;
      if (isInfinite(half, to) && (bits & 0x7fffffff) !== 0x7f800000) overflows++;
    }
    return overflows;
  }
}

function isInfinite(half: number, type: 'BF16' | 'F16'): boolean {
  return (half & 0x7fff) === (type === 'BF16' ? 0x7f80 : 0x7c00);
}

/** Bits of the f32 that equals a value of the cast's source type. */
function widen(kind: CastKind, value: number): number {
  const { from } = CASTS[kind]!;
  if (from === 'F32') return value;
  return from === 'BF16' ? (value << 16) >>> 0 : bitsFromF16(value);
}

function bf16FromBits(x: number): number {
  if ((x & 0x7fffffff) > 0x7f800000) return (x >>> 16) | 0x40;
  return ((x + 0x7fff + ((x >>> 16) & 1)) >>> 16) & 0xffff;
}

function f16FromBits(x: number): number {
  const sign = (x >>> 16) & 0x8000;
  const abs = x & 0x7fffffff;
  if (abs > 0x7f800000) return sign | 0x7e00;
  // 65520 is the first value that rounds to infinity.
  if (abs >= 0x477ff000) return sign | 0x7c00;
  if (abs >= 0x38800000) return sign | ((abs + 0xfff + ((abs >>> 13) & 1) - 0x38000000) >>> 13);
  // Below 2^-25 all is zero; a shift by 24 more would be one by nothing.
  if (abs < 0x33000000) return sign;
  const shift = 126 - (abs >>> 23);
  const mantissa = (abs & 0x7fffff) | 0x800000;
  const half = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return sign | (rest > middle || (rest === middle && (half & 1) === 1) ? half + 1 : half);
}

function bitsFromF16(half: number): number {
  const sign = (half & 0x8000) << 16;
  const abs = half & 0x7fff;
  if (abs > 0x7c00) return (sign | 0x7fc00000 | (abs << 13)) >>> 0;
  if (abs === 0x7c00) return (sign | 0x7f800000) >>> 0;
  if (abs >= 0x400) return (sign | ((abs << 13) + 0x38000000)) >>> 0;
  if (abs === 0) return sign >>> 0;
  // Subnormal: the highest bit of the mantissa becomes the implied one.
  const top = 31 - Math.clz32(abs);
  return (sign | ((top + 103) << 23) | ((abs << (23 - top)) & 0x7fffff)) >>> 0;
}
