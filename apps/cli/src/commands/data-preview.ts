/** `tuneyard data preview`: samples as the trainer sees them. */
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { addDataOptions, type DataFlags, findDatasets, openData } from '../data/data-options.js';
import type { EncodedRow } from '../data/encode-rows.js';
import {
  defineCommand,
  integerOption,
  rowListOption,
  type StartCommand,
} from '../define-command.js';
import { visibleText } from '../terminal/visible-text.js';

interface PreviewFlags extends DataFlags {
  readonly model: string;
  readonly rows?: readonly number[];
  readonly count: number;
}

/** Adds `data preview`. */
export function addDataPreviewCommand(parent: Command, start: StartCommand): void {
  const command = defineCommand(parent, {
    usage: 'preview',
    summary: 'Show samples as the trainer sees them',
    description:
      'Shows rows of a data set as tokens for a model. What is learned is coloured, or in ⟦ ⟧ without colour; everything else is only read. A row that gives no sample says why.',
    examples: [
      {
        command: 'tuneyard data preview train.jsonl --model models/my-model',
        does: 'the first three rows',
      },
      {
        command:
          'tuneyard data preview train.jsonl --model models/base --template plain --rows 3,17',
        does: 'two rows with another template',
      },
    ],
  })
    .argument('<dataset>', 'data file, or a name in dataset_info.json')
    .requiredOption('--model <path>', 'model directory or .gguf file')
    .option('--rows <list>', 'rows to show, such as 3,17 or 3-5', rowListOption)
    .option('--count <n>', 'show this many rows from the beginning', integerOption({ min: 1 }), 3);
  addDataOptions(command).action((dataset: string, flags: PreviewFlags) =>
    preview(start(), dataset, flags),
  );
}

async function preview(cli: Cli, dataset: string, flags: PreviewFlags): Promise<void> {
  const { encodeRows } = await import('../data/encode-rows.js');
  const [spec] = await findDatasets(cli, [dataset], flags);
  const data = await openData(cli, flags.model, flags);
  if (spec === undefined) return;
  const wanted = flags.rows === undefined ? null : new Set(flags.rows);
  const last = wanted === null ? Number.POSITIVE_INFINITY : Math.max(...wanted);
  const count = wanted === null ? flags.count : wanted.size;
  const rows: EncodedRow[] = [];
  for await (const row of encodeRows(spec, data, cli.signal)) {
    if (wanted === null || wanted.has(row.row)) rows.push(row);
    if (rows.length === count || row.row >= last) break;
  }
  await show(cli, rows, data);
  const found = new Set(rows.map(({ row }) => row));
  const missing = flags.rows?.filter((row) => !found.has(row)) ?? [];
  if (missing.length > 0) cli.warn(`${spec.path} has no row ${missing.join(', ')}`);
}

async function show(
  cli: Cli,
  rows: readonly EncodedRow[],
  { tokenizer, template }: Awaited<ReturnType<typeof openData>>,
): Promise<void> {
  const { formatPreview, previewSamples } = await import('@tuneyard/data');
  const shown = rows.map((row) =>
    row.kind === 'rejected' ? row : { ...row, samples: previewSamples(row.samples, tokenizer) },
  );
  cli.result({ template: template?.name ?? null, rows: shown }, () =>
    shown.flatMap((row, i) => {
      const blank = i === 0 ? [] : [''];
      if (row.kind === 'rejected') {
        const reason = visibleText(row.reason);
        return [...blank, `${row.source}, row ${row.row}: left out (${row.bucket}): ${reason}`];
      }
      const color = cli.out.isColorSupported;
      return [...blank, ...row.samples.map((sample) => formatPreview(sample, { color }))];
    }),
  );
}
