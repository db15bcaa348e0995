/** `tuneyard data handlers`: the ways in which records become tokens. */
import type { HandlerDescription } from '@tuneyard/data';
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { defineCommand, type StartCommand } from '../define-command.js';
import { formatFacts, formatTable } from '../terminal/table.js';

/** Adds `data handlers`. */
export function addDataHandlersCommand(parent: Command, start: StartCommand): void {
  defineCommand(parent, {
    usage: 'handlers',
    summary: 'List the ways in which records become tokens',
    description:
      'Lists the handlers: what kind of data each one writes, which fields of a record it reads and what is learned. With a name, shows one of them whole.',
    examples: [
      { command: 'tuneyard data handlers', does: 'list them all' },
      { command: 'tuneyard data handlers belle', does: 'show one by its name or short name' },
    ],
  })
    .argument('[name]', 'show this handler')
    .action((name: string | undefined) => handlers(start(), name));
}

async function handlers(cli: Cli, name: string | undefined): Promise<void> {
  const { describeHandler, describeHandlers } = await import('@tuneyard/data');
  if (name === undefined) {
    const list = describeHandlers();
    cli.result({ handlers: list }, () => shownList(list));
  } else {
    const handler = describeHandler(name);
    cli.result({ handler }, () => shownHandler(handler));
  }
}

function shownList(list: readonly HandlerDescription[]): string[] {
  const columns = ['Handler', 'Short names', 'Writes', 'Template', 'Learned'].map((title) => ({
    title,
  }));
  const rows = list.map(({ name, aliases, kind, needsTemplate, summary }) => [
    name,
    aliases.join(', '),
    kind,
    needsTemplate ? 'yes' : '',
    summary,
  ]);
  return formatTable(columns, rows);
}

function shownHandler(handler: HandlerDescription): string[] {
  const { name, aliases, kind, record, summary, needsTemplate } = handler;
  return [
    name,
    ...formatFacts([
      ['short names', aliases.join(', ')],
      ['writes', kind],
      ['reads', record],
      ['learned', summary],
      ['prompt template', needsTemplate ? 'needed' : 'not used'],
    ]),
  ];
}
