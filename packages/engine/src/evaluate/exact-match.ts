/** Share of predictions that equal their reference, with an interval that says how far to trust it. */
import { TuneyardError } from '@tuneyard/core';
import { EVALUATE_ERRORS } from './errors.js';

/** What does not count as a difference. Each is off unless set; Unicode is always composed (NFKC). */
export interface ExactMatchOptions {
  /** Leading and trailing white space. */
  readonly trim?: boolean;
  /** Runs of white space count as one space; implies `trim`. */
  readonly collapseWhitespace?: boolean;
  readonly ignoreCase?: boolean;
  /** Removes punctuation (Unicode category P). */
  readonly ignorePunctuation?: boolean;
}

/** Result of {@link exactMatch}. */
export interface ExactMatch {
  readonly matched: number;
  readonly total: number;
  /** matched / total; null when nothing was compared. */
  readonly accuracy: number | null;
  /** Wilson score interval of the accuracy at 95 %; 0 to 1 when nothing was compared. */
  readonly interval: { readonly low: number; readonly high: number };
  /** Whether each prediction matched, in order. */
  readonly matches: readonly boolean[];
}

/**
 * Compares predictions with references; a list of references accepts any of them.
 *
 * Throws: `EVALUATE_LENGTH_MISMATCH` when the two do not pair up.
 */
export function exactMatch(
  predictions: readonly string[],
  references: readonly (string | readonly string[])[],
  options: ExactMatchOptions = {},
): ExactMatch {
  if (predictions.length !== references.length) {
    throw new TuneyardError(
      EVALUATE_ERRORS.EVALUATE_LENGTH_MISMATCH,
      `${predictions.length} predictions cannot be compared with ${references.length} references`,
    );
  }
  const matches = predictions.map((prediction, i) => {
    const normal = normaliseAnswer(prediction, options);
    return [references[i] ?? []].flat().some((one) => normaliseAnswer(one, options) === normal);
  });
  const matched = matches.filter(Boolean).length;
  const total = matches.length;
  return {
    matched,
    total,
    accuracy: total === 0 ? null : matched / total,
    interval: wilsonInterval(matched, total),
    matches,
  };
}

/** Removes from a text what the options ignore. */
export function normaliseAnswer(text: string, options: ExactMatchOptions): string {
  let normal = text.normalize('NFKC');
  if (options.ignorePunctuation) normal = normal.replace(/\p{P}+/gu, '');
  if (options.ignoreCase) normal = normal.toLowerCase();
  if (options.collapseWhitespace) normal = normal.replace(/\s+/gu, ' ');
  return options.trim || options.collapseWhitespace ? normal.trim() : normal;
}

/**
 * Wilson score interval at 95 % of a share of `total` trials.
 *
 * Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927). Unlike the normal
 * approximation it stays within 0 and 1 and has a width when all or none succeed.
 */
export function wilsonInterval(successes: number, total: number): { low: number; high: number } {
  if (total === 0) return { low: 0, high: 1 };
  const z = 1.959963984540054;
  const share = successes / total;
  const spread = (z * z) / total;
  const centre = (share + spread / 2) / (1 + spread);
  const half = (z / (1 + spread)) * Math.sqrt((share * (1 - share)) / total + spread / (4 * total));
  return {
    low: successes === 0 ? 0 : Math.max(0, centre - half),
    high: successes === total ? 1 : Math.min(1, centre + half),
  };
}
