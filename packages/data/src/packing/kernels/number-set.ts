/**
 * A set of whole numbers below a bound that finds the next member at or above a number in a few steps.
 *
 * Level 0 has one bit per number; each level above has one bit per word of the level below, set when that word is not
 * zero. Every level has a word for each index that a caller below the bound can reach.
 */
export class NumberSet {
  readonly #levels: Uint32Array[] = [];

  /** Numbers 0 to `bound - 1`. */
  constructor(bound: number) {
    let bits = bound;
    do {
      bits = Math.ceil(bits / 32);
      this.#levels.push(new Uint32Array(Math.max(1, bits)));
    } while (bits > 1);
  }

  add(value: number): void {
    let bit = value;
    for (const words of this.#levels) {
      words[bit >>> 5]! |= 1 << (bit & 31);
      bit >>>= 5;
    }
  }

  delete(value: number): void {
    let bit = value;
    for (const words of this.#levels) {
      words[bit >>> 5]! &= ~(1 << (bit & 31));
      if (words[bit >>> 5] !== 0) return;
      bit >>>= 5;
    }
  }

  /** The smallest member at or above `from`, or −1. */
  next(from: number): number {
    let bit = from;
    for (let level = 0; level < this.#levels.length; level++) {
      const words = this.#levels[level]!;
      const word = bit >>> 5;
      if (word >= words.length) return -1;
      const rest = words[word]! & (0xffffffff << (bit & 31));
      if (rest !== 0) return this.#descend(level, (word << 5) | lowestBit(rest));
      bit = word + 1;
    }
    return -1;
  }

  #descend(from: number, start: number): number {
    let bit = start;
    for (let level = from - 1; level >= 0; level--) {
      bit = (bit << 5) | lowestBit(this.#levels[level]![bit]!);
    }
    return bit;
  }
}

function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}
