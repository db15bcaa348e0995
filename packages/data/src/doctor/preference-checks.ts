/** What pairs of answers, and liked and disliked ones, teach besides the preference. */
import type { RowOrigin } from '../handlers/conversation.js';
import { type Finding, FindingLog, generalFinding, percent } from './finding.js';

/** Pairs before a bias means anything. */
const PAIRS_MIN = 20;
/** Share of pairs whose chosen answer is longer, and mean ratio of lengths, that together make a bias. */
const LONGER_SHARE = 0.75;
const LONGER_RATIO = 1.3;

/** Collects preferences. */
export class PreferenceChecks {
  readonly #log = new FindingLog();
  #pairs = 0;
  #longer = 0;
  #chosenChars = 0;
  #rejectedChars = 0;
  #liked = 0;
  #disliked = 0;

  /** Adds a pair. Returns true when both sides are the same. */
  addPair(origin: RowOrigin, chosen: string, rejected: string): boolean {
    this.#pairs++;
    this.#chosenChars += chosen.length;
    this.#rejectedChars += rejected.length;
    if (chosen.length > rejected.length) this.#longer++;
    const isSame = chosen.trim() === rejected.trim();
    if (isSame) this.#log.add('preference_equal', origin, chosen);
    return isSame;
  }

  /** Adds a verdict on one answer. */
  addVerdict(isLiked: boolean): void {
    if (isLiked) this.#liked++;
    else this.#disliked++;
  }

  /** Everything found. */
  finish(): Finding[] {
    const findings = this.#log.take('preference_equal');
    const longer = this.#longer / Math.max(1, this.#pairs);
    const ratio = this.#chosenChars / Math.max(1, this.#rejectedChars);
    if (this.#pairs >= PAIRS_MIN && longer >= LONGER_SHARE && ratio >= LONGER_RATIO) {
      const what = `the chosen answer is the longer one in ${percent(longer)} of ${this.#pairs} pairs, ${ratio.toFixed(1)} times as long on average`;
      findings.push(generalFinding('preference_length_bias', { what }));
    }
    const verdicts = this.#liked + this.#disliked;
    if (verdicts > 1 && (this.#liked === 0 || this.#disliked === 0)) {
      const what = `all ${verdicts} answers are ${this.#liked > 0 ? 'liked' : 'disliked'}`;
      findings.push(generalFinding('preference_one_sided', { what }));
    }
    return findings;
  }
}
