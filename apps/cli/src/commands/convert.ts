/** `tuneyard convert`: weights from one form of checkpoint to another. */
import { formatBytes, formatCount, formatDuration, TuneyardError } from '@tuneyard/core';
import type { ConversionResult, PlannedConversion } from '@tuneyard/weights';
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { addConvertOptions, type ConvertFlags } from '../convert/convert-options.js';
import { defineCommand, type StartCommand } from '../define-command.js';
import { CLI_ERRORS } from '../errors.js';
import { formatTable } from '../terminal/table.js';

/** Files shown of a plan; `--json` has all. */
const SHOWN_FILES = 40;

/** Adds `convert` to the program. */
export function addConvertCommand(program: Command, start: StartCommand): void {
  const command = defineCommand(program, {
    usage: 'convert',
    summary: 'Convert weights between Hugging Face and Megatron',
    description:
      'Converts between Hugging Face directories (safetensors or pytorch_model.bin) and Megatron checkpoints of any tensor, pipeline and expert parallel size, and from one Megatron layout to another. Bytes are moved, not computed: without --dtype every number stays as it is. Weights stream through a fixed budget of memory whatever the size of the model; an interrupted conversion goes on where it stopped. GGUF files are written and read by tuneyard export.',
    examples: [
      {
        command: 'tuneyard convert models/qwen mg/qwen-tp4pp2 --to megatron --tp 4 --pp 2',
        does: 'for training with Megatron or MindSpeed-LLM',
      },
      {
        command: 'tuneyard convert saved/qwen hf/qwen --to hf --config models/qwen',
        does: 'what a training has saved, back to Hugging Face',
      },
      {
        command:
          'tuneyard convert mg/qwen-tp4pp2 mg/qwen-tp8 --to megatron --tp 8 --pp 1 --config models/qwen',
        does: 'another division, without the way round',
      },
      {
        command: 'tuneyard convert models/qwen mg/qwen --to megatron --tp 4 --dry-run',
        does: 'only what would be written',
      },
    ],
  })
    .argument('<source>', 'Hugging Face directory or Megatron checkpoint')
    .argument('<output>', 'directory to write');
  addConvertOptions(command).action((source: string, output: string, flags: ConvertFlags) =>
    convert(start(), { source, output, flags }),
  );
}

interface ConvertCall {
  readonly source: string;
  readonly output: string;
  readonly flags: ConvertFlags;
}

async function convert(cli: Cli, { source, output, flags }: ConvertCall): Promise<void> {
  const { planConversion, runConversion } = await import('@tuneyard/weights');
  const { requestOf } = await import('../convert/convert-request.js');
  const planned = await planConversion(requestOf(cli, source, flags));
  const { extraLayers = 0 } = planned.model.sizes;
  if (extraLayers > 0) {
    cli.warn(`${extraLayers} layers for predicting further tokens are left out`);
  }
  if (flags.dryRun === true) {
    showPlan(cli, planned);
    return;
  }
  cli.interruptNote = 'stopping; the same command goes on from here';
  const outDir = cli.path(output);
  const startedAt = cli.host.now();
  const result = await runConversion(planned, outDir, {
    memoryBytes: flags.memory,
    isOverwriting: flags.overwrite ?? false,
    ...(flags.workers === undefined ? {} : { workers: flags.workers }),
    signal: cli.signal,
    onProgress: ({ writtenBytes, totalBytes, finishedFiles, totalFiles }) =>
      cli.progress.update({
        stage: 'convert',
        done: writtenBytes,
        total: totalBytes,
        unit: 'bytes',
        facts: [`${finishedFiles} of ${totalFiles} files`],
      }),
  });
  cli.progress.clear();
  const seconds = (cli.host.now() - startedAt) / 1000;
  if (flags.verify === true) await verify(cli, planned, outDir, flags);
  for (const { file, tensor, count } of result.overflows) {
    cli.warn(`${formatCount(count)} values of ${tensor} in ${file} became infinite by the cast`);
  }
  showResult(cli, { planned, result, output, seconds, isVerified: flags.verify === true });
}

