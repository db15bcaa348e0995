/** The three forms that `tuneyard export` writes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { formatBytes, TuneyardError } from '@tuneyard/core';
import { planGgufTokenizerFields, tokenizerFilesFromGguf } from '@tuneyard/data';
import { ggmlCodec } from '@tuneyard/ggml';
import {
  convertGgufToHf,
  convertHfToGguf,
  exportGguf,
  exportHf,
  GGUF_EXPORT_TYPES,
  type GgufExportReport,
  type GgufExportType,
  type HfWriteOptions,
  type HfWriteReport,
  type ModelSource,
  mergeAdapter,
  openModel,
  readAdapter,
  readPeftAdapter,
  type WriteProgress,
  writePeftAdapter,
} from '@tuneyard/weights';
import type { Cli } from '../cli.js';
import { CLI_ERRORS } from '../errors.js';

/** What to write where. */
export interface ExportRequest {
  readonly model: string;
  readonly adapter: string | null;
  readonly output: string;
  /** Null keeps the model's own type. */
  readonly type: string | null;
}

type PlainType = 'f32' | 'f16' | 'bf16';
const PLAIN_TYPES = ['f32', 'f16', 'bf16'] as const;

/** Writes one GGUF file; an adapter is merged in f32 first, so that rounding happens once. */
export async function exportGgufFile(cli: Cli, request: ExportRequest): Promise<GgufExportReport> {
  const type = checkType(request.type, Object.keys(GGUF_EXPORT_TYPES), 'GGUF') as GgufExportType;
  if (request.adapter === null)
    return await writeGgufFile(cli, request.model, { ...request, type });
  const merged = await mkdtemp(join(dirname(request.output), '.tuneyard-merge-'));
  try {
    await exportHfDirectory(cli, { ...request, output: merged, type: 'f32' });
    const own = type ?? (await ownType(request.model));
    return await writeGgufFile(cli, merged, { ...request, type: own });
  } finally {
    await rm(merged, { recursive: true, force: true });
  }
}

/** Writes a Hugging Face directory, the adapter merged in where there is one. */
export async function exportHfDirectory(cli: Cli, request: ExportRequest): Promise<HfWriteReport> {
  const dtype = checkType(request.type, PLAIN_TYPES, 'model directory') as PlainType | null;
  if (isGgufName(request.model) && request.adapter === null) {
    return await convertGgufToHf(request.model, request.output, {
      ...(dtype === null ? {} : { dtype }),
      codec: ggmlCodec,
      extraFiles: await tokenizerFilesFromGguf(request.model),
      signal: cli.signal,
      onProgress: showProgress(cli, 'write'),
    });
  }
  return await withModel(request.model, async (source) => {
    const options = await hfWriteOptions(cli, source, dtype ?? undefined);
    if (request.adapter === null) return await exportHf(source, request.output, options);
    const adapter = await readAdapter(request.adapter);
    return await mergeAdapter(source, adapter, request.output, options);
  });
}

/** Writes an adapter as PEFT does. */
export async function exportPeftDirectory(
  cli: Cli,
  request: ExportRequest,
): Promise<{ readonly modules: number }> {
  if (request.adapter === null) {
    throw new TuneyardError(
      CLI_ERRORS.CLI_BAD_USAGE,
      'The peft form holds an adapter alone, and none was given',
      { hint: 'Name it with --adapter.' },
    );
  }
  const dtype = checkType(request.type, PLAIN_TYPES, 'adapter') as PlainType | null;
  const { config, pairs } = await readPeftAdapter(request.adapter);
  await writePeftAdapter(
    request.output,
    { pairs },
    { config, ...(dtype === null ? {} : { dtype }), signal: cli.signal },
  );
  return { modules: pairs.length };
}

/** Options for writing a directory: progress, and tokenizer files where the source is a GGUF file. */
export async function hfWriteOptions(
  cli: Cli,
  source: ModelSource,
  dtype: PlainType | undefined,
): Promise<HfWriteOptions> {
  const extraFiles = source.kind === 'gguf' ? await tokenizerFilesFromGguf(source.path) : [];
  return {
    ...(dtype === undefined ? {} : { dtype }),
    codec: ggmlCodec,
    extraFiles,
    signal: cli.signal,
    onProgress: showProgress(cli, 'write'),
  };
}

/** A directory of any convertible family, or a file of a family that can be trained. */
async function writeGgufFile(
  cli: Cli,
  model: string,
  request: ExportRequest & { readonly type: GgufExportType | null },
): Promise<GgufExportReport> {
  const { type } = request;
  const options = {
    ...(type === null ? {} : { type }),
    codec: ggmlCodec,
    name: basename(request.model).replace(/\.gguf$/i, ''),
    signal: cli.signal,
    onProgress: showProgress(cli, 'write'),
  };
  const tokenizer = (vocabSize: number) => tokenizerFields(cli, model, vocabSize);
  const report = isGgufName(model)
    ? await withModel(model, async (source) =>
        exportGguf(source, request.output, {
          ...options,
          type: type ?? source.config.torchDtype,
          tokenizer: await tokenizer(source.config.vocabSize),
        }),
      )
    : await convertHfToGguf(model, request.output, { ...options, tokenizer });
  const [first] = report.fallbacks;
  if (first !== undefined) {
    cli.warn(
      `${report.fallbacks.length} of ${report.tensors} tensors are ${first.used} instead of ${first.asked}: ` +
        `their rows of ${first.rowElements} do not divide into its blocks`,
    );
  }
  cli.note(`${report.tensors} tensors, ${formatBytes(report.bytes)}`);
  return report;
}

async function tokenizerFields(cli: Cli, model: string, vocabSize: number) {
  const { fields, differences } = await planGgufTokenizerFields(model, { vocabSize });
  for (const difference of differences) cli.warn(difference);
  return fields;
}

function isGgufName(path: string): boolean {
  return path.toLowerCase().endsWith('.gguf');
}

async function ownType(model: string): Promise<PlainType> {
  return await withModel(model, (source) => Promise.resolve(source.config.torchDtype));
}

async function withModel<T>(path: string, use: (source: ModelSource) => Promise<T>): Promise<T> {
  const source = await openModel(path);
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}

function showProgress(cli: Cli, stage: string): (progress: WriteProgress) => void {
  return ({ done, total }) => {
    if (!cli.isJson) cli.progress.update({ stage, done, total, unit: 'tensors' });
  };
}

function checkType(type: string | null, allowed: readonly string[], form: string): string | null {
  if (type === null || allowed.includes(type)) return type;
  throw new TuneyardError(
    CLI_ERRORS.CLI_INVALID_VALUE,
    `Weights of a ${form} cannot be written as ${type}`,
    { details: { found: type, allowed: [...allowed] } },
  );
}
