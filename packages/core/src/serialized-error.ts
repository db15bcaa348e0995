/** Errors in a form that crosses to another process or thread and comes back with all that they said. */
import { type ErrorCategory, type JsonValue, TuneyardError } from './errors.js';

/** A {@link TuneyardError} as plain data. */
export interface SerializedError {
  readonly code: string;
  readonly category: string;
  readonly message: string;
  readonly details: { readonly [key: string]: JsonValue };
  readonly hint?: string;
  readonly stack?: string;
}

/** The error as plain data; what is no Tuneyard error is first wrapped under `code`. */
export function serializeError(thrown: unknown, code: string): SerializedError {
  const error = asTuneyardError(thrown, code);
  return {
    code: error.code,
    category: error.category,
    message: error.message,
    details: error.details,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
  };
}

/** The error again, with its code, category, details, hint and the stack of where it was thrown. */
export function reviveError(error: SerializedError): TuneyardError {
  const revived = new TuneyardError(error.code, error.message, {
    category: error.category as ErrorCategory,
    details: error.details,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
  if (error.stack !== undefined) revived.stack = error.stack;
  return revived;
}

/** Wraps what is no Tuneyard error under `code`, category `internal`. */
export function asTuneyardError(thrown: unknown, code: string): TuneyardError {
  if (thrown instanceof TuneyardError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const wrapped = new TuneyardError(code, message, { category: 'internal', cause: thrown });
  if (thrown instanceof Error && thrown.stack !== undefined) wrapped.stack = thrown.stack;
  return wrapped;
}