async function verify(
  cli: Cli,
  planned: PlannedConversion,
  outDir: string,
  flags: ConvertFlags,
): Promise<void> {
  const { verifyConversion, verifyReplicas } = await import('@tuneyard/weights');
  const options = {
    memoryBytes: flags.memory,
    ...(flags.workers === undefined ? {} : { workers: flags.workers }),
    signal: cli.signal,
    onProgress: ({
      comparedBytes: done,
      totalBytes: total,
    }: {
      comparedBytes: number;
      totalBytes: number;
    }) => cli.progress.update({ stage: 'verify', done, total, unit: 'bytes' }),
  };
  // Norms and other tensors that every tensor-parallel rank holds: only one of them was converted.
  const copies = await verifyReplicas(planned.plan, options);
  const output =
    copies.mismatch ?? (await verifyConversion(planned.plan, outDir, options)).mismatch;
  cli.progress.clear();
  if (output === null) return;
  const { file, problem } = output;
  // Torch files nest dictionaries; their keys are joined by a control character.
  const tensor = output.tensor.replaceAll('\u001f', ' / ');
  throw new TuneyardError(CLI_ERRORS.CLI_VERIFICATION_FAILED, `${file}, ${tensor}: ${problem}`, {
    category: copies.mismatch === null ? 'internal' : 'invalid_input',
    details: { file, tensor },
    hint:
      copies.mismatch === null
        ? 'Convert again; if it differs again, the disk or memory is at fault.'
        : 'The source holds this tensor more than once, and not the same: it is damaged, or ranks have drifted apart.',
  });
}

function showPlan(cli: Cli, planned: PlannedConversion): void {
  const { plan, model, sourceKind, targetSettings, sourceSettings, carried } = planned;
  const files = plan.files.map(({ path, tensors }) => ({
    path,
    tensors: tensors.length,
    bytes: tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0),
  }));
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  const document = { family: model.family, sourceKind, sourceSettings, targetSettings, files };
  cli.result({ ...document, carried: carried.map(({ to }) => to), bytes: total }, () => [
    `${model.family}, ${model.sizes.layers} layers, ${formatCount(model.tensors.length)} tensors`,
    ...settingsLine('from', sourceSettings),
    ...settingsLine('to', targetSettings),
    ...formatTable(
      [{ title: 'File' }, { title: 'Tensors', align: 'right' }, { title: 'Size', align: 'right' }],
      files
        .slice(0, SHOWN_FILES)
        .map(({ path, tensors, bytes }) => [path, String(tensors), formatBytes(bytes)]),
    ),
    ...(files.length > SHOWN_FILES ? [`… and ${files.length - SHOWN_FILES} more files`] : []),
    `${formatBytes(total)} in ${files.length} files; nothing was written`,
  ]);
}

function settingsLine(
  word: string,
  settings: PlannedConversion['targetSettings'],
): readonly string[] {
  if (settings === null) return [];
  const { spec, tensorParallel, pipelineParallel, expertParallel } = settings;
  return [
    `${word} Megatron (${spec}): tensor ${tensorParallel} · pipeline ${pipelineParallel} · expert ${expertParallel}`,
  ];
}

const ELEMENT_BYTES: { readonly [dtype: string]: number } = {
  F64: 8,
  I64: 8,
  F32: 4,
  I32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
};

function tensorBytes({
  rows,
  cols,
  dtype,
}: PlannedConversion['plan']['files'][number]['tensors'][number]): number {
  return rows * cols * (ELEMENT_BYTES[dtype] ?? 1);
}

interface Shown {
  readonly planned: PlannedConversion;
  readonly result: ConversionResult;
  readonly output: string;
  readonly seconds: number;
  readonly isVerified: boolean;
}

function showResult(cli: Cli, { planned, result, output, seconds, isVerified }: Shown): void {
  const { files, writtenBytes, resumedFiles } = result;
  const document = { output, seconds, isVerified, carried: planned.carried.map(({ to }) => to) };
  cli.result({ ...document, ...result }, () => [output]);
  const rate = formatBytes(writtenBytes / Math.max(seconds, 0.001));
  cli.note(
    `${formatCount(files.length)} files, ${formatBytes(writtenBytes)} in ${formatDuration(1000 * seconds)} (${rate}/s)`,
  );
  if (resumedFiles > 0) cli.note(`${formatCount(resumedFiles)} files were there already`);
  if (isVerified) cli.note('verified: every tensor was read back and is equal');
}
