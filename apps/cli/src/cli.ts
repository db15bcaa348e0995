/**
 * One run of the program as the commands see it: where results and notes go, and how to stop.
 *
 * Results go to stdout, text for people to stderr. With `--json`, stdout carries JSON only and stderr
 * stays quiet.
 */
import { isAbsolute, join } from 'node:path';
import { type Colors, colorsFor } from './terminal/color.js';
import type { CliHost } from './terminal/host.js';
import { Progress } from './terminal/progress.js';

/** The options that every command takes. */
export interface GlobalOptions {
  readonly workspace?: string;
  readonly json?: boolean;
  readonly debug?: boolean;
  /** False when `--no-color` was given. */
  readonly color?: boolean;
}

/** What `--json` can print. */
export type JsonDocument = object;

const DEFAULT_INTERRUPT_NOTE = 'stopping';

/** The hands of a command: printing, paths, progress, cancellation. */
export class Cli {
  readonly host: CliHost;
  readonly isJson: boolean;
  readonly isDebug: boolean;
  /** Directory of artifacts and runs. */
  readonly workspace: string;
  readonly out: Colors;
  readonly err: Colors;
  readonly progress: Progress;
  /** Exit code when the command ends without an error. */
  exitCode = 0;
  /** What the user reads after the first Ctrl-C. */
  interruptNote: string = DEFAULT_INTERRUPT_NOTE;

  constructor(host: CliHost, options: GlobalOptions) {
    this.host = host;
    this.isJson = options.json ?? false;
    this.isDebug = options.debug ?? false;
    this.workspace = this.path(options.workspace ?? host.env['TUNEYARD_HOME'] ?? '.tuneyard');
    const isRefused = options.color === false;
    this.out = colorsFor({ stream: host.stdout, env: host.env, isRefused });
    this.err = colorsFor({ stream: host.stderr, env: host.env, isRefused });
    this.progress = new Progress({ sink: host.stderr, colors: this.err, now: host.now });
    host.interrupt.addEventListener('abort', () => this.note(this.interruptNote), { once: true });
  }

  /** Fires when the user asks to stop. */
  get signal(): AbortSignal {
    return this.host.interrupt;
  }

  /** A path as typed by the user, made relative to the host's directory. */
  path(typed: string): string {
    const isHere = isAbsolute(typed) || this.host.cwd === process.cwd();
    return isHere ? typed : join(this.host.cwd, typed);
  }

  /** Prints a line for people on stderr; nothing with `--json`. */
  note(text: string): void {
    if (this.isJson) return;
    this.progress.clear();
    this.host.stderr.write(`${text}\n`);
  }

  /** Prints a warning for people on stderr; nothing with `--json`. */
  warn(text: string): void {
    this.note(`${this.err.yellow('warning:')} ${text}`);
  }

  /** Writes text to stdout as it is, without a line end. */
  write(text: string): void {
    this.progress.clear();
    this.host.stdout.write(text);
  }

  /** Prints the result of a command: the document with `--json`, the lines otherwise. */
  result(document: JsonDocument, lines: () => readonly string[]): void {
    this.write(
      this.isJson ? `${JSON.stringify(document, jsonReplacer, 2)}\n` : `${lines().join('\n')}\n`,
    );
  }

  /** Prints one line of NDJSON with `--json`; nothing otherwise. */
  event(document: JsonDocument): void {
    if (this.isJson) this.write(`${JSON.stringify(document, jsonReplacer)}\n`);
  }
}

/** JSON has no 64-bit integers, maps, typed arrays or non-finite numbers: write what a reader expects. */
function jsonReplacer(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') {
    return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  }
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (value instanceof Map) return Object.fromEntries(value);
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    return Array.from(value as unknown as ArrayLike<number>);
  }
  return value;
}
