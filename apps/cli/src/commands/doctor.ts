/** `tuneyard doctor`: what this machine has and what is missing. */
import { arch, availableParallelism, cpus, freemem, platform, totalmem } from 'node:os';
import { formatBytes } from '@tuneyard/core';
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { defineCommand, type StartCommand } from '../define-command.js';
import { checkEngine, type EngineCheck } from '../doctor/engine.js';
import {
  parseAvailableBytes,
  parseCpuFeatures,
  readControlGroupLimits,
} from '../doctor/machine.js';
import {
  findOptionalPrograms,
  type OptionalProgram,
  programRunner,
} from '../doctor/optional-programs.js';
import { formatFacts, formatTable } from '../terminal/table.js';
import { readTextFile } from '../threads.js';

/** Adds `doctor` to the program. */
export function addDoctorCommand(program: Command, start: StartCommand): void {
  defineCommand(program, {
    usage: 'doctor',
    summary: 'Show what this machine has and what is missing',
    description:
      'Shows the processor, memory, limits and libraries that Tuneyard finds, and the optional programs that it can use.',
    examples: [
      { command: 'tuneyard doctor', does: 'check this machine' },
      { command: 'tuneyard doctor --json > machine.json', does: 'keep the facts for a bug report' },
    ],
  }).action(() => doctor(start()));
}

async function doctor(cli: Cli): Promise<void> {
  const machine = readMachine();
  const engine = await checkEngine();
  const optional = await findOptionalPrograms(programRunner(cli.host.env));
  cli.result({ ...machine, engine, optional }, () => [
    ...formatMachine(cli, machine),
    '',
    ...formatEngine(cli, engine),
    '',
    ...formatOptional(cli, optional),
  ]);
}

function readMachine() {
  const cpuinfo = readTextFile('/proc/cpuinfo') ?? '';
  const meminfo = readTextFile('/proc/meminfo') ?? '';
  const limits = readControlGroupLimits(readTextFile);
  return {
    node: process.versions.node,
    system: `${platform()} ${arch()}`,
    processor: {
      model: cpus()[0]?.model.trim() ?? 'unknown',
      cores: availableParallelism(),
      coresLimit: limits.cores,
      features: parseCpuFeatures(cpuinfo),
    },
    memory: {
      totalBytes: totalmem(),
      availableBytes: parseAvailableBytes(meminfo) ?? freemem(),
      limitBytes: limits.memoryBytes,
    },
  };
}

type Machine = ReturnType<typeof readMachine>;

function formatMachine(cli: Cli, machine: Machine): string[] {
  const { processor, memory } = machine;
  const cores = `${processor.cores} core${processor.cores === 1 ? '' : 's'}`;
  const coresLimit =
    processor.coresLimit === null ? '' : `, limited to ${processor.coresLimit.toFixed(1)}`;
  const bytesLimit =
    memory.limitBytes === null ? '' : `, limited to ${formatBytes(memory.limitBytes)}`;
  return [
    cli.out.bold('Machine'),
    ...formatFacts([
      ['system', `${machine.system}, Node ${machine.node}`],
      ['processor', `${processor.model}, ${cores}${coresLimit}`],
      ['features', processor.features.join(' ') || 'not known on this system'],
      [
        'memory',
        `${formatBytes(memory.totalBytes)}, ${formatBytes(memory.availableBytes)} available${bytesLimit}`,
      ],
    ]),
  ];
}

function formatEngine(cli: Cli, engine: EngineCheck): string[] {
  const facts: (readonly [string, string])[] = engine.isWorking
    ? [
        ['ggml', cli.out.green(`${engine.backends.version} works on the processor`)],
        ['back end', `CPU, built for ${engine.backends.cpuVariant}`],
        ['uses', engine.backends.cpuFeatures.join(' ')],
        ['accelerators', accelerators(engine.backends.acceleratorPackages)],
        ['fast types', engine.repackableTypes.join(' ') || 'none on this processor'],
      ]
    : [
        ['ggml', cli.out.red(engine.error.message)],
        ['', engine.error.hint ?? ''],
      ];
  return [cli.out.bold('Engine'), ...formatFacts(facts)];
}

function accelerators(packages: readonly string[]): string {
  return packages.length === 0
    ? 'no package installed; training uses the processor'
    : packages.join(' ');
}

function formatOptional(cli: Cli, programs: readonly OptionalProgram[]): string[] {
  const rows = programs.map(({ name, version, usedFor, install }) => [
    `  ${name}`,
    version === null ? cli.out.yellow('missing') : cli.out.green(version),
    usedFor,
    version === null ? cli.out.dim(install) : '',
  ]);
  const columns = Array.from({ length: 4 }, () => ({ title: '' }));
  return [cli.out.bold('Optional'), ...formatTable(columns, rows)];
}
