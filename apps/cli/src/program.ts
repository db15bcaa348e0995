/** The tree of commands. */
import { Command } from 'commander';
import { addAdapterCommands } from './commands/adapter.js';
import { addArtifactsCommand } from './commands/artifacts.js';
import { addChatCommand } from './commands/chat.js';
import { addConvertCommand } from './commands/convert.js';
import { addDataCommands } from './commands/data.js';
import { addDoctorCommand } from './commands/doctor.js';
import { addEvalCommand } from './commands/eval.js';
import { addExportCommand } from './commands/export.js';
import { addGenerateCommand } from './commands/generate.js';
import { addInspectCommand } from './commands/inspect.js';
import { addMergeCommand } from './commands/merge.js';
import { addPlanCommand } from './commands/plan.js';
import { addPreprocessCommand } from './commands/preprocess.js';
import { addRunCommand } from './commands/run.js';
import { addTrainCommand } from './commands/train.js';
import type { StartCommand } from './define-command.js';
import { colorsFor } from './terminal/color.js';
import type { CliHost } from './terminal/host.js';
import { VERSION } from './version.js';

/** What {@link buildProgram} needs. */
export interface ProgramOptions {
  readonly host: CliHost;
  /** True when `--no-color` was given; help is printed before options are parsed. */
  readonly isColorRefused: boolean;
  readonly start: StartCommand;
}

/** Builds the program; nothing runs until its `parseAsync` is called. */
export function buildProgram({ host, isColorRefused, start }: ProgramOptions): Command {
  const program = new Command('tuneyard');
  const colors = colorsFor({ stream: host.stdout, env: host.env, isRefused: isColorRefused });
  program
    .description('Fine-tune, check, convert and use language models on your own machine.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .option('--workspace <dir>', 'directory of artifacts and runs (default: ./.tuneyard)')
    .option('--json', 'print results as JSON on stdout; long runs print one event per line')
    .option('--no-color', 'print without colours')
    .option('--debug', 'print the stack when something unexpected goes wrong')
    .configureHelp({ showGlobalOptions: true, styleTitle: (text) => colors.bold(text) })
    .configureOutput({
      writeOut: (text) => host.stdout.write(text),
      writeErr: (text) => host.stderr.write(text),
      outputError: () => undefined,
      getOutHelpWidth: () => host.stdout.columns ?? 80,
      getOutHasColors: () => colors.isColorSupported,
    })
    .exitOverride()
    .addHelpText('after', '\nRun `tuneyard <command> --help` for examples.');
  addRunCommand(program, start);
  addPlanCommand(program, start);
  addTrainCommand(program, start);
  addPreprocessCommand(program, start);
  addDataCommands(program, start);
  addEvalCommand(program, start);
  addGenerateCommand(program, start);
  addChatCommand(program, start);
  addConvertCommand(program, start);
  addMergeCommand(program, start);
  addAdapterCommands(program, start);
  addExportCommand(program, start);
  addInspectCommand(program, start);
  addArtifactsCommand(program, start);
  addDoctorCommand(program, start);
  return program;
}
