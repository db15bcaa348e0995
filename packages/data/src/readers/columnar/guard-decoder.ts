/** Turns what decoders throw on damaged bytes into errors of ours. */
import { TuneyardError } from '@tuneyard/core';
import { type FileErrorOptions, fileError } from '../file-errors.js';
import { MAX_RECORD_BYTES } from '../limits.js';

/** The cause of an error about a value that passes the limit of a record. */
export const TOO_LARGE: unique symbol = Symbol('a value beyond the limit');

/** A file of a columnar kind. */
export interface DecodedFile {
  readonly path: string;
  readonly kind: 'Parquet' | 'Arrow';
}

/**
 * Runs a decoder, whose failures on damaged bytes are range and type errors as well as errors of its own.
 *
 * Throws: `DATA_BAD_PARQUET` or `DATA_BAD_ARROW` with `where` before what was found; `DATA_RECORD_TOO_LARGE`; errors
 * of ours pass.
 */
export function guardDecoder<T>(file: DecodedFile, run: () => T, where = ''): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof TuneyardError) throw error;
    const found = error instanceof Error ? error.message : 'it cannot be decoded';
    if (error instanceof Error && error.cause === TOO_LARGE) {
      throw fileError(
        'DATA_RECORD_TOO_LARGE',
        { file: file.path },
        `${where}${found}; the limit is ${MAX_RECORD_BYTES}`,
        { category: 'resource_exhausted', details: { limit: MAX_RECORD_BYTES } },
      );
    }
    throw badFile(file, `${where}${found}`, { cause: error });
  }
}

/** A columnar file that is damaged or cannot be read. */
export function badFile(
  { path, kind }: DecodedFile,
  what: string,
  options: FileErrorOptions = {},
): TuneyardError {
  const code = kind === 'Parquet' ? 'DATA_BAD_PARQUET' : 'DATA_BAD_ARROW';
  return fileError(code, { file: path }, `not a readable ${kind} file: ${what}`, options);
}
