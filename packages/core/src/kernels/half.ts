/**
 * Conversions between f32 and the two 16-bit float formats over whole arrays.
 *
 * Bounds: every loop runs to `src.length`, and the entry assert makes `dst` at least as long, so each
 * indexed read and write is inside its array. Rounding is to nearest, ties to even, as IEEE 754 asks
 * and as torch and ggml do; NaN stays NaN.
 */
import { assert } from '../errors.js';

/** Rounds f32 to bf16. Mutates: `dst`. Checked against: torch `.to(bfloat16)` bit patterns. */
export function f32ToBf16(src: Float32Array, dst: Uint16Array): void {
  assert(dst.length >= src.length, 'f32ToBf16: dst is too short');
  const bits = new Uint32Array(src.buffer, src.byteOffset, src.length);
  for (let i = 0; i < bits.length; i++) {
    const x = bits[i]!;
    dst[i] =
      (x & 0x7fffffff) > 0x7f800000 ? (x >>> 16) | 0x40 : (x + 0x7fff + ((x >>> 16) & 1)) >>> 16;
  }
}

/** Widens bf16 to f32, exactly. Mutates: `dst`. */
export function bf16ToF32(src: Uint16Array, dst: Float32Array): void {
  assert(dst.length >= src.length, 'bf16ToF32: dst is too short');
  const bits = new Uint32Array(dst.buffer, dst.byteOffset, src.length);
  for (let i = 0; i < src.length; i++) bits[i] = src[i]! << 16;
}

/** Rounds f32 to IEEE half; overflow becomes infinity. Mutates: `dst`. */
export function f32ToF16(src: Float32Array, dst: Uint16Array): void {
  assert(dst.length >= src.length, 'f32ToF16: dst is too short');
  const bits = new Uint32Array(src.buffer, src.byteOffset, src.length);
  for (let i = 0; i < bits.length; i++) dst[i] = halfFromBits(bits[i]!);
}

/** Widens IEEE half to f32, exactly, subnormals included. Mutates: `dst`. */
export function f16ToF32(src: Uint16Array, dst: Float32Array): void {
  assert(dst.length >= src.length, 'f16ToF32: dst is too short');
  for (let i = 0; i < src.length; i++) {
    const h = src[i]!;
    const sign = h & 0x8000 ? -1 : 1;
    const exponent = (h >>> 10) & 0x1f;
    const mantissa = h & 0x3ff;
    if (exponent === 0) dst[i] = sign * mantissa * 2 ** -24;
    else if (exponent === 31)
      dst[i] = mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    else dst[i] = sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
  }
}

function halfFromBits(x: number): number {
  const sign = (x >>> 16) & 0x8000;
  const abs = x & 0x7fffffff;
  if (abs > 0x7f800000) return sign | 0x7e00;
  // 65520 is the first value that rounds to infinity.
  if (abs >= 0x477ff000) return sign | 0x7c00;
  if (abs >= 0x38800000) {
    const rounded = abs + 0xfff + ((abs >>> 13) & 1);
    return sign | ((rounded - 0x38000000) >>> 13);
  }
  if (abs < 0x33000000) return sign;
  const shift = 126 - (abs >>> 23);
  const mantissa = (abs & 0x7fffff) | 0x800000;
  const half = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return sign | (rest > middle || (rest === middle && half & 1) ? half + 1 : half);
}
