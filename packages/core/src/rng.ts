/**
 * Seeded random numbers: xoshiro128** seeded through splitmix32 (Blackman & Vigna, 2018).
 *
 * Not for secrets. The whole state is four 32-bit words, so a checkpoint stores it as plain JSON and a
 * resumed run draws the same numbers.
 */

/** The four state words of a generator. */
export type RngState = readonly [number, number, number, number];

/** A seeded generator; same seed, same sequence on every platform. */
export interface Rng {
  /** An integer in [0, 2^32). */
  nextUint32(): number;
  /** A double in [0, 1) with 32 random bits. */
  next(): number;
  /** An integer in [0, bound); `bound` in [1, 2^32]. Unbiased by rejection. */
  nextInt(bound: number): number;
  /** A standard normal deviate (Box-Muller, one of the pair kept out for simplicity of state). */
  nextGaussian(): number;
  /** Fisher-Yates in place. Mutates: `items`. */
  shuffle<T>(items: T[]): void;
  state(): RngState;
}

/** Creates a generator from an integer seed (taken modulo 2^32). */
export function createRng(seed: number): Rng {
  let s = seed >>> 0;
  const word = (): number => {
    s = (s + 0x9e3779b9) >>> 0;
    let z = s;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b) >>> 0;
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35) >>> 0;
    return (z ^ (z >>> 16)) >>> 0;
  };
  return restoreRng([word(), word(), word(), word()]);
}

/** Creates a generator that continues from a stored state. */
export function restoreRng(state: RngState): Rng {
  let [a, b, c, d] = state;
  const nextUint32 = (): number => {
    const x = Math.imul(b, 5);
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    return result;
  };
  const next = (): number => nextUint32() / 4294967296;
  const nextInt = (bound: number): number => {
    const limit = 4294967296 - (4294967296 % bound);
    let x = nextUint32();
    while (x >= limit) x = nextUint32();
    return x % bound;
  };
  return {
    nextUint32,
    next,
    nextInt,
    nextGaussian: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    shuffle: (items) => {
      for (let i = items.length - 1; i > 0; i--) {
        const j = nextInt(i + 1);
        const held = items[i] as (typeof items)[number];
        items[i] = items[j] as (typeof items)[number];
        items[j] = held;
      }
    },
    state: () => [a >>> 0, b >>> 0, c >>> 0, d >>> 0],
  };
}
