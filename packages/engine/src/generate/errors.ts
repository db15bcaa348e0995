/** Codes that the generate folder raises. */
export const GENERATE_ERRORS = {
  /** A sampling setting is out of its range. */
  GENERATE_BAD_OPTION: 'GENERATE_BAD_OPTION',
  /** The model's scores are not numbers, or rule every token out. */
  GENERATE_BAD_LOGITS: 'GENERATE_BAD_LOGITS',
} as const;
