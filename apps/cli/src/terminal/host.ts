/** What the program needs from the outside: streams, environment, directory, clock, interruption. */

/** A stream that text is written to; `process.stdout` fits, and so does a test's buffer. */
export interface TextSink {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  /** Width of the terminal in characters. */
  readonly columns?: number;
}

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Everything that `runCli` takes from its surroundings. */
export interface CliHost {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  readonly stdin: NodeJS.ReadableStream;
  readonly env: Environment;
  /** Directory that relative paths start from. */
  readonly cwd: string;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
  /** Fires when the user asks to stop (first Ctrl-C). */
  readonly interrupt: AbortSignal;
}
