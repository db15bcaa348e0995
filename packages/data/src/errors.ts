/** Codes raised while data sets are read, described, encoded, packed and stored. */
export const DATA_ERRORS = {
  /** A data file or `dataset_info.json` is missing, unreadable or a directory. */
  DATA_FILE_NOT_FOUND: 'DATA_FILE_NOT_FOUND',
  /** A data file has no content. */
  DATA_FILE_EMPTY: 'DATA_FILE_EMPTY',
  /** A data file is UTF-16 or UTF-32; data files are UTF-8 text. */
  DATA_BAD_ENCODING: 'DATA_BAD_ENCODING',
  /** A JSON file is damaged so that its records cannot be told apart. */
  DATA_BAD_JSON: 'DATA_BAD_JSON',
  /** One record passes the size or depth limit, often for want of a closing quote or line end. */
  DATA_RECORD_TOO_LARGE: 'DATA_RECORD_TOO_LARGE',
  /** A data file's extension is not one that is read. */
  DATA_UNKNOWN_FILE_TYPE: 'DATA_UNKNOWN_FILE_TYPE',
  /** The fields of the first record fit no known form. */
  DATA_UNKNOWN_FORMAT: 'DATA_UNKNOWN_FORMAT',
  /** An entry of `dataset_info.json` is wrong; the message names the key. */
  DATA_BAD_REGISTRY: 'DATA_BAD_REGISTRY',
  /** A data set's name has no entry in `dataset_info.json`. */
  DATA_NOT_REGISTERED: 'DATA_NOT_REGISTERED',
  /** A template is written with a token, such as the one that ends answers, that the tokenizer does not have. */
  DATA_TEMPLATE_MISMATCH: 'DATA_TEMPLATE_MISMATCH',
  /** Neither the generation config nor the tokenizer names a token that ends an answer. */
  DATA_NO_STOP_TOKEN: 'DATA_NO_STOP_TOKEN',
  /** An option of the data stage is out of range or contradicts another. */
  DATA_BAD_OPTION: 'DATA_BAD_OPTION',
  /** A sample is longer than the cutoff and the policy is to stop, or it cannot fit a packed row. */
  DATA_ROW_TOO_LONG: 'DATA_ROW_TOO_LONG',
  /** No row gives a sample; the message counts the reasons. */
  DATA_NOTHING_KEPT: 'DATA_NOTHING_KEPT',
  /** A stored token set is damaged, or an id does not fit the vocabulary. */
  DATA_BAD_TOKEN_SET: 'DATA_BAD_TOKEN_SET',
  /** Compressed data is damaged, cut off, or of a kind that cannot be unpacked within bounds. */
  DATA_BAD_COMPRESSION: 'DATA_BAD_COMPRESSION',
  /** A compressed file becomes more than a thousand times its size, as no real data set does. */
  DATA_EXPANDS_TOO_MUCH: 'DATA_EXPANDS_TOO_MUCH',
  /** A data file's content is of another kind than its name says. */
  DATA_FILE_MISMATCH: 'DATA_FILE_MISMATCH',
  /** A data file changed, or became shorter, while it was read. */
  DATA_FILE_CHANGED: 'DATA_FILE_CHANGED',
  /** A CSV or TSV file has no usable header, or a quote in it is never closed. */
  DATA_BAD_CSV: 'DATA_BAD_CSV',
  /** A Parquet file is damaged, or uses something that is not read. */
  DATA_BAD_PARQUET: 'DATA_BAD_PARQUET',
  /** An Arrow file is damaged, or uses something that is not read. */
  DATA_BAD_ARROW: 'DATA_BAD_ARROW',
  /** A column that was asked for is not in a columnar file. */
  DATA_NO_SUCH_COLUMN: 'DATA_NO_SUCH_COLUMN',
  /** A folder or glob holds no file of a kind that is read. */
  DATA_NO_FILES: 'DATA_NO_FILES',
  /** A path is not the prefix of a prepared data set. */
  DATA_TOKEN_FILES_NOT_FOUND: 'DATA_TOKEN_FILES_NOT_FOUND',
  /** A path could mean several prepared data sets. */
  DATA_TOKEN_FILES_AMBIGUOUS: 'DATA_TOKEN_FILES_AMBIGUOUS',
  /** A data handler's name is neither in the table of handlers nor an alias there. */
  DATA_UNKNOWN_HANDLER: 'DATA_UNKNOWN_HANDLER',
  /** A preprocessing thread could not start or ended by itself. */
  DATA_WORKER_FAILED: 'DATA_WORKER_FAILED',
  /** A part of an unfinished preprocessing changed since it was written. */
  DATA_PART_DAMAGED: 'DATA_PART_DAMAGED',
  /** Data sets prepared together are of different tasks and would have different fields. */
  DATA_MIXED_KINDS: 'DATA_MIXED_KINDS',
  /** A model's processor configuration is damaged or has a field that makes no sense. */
  DATA_BAD_MEDIA_CONFIG: 'DATA_BAD_MEDIA_CONFIG',
  /** There is no media plugin of this name; the message lists them. */
  DATA_UNKNOWN_MEDIA_PLUGIN: 'DATA_UNKNOWN_MEDIA_PLUGIN',
  /** A media manifest is damaged. */
  DATA_BAD_MEDIA_MANIFEST: 'DATA_BAD_MEDIA_MANIFEST',
  /** A series cannot be encoded or read back as asked. */
  DATA_BAD_SERIES: 'DATA_BAD_SERIES',
  /** Prepared files of another job are in the way. */
  DATA_OUTPUT_EXISTS: 'DATA_OUTPUT_EXISTS',
  /** Another process is preparing the same files. */
  DATA_OUTPUT_BUSY: 'DATA_OUTPUT_BUSY',
} as const;
