/** The shape that every command shares: summary, examples, help, option parsers. */
import { type Command, InvalidArgumentError } from 'commander';
import type { Cli } from './cli.js';

/** Makes the hands of a command once its options are parsed. */
export type StartCommand = () => Cli;

/** One line of the examples in a command's help. */
export interface Example {
  readonly command: string;
  readonly does: string;
}

/** What a command is called and what its help says. */
export interface CommandSpec {
  /** Name and arguments, as commander takes them: `inspect <path>`. */
  readonly usage: string;
  /** One line, first word a verb, no full stop. */
  readonly summary: string;
  /** More sentences for the command's own help. */
  readonly description?: string;
  readonly examples: readonly Example[];
}

const examplesByCommand = new WeakMap<Command, readonly Example[]>();

/** Adds a command with its help and examples under `parent`. */
export function defineCommand(parent: Command, spec: CommandSpec): Command {
  const command = parent.command(spec.usage).summary(spec.summary);
  command.description(spec.description ?? `${spec.summary}.`);
  examplesByCommand.set(command, spec.examples);
  command.addHelpText('after', () =>
    [
      '',
      'Examples:',
      ...spec.examples.map(({ command, does }) => `  # ${does}\n  ${command}`),
    ].join('\n'),
  );
  return command;
}

/** The examples that a command was defined with. */
export function examplesOf(command: Command): readonly Example[] {
  return examplesByCommand.get(command) ?? [];
}

/** Legal values of a numeric option. */
export interface NumberRange {
  readonly min?: number;
  readonly max?: number;
}

/** Parser of a whole-number option. */
export function integerOption(range: NumberRange): (text: string) => number {
  return (text) => {
    const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
    return checkRange(value, { noun: 'a whole number', ...range });
  };
}

/** Parser of a numeric option. */
export function numberOption(range: NumberRange): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    return checkRange(value, { noun: 'a number', ...range });
  };
}

/** Parser of an option that is a list of whole numbers from 1 on: `3,17` or `3-5`. */
export function rowListOption(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    const first = Number(match?.[1] ?? Number.NaN);
    const last = Number(match?.[2] ?? first);
    if (!(first >= 1 && last >= first && last - first < 10_000)) {
      throw new InvalidArgumentError('Expected row numbers from 1 on, such as 3,17 or 3-5.');
    }
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** Parser of an option that may be given several times. */
export function repeatedOption(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}

function checkRange(value: number, range: NumberRange & { noun: string }): number {
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = range;
  if (Number.isFinite(value) && value >= min && value <= max) return value;
  const bounds =
    range.min !== undefined && range.max !== undefined
      ? ` from ${range.min} to ${range.max}`
      : range.min !== undefined
        ? `, at least ${range.min}`
        : '';
  throw new InvalidArgumentError(`Expected ${range.noun}${bounds}.`);
}
