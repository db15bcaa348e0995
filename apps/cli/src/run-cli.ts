/** Runs the program once and answers with its exit code; never throws. */
import { CommanderError } from 'commander';
import { Cli, type GlobalOptions } from './cli.js';
import { buildProgram } from './program.js';
import {
  type ErrorReport,
  exitCodeOf,
  formatErrorReport,
  formatStack,
  reportError,
} from './terminal/error-report.js';
import type { CliHost } from './terminal/host.js';

/** Runs `tuneyard` with the arguments that follow the program's name. */
export async function runCli(argv: readonly string[], host: CliHost): Promise<number> {
  let cli: Cli | undefined;
  const early = scanGlobalOptions(argv);
  const program = buildProgram({
    host,
    isColorRefused: early.color === false,
    start: () => {
      cli ??= new Cli(host, program.opts<GlobalOptions>());
      return cli;
    },
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return cli?.exitCode ?? 0;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    return printFailure(cli ?? new Cli(host, early), error);
  } finally {
    cli?.progress.clear();
  }
}

/** The options that decide how a failure is printed, found without parsing the rest. */
function scanGlobalOptions(argv: readonly string[]): GlobalOptions {
  const end = argv.indexOf('--');
  const options = new Set(end === -1 ? argv : argv.slice(0, end));
  return {
    json: options.has('--json'),
    debug: options.has('--debug'),
    color: !options.has('--no-color'),
  };
}

function printFailure(cli: Cli, error: unknown): number {
  if (error instanceof CommanderError && error.code === 'commander.help') return 2;
  const report = reportError(error);
  if (cli.isJson) cli.write(`${JSON.stringify({ error: report })}\n`);
  else for (const line of describeFailure(cli, report)) cli.note(line);
  if (cli.isDebug) cli.host.stderr.write(`${formatStack(error).join('\n')}\n`);
  return exitCodeOf(report);
}

/** A stop that the user asked for is no error: one line says that it happened. */
function describeFailure(cli: Cli, report: ErrorReport): string[] {
  if (report.category === 'cancelled' && cli.signal.aborted) {
    return [
      'stopped',
      ...(report.hint === null ? [] : [`${cli.err.cyan('hint:')} ${report.hint}`]),
    ];
  }
  return formatErrorReport(report, cli.err);
}
