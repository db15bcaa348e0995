/**
 * NumPy's older generator (`numpy.random.seed`, Mersenne Twister): the same seed gives the same numbers.
 *
 * LLaMA-Factory draws the rows of `num_samples` from it, after seeding it with the training seed.
 * Source: Matsumoto and Nishimura, "Mersenne Twister" (1998). Checked against: NumPy 1.26 and 2.4.
 */
import { maskedDraw, shuffledRange } from './numpy-generator.js';
import { checkSeed } from './random-seed.js';

const WORDS = 624;
const SHIFT = 397;

/** The draws of `numpy.random.RandomState` that are used here. */
export interface LegacyRandom {
  /** `permutation(n)`: the numbers 0 to n − 1 in random order. `n` below 2^31. */
  permutation(n: number): Int32Array;
  /** `choice(n, size)`: `size` numbers below `n`, each drawn from all of them. */
  choice(n: number, size: number): Int32Array;
}

/** Creates the generator of a seed in [0, 2^32). Throws: `DATA_BAD_OPTION` for another seed. */
export function createLegacyRandom(seed: number): LegacyRandom {
  checkSeed(seed, 0xffffffff);
  const state = new Uint32Array(WORDS);
  state[0] = seed;
  for (let i = 1; i < WORDS; i++) {
    const before = state[i - 1] as number;
    state[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i;
  }
  let at = WORDS;
  const nextUint32 = (): number => {
    if (at === WORDS) {
      twist(state);
      at = 0;
    }
    let word = state[at++] as number;
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  };
  return {
    permutation: (n) => shuffledRange(n, nextUint32),
    choice: (n, size) => Int32Array.from({ length: size }, () => maskedDraw(n - 1, nextUint32)),
  };
}

function twist(state: Uint32Array): void {
  for (let i = 0; i < WORDS; i++) {
    const upper = (state[i] as number) & 0x80000000;
    const lower = (state[(i + 1) % WORDS] as number) & 0x7fffffff;
    const word = upper | lower;
    const far = state[(i + SHIFT) % WORDS] as number;
    state[i] = far ^ (word >>> 1) ^ ((word & 1) * 0x9908b0df);
  }
}
