/**
 * The one error type of Tuneyard and the tables that give it behaviour.
 *
 * A code names what happened (`GGUF_BAD_MAGIC`), a category decides what a caller does about it. Codes
 * live in each package's `errors.ts`; docs/errors.md lists them all.
 */

/** Decides behaviour: HTTP status, exit code, whether a retry makes sense. */
export type ErrorCategory =
  | 'invalid_input'
  | 'not_found'
  | 'conflict'
  | 'permission'
  | 'resource_exhausted'
  | 'unavailable'
  | 'cancelled'
  | 'internal';

/** A value that survives `JSON.stringify` unchanged. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** Optional parts of a {@link TuneyardError}. */
export interface ErrorOptions {
  /** Default `invalid_input`. */
  readonly category?: ErrorCategory;
  /** Machine-readable facts: file, tensor, byte offset, value, limit. */
  readonly details?: { readonly [key: string]: JsonValue };
  /** One sentence that tells the user what to do next; the CLI prints it on its own line. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** The base of every error that Tuneyard raises on purpose. */
export class TuneyardError extends Error {
  readonly code: string;
  readonly category: ErrorCategory;
  readonly details: { readonly [key: string]: JsonValue };
  readonly hint: string | undefined;

  constructor(code: string, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'TuneyardError';
    this.code = code;
    this.category = options.category ?? 'invalid_input';
    this.details = options.details ?? {};
    this.hint = options.hint;
  }
}

/** Codes raised by `core` itself. */
export const CORE_ERRORS = {
  /** A mistake in Tuneyard itself: something that can never be was found to be. */
  ASSERTION_FAILED: 'ASSERTION_FAILED',
  /** The user or the caller stopped the work. */
  CANCELLED: 'CANCELLED',
} as const;

/** Exit code of a process that ends with an error of the category (documented in docs/cli.md). */
export const EXIT_CODE_BY_CATEGORY: { readonly [C in ErrorCategory]: number } = {
  invalid_input: 2,
  not_found: 2,
  conflict: 2,
  permission: 4,
  resource_exhausted: 5,
  unavailable: 6,
  cancelled: 130,
  internal: 70,
};

/** HTTP status of an error of the category. */
export const HTTP_STATUS_BY_CATEGORY: { readonly [C in ErrorCategory]: number } = {
  invalid_input: 400,
  not_found: 404,
  conflict: 409,
  permission: 403,
  resource_exhausted: 429,
  unavailable: 503,
  cancelled: 499,
  internal: 500,
};

/**
 * Guards against our own mistakes, never against user input.
 *
 * Throws: `ASSERTION_FAILED` (category `internal`) when `condition` is false.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) {
    throw new TuneyardError(CORE_ERRORS.ASSERTION_FAILED, message, { category: 'internal' });
  }
}

/** Returns `value`, or throws `ASSERTION_FAILED` when it is null or undefined. */
export function defined<T>(value: T | null | undefined, what: string): T {
  assert(value !== undefined && value !== null, `${what} is missing`);
  return value;
}

/** Throws `CANCELLED` when the signal has fired. Call it between units of long work. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw new TuneyardError(CORE_ERRORS.CANCELLED, 'The operation was cancelled', {
      category: 'cancelled',
      cause: signal.reason,
    });
  }
}
