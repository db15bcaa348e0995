/** Codes raised while a tokenizer is loaded or used. */
export const TOKENIZER_ERRORS = {
  /** No tokenizer file is at the path. */
  TOKENIZER_NOT_FOUND: 'TOKENIZER_NOT_FOUND',
  /** A tokenizer file is damaged or lacks something. */
  TOKENIZER_BAD_FILE: 'TOKENIZER_BAD_FILE',
  /** The file asks for a model or step that is not known here; the known ones are listed. */
  TOKENIZER_UNSUPPORTED: 'TOKENIZER_UNSUPPORTED',
  /** A splitting pattern cannot be translated. */
  TOKENIZER_BAD_REGEX: 'TOKENIZER_BAD_REGEX',
  /** The splitter of a vocabulary has no known name. */
  TOKENIZER_UNKNOWN_PRE_TOKENIZER: 'TOKENIZER_UNKNOWN_PRE_TOKENIZER',
  /** A single text exceeds the limit of the tokenizer. */
  TOKENIZER_TEXT_TOO_LONG: 'TOKENIZER_TEXT_TOO_LONG',
} as const;
