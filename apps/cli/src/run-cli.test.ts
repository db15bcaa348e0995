import { describe, expect, it } from 'vitest';
import { buildProgram } from './program.js';
import { runFake, TextBuffer } from './testing/fake-host.js';
import { VERSION } from './version.js';

const commandNames = buildProgram({
  host: {
    stdout: new TextBuffer(),
    stderr: new TextBuffer(),
    stdin: process.stdin,
    env: {},
    cwd: '/',
    now: () => 0,
    interrupt: new AbortController().signal,
  },
  isColorRefused: true,
  start: () => {
    throw new Error('nothing is started here');
  },
}).commands.flatMap((command) =>
  command.commands.length === 0
    ? [[command.name()]]
    : command.commands.map((child) => [command.name(), child.name()]),
);

describe('tuneyard', () => {
  it('prints its version on stdout', async () => {
    expect(await runFake(['--version'])).toEqual({
      exitCode: 0,
      stdout: `${VERSION}\n`,
      stderr: '',
    });
  });

  it('prints help on stderr and exits with 2 when no command is given', async () => {
    const run = await runFake([]);
    expect(run.exitCode).toBe(2);
    expect(run.stdout).toBe('');
    expect(run.stderr).toContain('Usage: tuneyard');
  });

  it('names the nearest command and exits with 2 when a command is unknown', async () => {
    const run = await runFake(['docter']);
    expect(run.exitCode).toBe(2);
    expect(run.stdout).toBe('');
    expect(run.stderr).toBe(
      "error[CLI_UNKNOWN_COMMAND]: unknown command 'docter'\nhint: Did you mean doctor?\n",
    );
  });

  it('names the nearest option and exits with 2 when an option is unknown', async () => {
    const run = await runFake(['doctor', '--jsn']);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toBe(
      "error[CLI_UNKNOWN_OPTION]: unknown option '--jsn'\nhint: Did you mean --json?\n",
    );
  });

  it('prints one error document on stdout and nothing on stderr with --json', async () => {
    const run = await runFake(['doctor', 'extra', '--json']);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toBe('');
    expect(JSON.parse(run.stdout)).toEqual({
      error: {
        code: 'CLI_BAD_USAGE',
        category: 'invalid_input',
        message: "too many arguments for 'doctor'. Expected 0 arguments but got 1.",
        details: {},
        hint: 'Run the command with --help to see what it takes.',
      },
    });
  });

  it('has at least one example and the global options in the help of every command', async () => {
    expect(commandNames.length).toBeGreaterThan(0);
    for (const path of commandNames) {
      const run = await runFake([...path, '--help']);
      expect(run.exitCode, path.join(' ')).toBe(0);
      expect(run.stderr).toBe('');
      expect(run.stdout).toContain(`Usage: tuneyard ${path.join(' ')} `);
      expect(run.stdout).toMatch(/Examples:\n {2}# .+\n {2}tuneyard /);
      expect(run.stdout).toContain('--workspace <dir>');
    }
  });
});

describe('colour', () => {
  const colorCode = '\u001b[';
  it('is used on a terminal only', async () => {
    expect((await runFake(['docter'], { isTTY: true })).stderr).toContain(colorCode);
    expect((await runFake(['docter'])).stderr).not.toContain(colorCode);
  });

  it('is refused by --no-color before NO_COLOR before FORCE_COLOR', async () => {
    const colored = async (argv: string[], env: Record<string, string>, isTTY: boolean) =>
      (await runFake([...argv, 'docter'], { env, isTTY })).stderr.includes(colorCode);
    expect(await colored([], { FORCE_COLOR: '1' }, false)).toBe(true);
    expect(await colored([], { FORCE_COLOR: '0' }, true)).toBe(false);
    expect(await colored([], { FORCE_COLOR: '1', NO_COLOR: '1' }, true)).toBe(false);
    expect(await colored([], { NO_COLOR: '' }, true)).toBe(true);
    expect(await colored(['--no-color'], { FORCE_COLOR: '1' }, true)).toBe(false);
    expect(await colored([], { TERM: 'dumb' }, true)).toBe(false);
  });
});
