/** How long samples are before cutting, exactly, in one number per length. */

/** Longer samples count as this long; 4 MiB of counters. */
const LENGTH_MAX = 1 << 20;
/** Cutoffs are recommended in steps of this. */
const CUTOFF_STEP = 64;
/** Share of samples that a recommended cutoff keeps whole. */
const KEPT_SHARE = 0.99;

/** Lengths of samples and what a cutoff does to them. All in tokens. */
export interface LengthSummary {
  readonly samples: number;
  readonly tokens: number;
  readonly median: number;
  readonly p90: number;
  readonly p99: number;
  readonly longest: number;
  /** Samples longer than the cutoff. */
  readonly overCutoff: number;
  /** Tokens beyond the cutoff, which are cut or dropped. */
  readonly tokensOverCutoff: number;
  /**
   * The least cutoff, in steps of 64, that keeps 99 of a hundred samples whole; all of them where that costs at most a
   * quarter more.
   */
  readonly recommendedCutoff: number;
  /** Samples that the recommended cutoff keeps whole. */
  readonly keptByRecommended: number;
}

/** Counts lengths. */
export class LengthTally {
  readonly #counts = new Float64Array(LENGTH_MAX + 1);
  #samples = 0;
  #tokens = 0;
  #longest = 0;

  /** Counts a sample. */
  add(length: number): void {
    const counted = Math.min(length, LENGTH_MAX);
    this.#counts[counted] = (this.#counts[counted] ?? 0) + 1;
    this.#samples++;
    this.#tokens += length;
    this.#longest = Math.max(this.#longest, length);
  }

  /** The account for a cutoff. */
  summarize(cutoff: number): LengthSummary {
    const p99 = this.#atShare(KEPT_SHARE);
    const longest = this.#longest;
    const wanted = longest <= p99 * 1.25 ? longest : p99;
    const recommended = Math.ceil(wanted / CUTOFF_STEP) * CUTOFF_STEP;
    const over = this.#over(cutoff);
    return {
      samples: this.#samples,
      tokens: this.#tokens,
      median: this.#atShare(0.5),
      p90: this.#atShare(0.9),
      p99,
      longest,
      overCutoff: over.samples,
      tokensOverCutoff: over.tokens,
      recommendedCutoff: recommended,
      keptByRecommended: this.#samples - this.#over(recommended).samples,
    };
  }

  /** The least length that at least this share of samples does not pass. */
  #atShare(share: number): number {
    const wanted = Math.ceil(this.#samples * share);
    let seen = 0;
    for (let length = 0; length <= LENGTH_MAX; length++) {
      seen += this.#counts[length] ?? 0;
      if (seen >= wanted) return length;
    }
    return this.#longest;
  }

  #over(cutoff: number): { readonly samples: number; readonly tokens: number } {
    let samples = 0;
    let tokens = 0;
    for (let length = cutoff + 1; length <= LENGTH_MAX; length++) {
      const count = this.#counts[length] ?? 0;
      samples += count;
      tokens += count * (length - cutoff);
    }
    return { samples, tokens };
  }
}
