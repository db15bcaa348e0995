#!/usr/bin/env node
/** The `tuneyard` program: gives the process's streams, environment and signals to `runCli`. */
import { runCli } from './run-cli.js';

/** 128 + SIGPIPE: what a shell reports for a program whose reader went away. */
const EXIT_BROKEN_PIPE = 141;
const EXIT_INTERRUPTED = 130;

const interrupt = new AbortController();

for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    if (interrupt.signal.aborted) process.exit(EXIT_INTERRUPTED);
    interrupt.abort();
  });
}

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT_BROKEN_PIPE);
    throw error;
  });
}

const exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  env: process.env,
  cwd: process.cwd(),
  now: () => performance.now(),
  interrupt: interrupt.signal,
});

// Idle threads of native libraries would keep the process alive: leave as soon as the output is out.
await Promise.all([process.stdout, process.stderr].map(flush));
process.exit(exitCode);

function flush(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write('', () => resolve());
  });
}
