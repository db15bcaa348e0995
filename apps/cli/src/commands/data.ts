/** `tuneyard data`: looking at data sets before training on them. */
import type { Command } from 'commander';
import type { StartCommand } from '../define-command.js';
import { addDataCheckCommand } from './data-check.js';
import { addDataHandlersCommand } from './data-handlers.js';
import { addDataInspectCommand } from './data-inspect.js';
import { addDataMediaCommand } from './data-media.js';
import { addDataMergeCommand } from './data-merge.js';
import { addDataPreviewCommand } from './data-preview.js';
import { addDataSplitCommand } from './data-split.js';
import { addDataTemplatesCommand } from './data-templates.js';
import { addDataVerifyCommand } from './data-verify.js';

/** Adds `data` with its commands to the program. */
export function addDataCommands(program: Command, start: StartCommand): void {
  const data = program
    .command('data')
    .summary('Look at data sets before training on them')
    .description('Looks at data sets before training on them.');
  addDataPreviewCommand(data, start);
  addDataCheckCommand(data, start);
  addDataMediaCommand(data, start);
  addDataTemplatesCommand(data, start);
  addDataHandlersCommand(data, start);
  addDataInspectCommand(data, start);
  addDataMergeCommand(data, start);
  addDataSplitCommand(data, start);
  addDataVerifyCommand(data, start);
}
