/** Turns anything thrown into one shape, and that shape into text or JSON. */
import {
  CORE_ERRORS,
  type ErrorCategory,
  EXIT_CODE_BY_CATEGORY,
  type JsonValue,
  TuneyardError,
} from '@tuneyard/core';
import { CommanderError } from 'commander';
import { CLI_ERRORS } from '../errors.js';
import type { Colors } from './color.js';

/** What the user is told about a failure; `--json` prints it under the key `error`. */
export interface ErrorReport {
  readonly code: string;
  readonly category: ErrorCategory;
  readonly message: string;
  readonly details: { readonly [key: string]: JsonValue };
  readonly hint: string | null;
}

/** Exit code that belongs to a report. */
export function exitCodeOf(report: ErrorReport): number {
  return EXIT_CODE_BY_CATEGORY[report.category];
}

/** Describes anything that was thrown: our errors, wrong usage, system errors, mistakes. */
export function reportError(error: unknown): ErrorReport {
  if (error instanceof TuneyardError) {
    const { code, category, message, details, hint } = error;
    return { code, category, message, details, hint: hint ?? null };
  }
  if (error instanceof CommanderError) return reportUsage(error);
  if (error instanceof Error && error.name === 'AbortError') return CANCELLED;
  return reportSystemError(error) ?? reportUnexpected(error);
}

/** Node raises its own error when a signal fires inside one of its calls. */
const CANCELLED: ErrorReport = {
  code: CORE_ERRORS.CANCELLED,
  category: 'cancelled',
  message: 'The operation was cancelled',
  details: {},
  hint: null,
};

const USAGE_CODES: Readonly<Record<string, string>> = {
  'commander.unknownCommand': CLI_ERRORS.CLI_UNKNOWN_COMMAND,
  'commander.unknownOption': CLI_ERRORS.CLI_UNKNOWN_OPTION,
  'commander.invalidArgument': CLI_ERRORS.CLI_INVALID_VALUE,
};

/** Commander's message is `error: what` and, on a line of its own, `(Did you mean that?)`. */
function reportUsage(error: CommanderError): ErrorReport {
  const [first = '', ...rest] = error.message.split('\n');
  const suggestion = /^\((.+)\)$/.exec(rest.join(' ').trim())?.[1];
  return {
    code: USAGE_CODES[error.code] ?? CLI_ERRORS.CLI_BAD_USAGE,
    category: 'invalid_input',
    message: first.replace(/^error: /, ''),
    details: {},
    hint: suggestion ?? 'Run the command with --help to see what it takes.',
  };
}

const SYSTEM_CODES: Readonly<Record<string, readonly [string, ErrorCategory, string]>> = {
  ENOENT: [CLI_ERRORS.CLI_FILE_NOT_FOUND, 'not_found', 'No such file or directory'],
  ENOTDIR: [CLI_ERRORS.CLI_FILE_NOT_FOUND, 'not_found', 'A part of the path is not a directory'],
  EISDIR: [CLI_ERRORS.CLI_FILE_NOT_FOUND, 'invalid_input', 'Expected a file, found a directory'],
  EACCES: [CLI_ERRORS.CLI_PERMISSION_DENIED, 'permission', 'Permission denied'],
  EPERM: [CLI_ERRORS.CLI_PERMISSION_DENIED, 'permission', 'Operation not permitted'],
  EROFS: [CLI_ERRORS.CLI_PERMISSION_DENIED, 'permission', 'The file system is read-only'],
  ENOSPC: [CLI_ERRORS.CLI_OUT_OF_RESOURCES, 'resource_exhausted', 'The disk is full'],
  EDQUOT: [CLI_ERRORS.CLI_OUT_OF_RESOURCES, 'resource_exhausted', 'The disk quota is used up'],
  EMFILE: [CLI_ERRORS.CLI_OUT_OF_RESOURCES, 'resource_exhausted', 'Too many open files'],
  ENOMEM: [CLI_ERRORS.CLI_OUT_OF_RESOURCES, 'resource_exhausted', 'Out of memory'],
};

function reportSystemError(error: unknown): ErrorReport | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, path } = error as NodeJS.ErrnoException;
  const known = code === undefined ? undefined : SYSTEM_CODES[code];
  if (known === undefined) return undefined;
  const [ownCode, category, message] = known;
  return {
    code: ownCode,
    category,
    message: path === undefined ? message : `${message}: ${path}`,
    details: path === undefined ? {} : { path },
    hint: null,
  };
}

function reportUnexpected(error: unknown): ErrorReport {
  const message = error instanceof Error ? error.message : String(error);
  return {
    code: CLI_ERRORS.CLI_UNEXPECTED,
    category: 'internal',
    message: message === '' ? 'Something went wrong inside tuneyard' : message,
    details: {},
    hint: 'This is a mistake in tuneyard. Run again with --debug to see where, and report it.',
  };
}

const DETAIL_LENGTH_MAX = 300;

/** Formats a report for people: `error[CODE]: message`, one line per detail, then the hint. */
export function formatErrorReport(report: ErrorReport, colors: Colors): string[] {
  // Lists of objects are for programs: the message already says them in words.
  const entries = Object.entries(report.details).filter(([, value]) => !isObjectList(value));
  const width = entries.reduce((most, [key]) => Math.max(most, key.length), 0);
  const message = report.message.replaceAll('\n', '\n  ');
  const lines = [`${colors.bold(colors.red(`error[${report.code}]:`))} ${message}`];
  for (const [key, value] of entries) {
    lines.push(`  ${colors.dim(key.padEnd(width))}  ${formatDetail(value)}`);
  }
  if (report.hint !== null) lines.push(`${colors.cyan('hint:')} ${report.hint}`);
  return lines;
}

/** The stack of an error and of what caused it, for `--debug`. */
export function formatStack(error: unknown): string[] {
  const lines: string[] = [];
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; depth++) {
    lines.push(...`${depth === 0 ? '' : 'caused by '}${at.stack ?? at.message}`.split('\n'));
    at = at.cause;
  }
  return lines;
}

function isObjectList(value: JsonValue): boolean {
  return Array.isArray(value) && value.some((item) => typeof item === 'object' && item !== null);
}

function formatDetail(value: JsonValue): string {
  const isList = Array.isArray(value) && value.every((item) => typeof item !== 'object');
  const text = isList
    ? value.join(', ')
    : typeof value === 'string'
      ? value
      : JSON.stringify(value);
  return text.length <= DETAIL_LENGTH_MAX ? text : `${text.slice(0, DETAIL_LENGTH_MAX - 1)}…`;
}
