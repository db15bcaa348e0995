/** A host for tests: streams that remember, an environment and a clock that the test sets. */
import { Readable } from 'node:stream';
import { runCli } from '../run-cli.js';
import type { Environment } from '../terminal/host.js';

/** What a test may choose about the surroundings of a run. */
export interface FakeHostOptions {
  readonly env?: Environment;
  readonly cwd?: string;
  readonly isTTY?: boolean;
  readonly stdin?: string;
  readonly interrupt?: AbortSignal;
}

/** What a run left behind. */
export interface FakeRun {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Text sink that keeps what was written. */
export class TextBuffer {
  text = '';
  readonly isTTY: boolean;
  readonly columns = 100;

  constructor(isTTY = false) {
    this.isTTY = isTTY;
  }

  write(text: string): void {
    this.text += text;
  }
}

/** Runs the program in this process with remembered streams and an environment of its own. */
export async function runFake(
  argv: readonly string[],
  options: FakeHostOptions = {},
): Promise<FakeRun> {
  const stdout = new TextBuffer(options.isTTY);
  const stderr = new TextBuffer(options.isTTY);
  const exitCode = await runCli(argv, {
    stdout,
    stderr,
    stdin: Readable.from(options.stdin === undefined ? [] : [options.stdin]),
    env: options.env ?? {},
    cwd: options.cwd ?? process.cwd(),
    now: () => 0,
    interrupt: options.interrupt ?? new AbortController().signal,
  });
  return { exitCode, stdout: stdout.text, stderr: stderr.text };
}
