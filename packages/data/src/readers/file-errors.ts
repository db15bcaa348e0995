/** The errors that several readers raise. */
import { type ErrorCategory, type JsonValue, TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';

/** Where in a file something was found; fields that do not apply are left out. */
export interface FilePlace {
  readonly file: string;
  readonly row?: number;
  readonly line?: number;
}

/** What an error says besides its code and place. */
export interface FileErrorOptions {
  readonly category?: ErrorCategory;
  readonly hint?: string;
  readonly details?: { readonly [key: string]: JsonValue };
  readonly cause?: unknown;
}

/** Builds an error about a place in a file: `path:line: row n: what`. */
export function fileError(
  code: keyof typeof DATA_ERRORS,
  place: FilePlace,
  what: string,
  options: FileErrorOptions = {},
): TuneyardError {
  const line = place.line === undefined ? '' : `:${place.line}`;
  const row = place.row === undefined ? '' : `row ${place.row}: `;
  return new TuneyardError(DATA_ERRORS[code], `${place.file}${line}: ${row}${what}`, {
    ...options,
    details: { ...place, ...options.details },
  });
}

/** A data file that cannot be opened: missing, not permitted, or a loop of symbolic links. */
export function cannotOpen(path: string, cause: unknown): TuneyardError {
  const code = systemCode(cause);
  const why = (code !== undefined && WHY_BY_SYSTEM_CODE.get(code)) || (code ?? 'it is missing');
  return fileError('DATA_FILE_NOT_FOUND', { file: path }, `cannot open the data file: ${why}`, {
    category: code === 'EACCES' || code === 'EPERM' ? 'permission' : 'not_found',
    hint: 'Paths in a recipe are relative to the recipe file.',
    cause,
  });
}

const WHY_BY_SYSTEM_CODE: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'there is no such file'],
  ['ENOTDIR', 'a folder in its path is a file'],
  ['EACCES', 'permission is denied'],
  ['EPERM', 'permission is denied'],
  ['ELOOP', 'its symbolic links go in a circle'],
  ['EISDIR', 'it is a folder'],
]);

/** The system's code of a failed call (`ENOENT`); undefined when the error is not one of the system's. */
export function systemCode(error: unknown): string | undefined {
  if (error instanceof TuneyardError) return undefined;
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** A data file without content. */
export function emptyFile(path: string, what = 'the data file is empty'): TuneyardError {
  return fileError('DATA_FILE_EMPTY', { file: path }, what);
}
