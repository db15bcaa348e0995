/** `tuneyard inspect`: what is in a model, adapter, tokenizer, weight file or artifact. */
import { formatCount, TuneyardError } from '@tuneyard/core';
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { defineCommand, type StartCommand } from '../define-command.js';
import { CLI_ERRORS } from '../errors.js';
import type { Inspection } from '../inspect/inspection.js';
import { computeTensorStats, type TensorStats } from '../inspect/tensor-stats.js';
import { formatTensorList, formatTensorTree } from '../inspect/tensor-tree.js';
import { formatFacts } from '../terminal/table.js';

interface InspectFlags {
  readonly tensors?: boolean;
  readonly stats?: string;
  readonly diff?: string;
}

/** Adds `inspect` to the program. */
export function addInspectCommand(program: Command, start: StartCommand): void {
  defineCommand(program, {
    usage: 'inspect',
    summary: 'Show what is in a model, adapter, tokenizer, weight file or artifact',
    description:
      'Shows facts, metadata and tensors of a path. Layers that are alike appear once in the tree of tensors. Reads headers only, unless values are asked for.',
    examples: [
      { command: 'tuneyard inspect models/my-model', does: 'a model directory' },
      { command: 'tuneyard inspect model-q8_0.gguf --tensors', does: 'every tensor of a file' },
      { command: 'tuneyard inspect models/a --diff models/b', does: 'what differs between two' },
      {
        command: 'tuneyard inspect adapter --stats layers.0.self_attn.q_proj.lora_B',
        does: 'statistics of the values of one tensor (part of a name is enough when it is unique)',
      },
    ],
  })
    .argument('<path>', 'file or directory')
    .option('--tensors', 'list every tensor on a line of its own')
    .option('--stats <name>', 'show statistics of the values of one tensor')
    .option(
      '--diff <other>',
      'compare every tensor with those of another path; exits with 1 if any differs',
    )
    .action((path: string, flags: InspectFlags) => inspect(start(), path, flags));
}

async function inspect(cli: Cli, path: string, flags: InspectFlags): Promise<void> {
  const { inspectPath } = await import('../inspect/inspect-path.js');
  const inspection = await inspectPath(cli.path(path));
  try {
    if (flags.diff !== undefined) await showDifferences(cli, inspection, flags.diff);
    else if (flags.stats !== undefined) await showStats(cli, inspection, flags.stats);
    else showInspection(cli, { path, inspection, flags });
  } finally {
    await inspection.close();
  }
}

function showInspection(
  cli: Cli,
  shown: { path: string; inspection: Inspection; flags: InspectFlags },
): void {
  const { path, inspection, flags } = shown;
  const document = {
    path,
    kind: inspection.kind,
    problems: inspection.problems,
    ...inspection.document,
    ...(inspection.tensors === null ? {} : { tensors: inspection.tensors.lines }),
  };
  cli.result(document, () => {
    const lines = [`${cli.out.bold(inspection.kind)}  ${path}`];
    for (const { title, facts } of inspection.sections) {
      lines.push('', cli.out.bold(title), ...formatFacts(facts));
    }
    lines.push(...formatTensors(cli, inspection, flags));
    return lines;
  });
  for (const problem of inspection.problems) cli.warn(problem);
}

function formatTensors(cli: Cli, { tensors }: Inspection, flags: InspectFlags): string[] {
  if (tensors === null || tensors.lines.length === 0) return [];
  const { lines, shapeTitle } = tensors;
  const [titles = '', ...rows] =
    flags.tensors === true
      ? formatTensorList(lines, shapeTitle)
      : formatTensorTree(lines, { shapeTitle, colors: cli.out });
  return ['', cli.out.bold(titles), ...rows];
}

/** Differences shown; `--json` has all. */
const SHOWN_DIFFERENCES = 40;

async function showDifferences(cli: Cli, here: Inspection, path: string): Promise<void> {
  const { inspectPath } = await import('../inspect/inspect-path.js');
  const { compareTensors } = await import('../inspect/compare-tensors.js');
  const there = await inspectPath(cli.path(path));
  try {
    const [a, b] = [here.tensors, there.tensors];
    if (a === null || b === null) throw withoutTensors(a === null ? here : there);
    const total = a.lines.length;
    const comparison = await compareTensors(a, b, {
      signal: cli.signal,
      onTensor: (done) => cli.progress.update({ stage: 'compare', done, total, unit: 'tensors' }),
    });
    cli.progress.clear();
    const { differences, equal } = comparison;
    if (differences.length > 0) cli.exitCode = 1;
    cli.result(comparison, () => [
      ...formatFacts(
        differences.slice(0, SHOWN_DIFFERENCES).map(({ name, what }) => [name, what] as const),
      ),
      ...(differences.length > SHOWN_DIFFERENCES
        ? [`… and ${differences.length - SHOWN_DIFFERENCES} more`]
        : []),
      differences.length === 0
        ? `all ${formatCount(equal)} tensors are equal`
        : `${formatCount(differences.length)} tensors differ, ${formatCount(equal)} are equal`,
    ]);
  } finally {
    await there.close();
  }
}

function withoutTensors({ kind }: Inspection): TuneyardError {
  return new TuneyardError(CLI_ERRORS.CLI_INVALID_VALUE, `A ${kind} has no tensors to compare`);
}

async function showStats(cli: Cli, { tensors }: Inspection, asked: string): Promise<void> {
  const { unknownTensor } = await import('../inspect/inspect-safetensors.js');
  const names = tensors?.lines.map(({ name }) => name) ?? [];
  const fitting = names.includes(asked) ? [asked] : names.filter((name) => name.includes(asked));
  const [name, ...others] = fitting;
  if (tensors === null || name === undefined || others.length > 0) {
    throw unknownTensor(asked, names);
  }
  const line = tensors.lines.find((tensor) => tensor.name === name);
  const stats = computeTensorStats(await tensors.readValues(name));
  cli.result({ ...line, ...stats }, () => [
    `${cli.out.bold(name)}  ${line?.dtype} ${line?.shape.join(' × ')}`,
    ...formatFacts(statFacts(stats)),
  ]);
}

function statFacts(stats: TensorStats): (readonly [string, string])[] {
  const number = (value: number | null): string => (value === null ? 'none' : formatNumber(value));
  const share = (count: number): string =>
    `${formatCount(count)} (${((100 * count) / Math.max(1, stats.elements)).toFixed(2)} %)`;
  return [
    ['elements', formatCount(stats.elements)],
    ['smallest', number(stats.min)],
    ['largest', number(stats.max)],
    ['mean', number(stats.mean)],
    ['deviation', number(stats.standardDeviation)],
    ['rms', number(stats.rms)],
    ['zeros', share(stats.zeros)],
    ['not a number', share(stats.notANumber)],
    ['infinite', share(stats.infinite)],
    ['first values', stats.first.map(formatNumber).join(' ')],
  ];
}

function formatNumber(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(5);
}
