/**
 * NumPy's `default_rng(seed)`: the same seed gives the same numbers, bit for bit.
 *
 * Mixing and splitting follow Hugging Face `datasets`, whose orders are drawn from it. Only what they draw is here.
 * Checked against: NumPy 1.26 and 2.4 (the stream has been stable since 1.17).
 */
import { pcg64FillDoubles, pcg64Next, pcg64Step } from './kernels/pcg64.js';
import { checkSeed } from './random-seed.js';

/** The draws of `numpy.random.Generator` that are used here. */
export interface NumpyGenerator {
  /** `random(size)`: fills with doubles in [0, 1). Mutates: `values`. */
  fillRandom(values: Float64Array): void;
  /** `permutation(n)`: the numbers 0 to n − 1 in random order. `n` below 2^31. */
  permutation(n: number): Int32Array;
}

/** Creates the generator of a seed, a whole number from 0. Throws: `DATA_BAD_OPTION` for another seed. */
export function createNumpyGenerator(seed: number): NumpyGenerator {
  checkSeed(seed, Number.MAX_SAFE_INTEGER);
  const state = seededState(seed);
  const out = new Uint32Array(2);
  let spare: number | null = null;
  const nextUint32 = (): number => {
    if (spare !== null) {
      const held = spare;
      spare = null;
      return held;
    }
    pcg64Next(state, out);
    spare = out[1] ?? 0;
    return out[0] ?? 0;
  };
  return {
    fillRandom: (values) => pcg64FillDoubles(state, values, out),
    permutation: (n) => shuffledRange(n, nextUint32),
  };
}

/** The numbers below `n`, shuffled as NumPy shuffles; bounded draws are masked and rejected. */
export function shuffledRange(n: number, nextUint32: () => number): Int32Array {
  const order = Int32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = maskedDraw(i, nextUint32);
    const held = order[i] as number;
    order[i] = order[j] as number;
    order[j] = held;
  }
  return order;
}

/** A number in [0, max]: random bits below the next power of two until they are not above `max`. */
export function maskedDraw(max: number, nextUint32: () => number): number {
  if (max === 0) return 0;
  const mask = 0xffffffff >>> Math.clz32(max);
  let value = (nextUint32() & mask) >>> 0;
  while (value > max) value = (nextUint32() & mask) >>> 0;
  return value;
}

/** State and increment as `SeedSequence(seed)` spreads them. Source: O'Neill's seed_seq with NumPy's constants. */
function seededState(seed: number): Uint32Array {
  const words = spreadSeed([seed >>> 0, Math.floor(seed / 4294967296)]);
  const state = new Uint32Array(8);
  // Words 0-3 are the initial state and 4-7 the stream, each as two 64-bit numbers with the higher one first.
  const stream = [words[6], words[7], words[4], words[5]] as number[];
  let carry = 1;
  for (let i = 0; i < 4; i++) {
    const word = stream[i] as number;
    state[4 + i] = (word << 1) | carry;
    carry = word >>> 31;
  }
  pcg64Step(state);
  const start = [words[2], words[3], words[0], words[1]] as number[];
  let sum = 0;
  for (let i = 0; i < 4; i++) {
    sum = (state[i] as number) + (start[i] as number) + Math.floor(sum / 4294967296);
    state[i] = sum;
  }
  pcg64Step(state);
  return state;
}

function spreadSeed(entropy: readonly [number, number]): Uint32Array {
  let hash = 0x43b0d7e5;
  const hashed = (word: number): number => {
    const mixed = word ^ hash;
    hash = Math.imul(hash, 0x931e8875);
    return foldHalves(Math.imul(mixed, hash));
  };
  // A seed below 2^32 is one word; its missing second word hashes as 0 all the same.
  const pool = Uint32Array.of(hashed(entropy[0]), hashed(entropy[1]), hashed(0), hashed(0));
  for (let from = 0; from < 4; from++) {
    for (let to = 0; to < 4; to++) {
      if (from === to) continue;
      const left = Math.imul(0xca01f9dd, pool[to] as number);
      const right = Math.imul(0x4973f715, hashed(pool[from] as number));
      pool[to] = foldHalves(left - right);
    }
  }
  let next = 0x8b51f9dd;
  return Uint32Array.from({ length: 8 }, (_, i) => {
    const mixed = (pool[i % 4] as number) ^ next;
    next = Math.imul(next, 0x58f38ded);
    return foldHalves(Math.imul(mixed, next));
  });
}

function foldHalves(word: number): number {
  const bits = word >>> 0;
  return (bits ^ (bits >>> 16)) >>> 0;
}
