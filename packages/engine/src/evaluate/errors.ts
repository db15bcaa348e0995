/** Codes that the evaluate folder raises. */
export const EVALUATE_ERRORS = {
  /** No token of the evaluated rows is a label, so there is no mean loss. */
  EVALUATE_NO_LEARNED_TOKENS: 'EVALUATE_NO_LEARNED_TOKENS',
  /** Predictions and references do not pair up. */
  EVALUATE_LENGTH_MISMATCH: 'EVALUATE_LENGTH_MISMATCH',
} as const;
