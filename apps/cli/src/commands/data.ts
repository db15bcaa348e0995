/** `tuneyard data`: looking at data sets before training on them. */
import type { Command } from 'commander';
import type { StartCommand } from '../define-command.js';
import { addDataCheckCommand } from './data-check.js';
import { addDataHandlersCommand } from './data-handlers.js';
import { addDataPreviewCommand } from './data-preview.js';
import { addDataTemplatesCommand } from './data-templates.js';

/** Adds `data` with its commands to the program. */
export function addDataCommands(program: Command, start: StartCommand): void {
  const data = program
    .command('data')
    .summary('Look at data sets before training on them')
    .description('Looks at data sets before training on them.');
  addDataPreviewCommand(data, start);
  addDataCheckCommand(data, start);
  addDataTemplatesCommand(data, start);
  addDataHandlersCommand(data, start);
}
