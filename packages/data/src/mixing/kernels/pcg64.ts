/**
 * PCG64 (XSL-RR 128/64), the generator behind NumPy's `default_rng`, on 32-bit words.
 *
 * State: eight words, lowest first: the 128-bit state, then the 128-bit odd increment. BigInt would be shorter and
 * thirty times slower. Bounds: callers pass states of eight words and outputs of two; loops stay below lengths.
 *
 * Source: O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms" (2014).
 */

// The multiplier 0x2360ed051fc65da44385df649fccf645, lowest word first.
const M0 = 0x9fccf645;
const M1 = 0x4385df64;
const M2 = 0x1fc65da4;
const M3 = 0x2360ed05;
const TWO_32 = 4294967296;

/** Multiplies by the constant and adds the increment, modulo 2^128. Mutates: words 0 to 3 of `state`. */
export function pcg64Step(state: Uint32Array): void {
  const s0 = state[0]!;
  const s1 = state[1]!;
  const s2 = state[2]!;
  const s3 = state[3]!;
  const low = (Math.imul(s0, M0) >>> 0) + state[4]!;
  state[0] = low;
  const second =
    (low >= TWO_32 ? 1 : 0) +
    high(s0, M0) +
    (Math.imul(s0, M1) >>> 0) +
    (Math.imul(s1, M0) >>> 0) +
    state[5]!;
  state[1] = second;
  const third =
    Math.floor(second / TWO_32) +
    high(s0, M1) +
    high(s1, M0) +
    (Math.imul(s0, M2) >>> 0) +
    (Math.imul(s1, M1) >>> 0) +
    (Math.imul(s2, M0) >>> 0) +
    state[6]!;
  state[2] = third;
  // The highest word wraps: Uint32Array stores modulo 2^32, and the sum is below 2^53.
  state[3] =
    Math.floor(third / TWO_32) +
    high(s0, M2) +
    high(s1, M1) +
    high(s2, M0) +
    (Math.imul(s0, M3) >>> 0) +
    (Math.imul(s1, M2) >>> 0) +
    (Math.imul(s2, M1) >>> 0) +
    (Math.imul(s3, M0) >>> 0) +
    state[7]!;
}

/** Steps and writes the next 64 bits to `out`, lower word first. Mutates: both. */
export function pcg64Next(state: Uint32Array, out: Uint32Array): void {
  pcg64Step(state);
  const low = state[0]! ^ state[2]!;
  const top = state[1]! ^ state[3]!;
  const turn = state[3]! >>> 26;
  const by = turn & 31;
  const a = turn < 32 ? low : top;
  const b = turn < 32 ? top : low;
  out[0] = by === 0 ? a : (a >>> by) | (b << (32 - by));
  out[1] = by === 0 ? b : (b >>> by) | (a << (32 - by));
}

/** Fills `values` with doubles in [0, 1) of 53 random bits. Mutates: all arguments. */
export function pcg64FillDoubles(
  state: Uint32Array,
  values: Float64Array,
  scratch: Uint32Array,
): void {
  for (let i = 0; i < values.length; i++) {
    pcg64Next(state, scratch);
    values[i] = (scratch[1]! * 2097152 + (scratch[0]! >>> 11)) / 9007199254740992;
  }
}

/** The upper 32 bits of a product of two 32-bit numbers. */
function high(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const cross = a0 * b1 + (middle % 65536);
  return a1 * b1 + Math.floor(middle / 65536) + Math.floor(cross / 65536);
}
