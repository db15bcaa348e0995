/** Adapters between files: PEFT directories, Megatron checkpoints, GGUF files. */
import { readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import type { LoraAdapter } from '../adapter/adapter.js';
import type { DifferentFactors, StackedFactors } from '../adapter/factors/factor-layout.js';
import { writeGgufAdapter } from '../adapter/gguf-adapter.js';
import { readAdapter, readPeftAdapter } from '../adapter/read-peft.js';
import { writePeftAdapter } from '../adapter/write-peft.js';
import type { RawObject } from '../config/fields.js';
import { readJsonObject } from '../config/read-json.js';
import { isMegatronDirectory } from '../conversion/open-megatron.js';
import { hfLayout } from '../convert/hf-layout.js';
import { logicalModel } from '../convert/logical-config.js';
import type { LogicalModel } from '../convert/logical-model.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import { megatronLayout } from '../megatron/megatron-layout.js';
import { DEFAULT_MEGATRON_SETTINGS, type MegatronSettings } from '../megatron/settings.js';
import {
  type AdapterLayouts,
  type MegatronAdapter,
  reshardMegatronAdapter,
  type ToMegatronReport,
  toMegatronAdapter,
  toPeftAdapter,
} from './convert-adapter.js';
import type { LoraArguments } from './lora-arguments.js';
import {
  type ReadMegatronAdapter,
  readMegatronAdapter,
  writeMegatronAdapter,
} from './megatron-adapter-files.js';

/** What is asked for. */
export interface AdapterConversionRequest {
  /** PEFT directory or Megatron checkpoint. */
  readonly source: string;
  /** Directory, or file for GGUF. */
  readonly output: string;
  readonly to: 'peft' | 'megatron' | 'gguf';
  /** Directory with the base's `config.json`; not needed from PEFT to PEFT. Default: what the adapter names. */
  readonly baseDir?: string;
  /** Layout of a Megatron target; what is not named stays as the source has it. */
  readonly layout?: Partial<MegatronSettings>;
  /** Default: f32. */
  readonly type?: 'f32' | 'f16' | 'bf16';
  /** Different A's of modules that the target joins. Default: `stack`. */
  readonly different?: DifferentFactors;
  /** Rank and alpha of a Megatron source whose arguments do not state them. */
  readonly stated?: Partial<LoraArguments>;
  readonly signal?: AbortSignal;
}

/** What was written. */
export interface AdapterConversionReport {
  readonly from: 'peft' | 'megatron';
  readonly to: AdapterConversionRequest['to'];
  /** Adapted modules of the target; shards of one module count once each. */
  readonly modules: number;
  readonly rank: number;
  readonly alpha: number;
  /** Joined modules that kept an A each, at the sum of their ranks. */
  readonly stacked: readonly StackedFactors[];
  /** Modules whose B took up a factor that rank and alpha of the target cannot say. */
  readonly rescaled: readonly string[];
  /** Modules that did nothing and were left away. */
  readonly dropped: readonly string[];
  /** Shards that hold zeros, because Megatron adapts all modules of a name. */
  readonly zeroFilled: number;
  readonly layout: MegatronSettings | null;
}

/**
 * Converts an adapter.
 *
 * Throws: what reading and writing of the forms throw; `WEIGHTS_ADAPTER_NOT_SHARED`, `WEIGHTS_ADAPTER_MISMATCH`,
 * `WEIGHTS_ADAPTER_UNSUPPORTED`; `WEIGHTS_MODEL_NOT_FOUND` when the base's configuration is not found.
 */
export async function convertAdapterFiles(
  request: AdapterConversionRequest,
): Promise<AdapterConversionReport> {
  if (await isMegatronDirectory(request.source)) return await fromMegatron(request);
  if (request.to === 'megatron') return await peftToMegatron(request);
  if (request.to === 'gguf') {
    const adapter = await readAdapter(request.source);
    return await toGguf(adapter, await readBase(request, adapter.config.baseModel), request);
  }
  const adapter = await readPeftAdapter(request.source);
  return await toPeft(adapter, 'peft', request);
}

interface Base {
  readonly raw: RawObject;
  readonly model: LogicalModel;
}

async function peftToMegatron(request: AdapterConversionRequest): Promise<AdapterConversionReport> {
  const peft = await readPeftAdapter(request.source);
  const base = await readBase(request, peft.config.baseModel);
  const settings = { ...DEFAULT_MEGATRON_SETTINGS, ...request.layout };
  const layouts = layoutsOf(base.model, settings);
  const { adapter, report } = toMegatronAdapter(peft, layouts, {
    different: request.different ?? 'stack',
  });
  return await toMegatron({ adapter, report }, { base, settings, from: 'peft' }, request);
}

async function fromMegatron(request: AdapterConversionRequest): Promise<AdapterConversionReport> {
  const base = await readBase(request, null);
  const options = request.stated === undefined ? {} : { stated: request.stated };
  const source = await readMegatronAdapter(request.source, base.model, options);
  if (request.to === 'megatron') return await reshard(source, base, request);
  const layouts = layoutsOf(base.model, source.settings);
  const { adapter, report } = toPeftAdapter(source.adapter, layouts, {
    baseModel: request.baseDir ?? null,
  });
  const result =
    request.to === 'gguf'
      ? await toGguf(adapter, base, request)
      : await toPeft(adapter, 'megatron', request);
  return { ...result, from: 'megatron', dropped: report.dropped };
}

async function reshard(
  source: ReadMegatronAdapter,
  base: Base,
  request: AdapterConversionRequest,
): Promise<AdapterConversionReport> {
  const settings = { ...source.settings, ...request.layout };
  const result = reshardMegatronAdapter(source.adapter, base.model, {
    from: megatronLayout(base.model, source.settings),
    to: megatronLayout(base.model, settings),
    different: request.different ?? 'stack',
  });
  return await toMegatron(result, { base, settings, from: 'megatron' }, request);
}

async function toMegatron(
  result: { readonly adapter: MegatronAdapter; readonly report: ToMegatronReport },
  target: { base: Base; settings: MegatronSettings; from: 'peft' | 'megatron' },
  request: AdapterConversionRequest,
): Promise<AdapterConversionReport> {
  const { base, settings, from } = target;
  await writeMegatronAdapter(request.output, result.adapter, {
    model: base.model,
    config: base.raw,
    settings,
    ...writing(request),
  });
  const { rank, alpha, stacked, rescaled, zeroFilled } = result.report;
  const modules = result.adapter.factors.length;
  const facts = { modules, rank, alpha, stacked, rescaled, zeroFilled };
  return { from, to: 'megatron', ...facts, dropped: [], layout: settings };
}

async function toGguf(
  adapter: LoraAdapter,
  { model }: Base,
  request: AdapterConversionRequest,
): Promise<AdapterConversionReport> {
  const name = basename(resolve(request.source));
  const report = await writeGgufAdapter(
    request.output,
    { adapter, model },
    { name, ...writing(request) },
  );
  const { alpha, stacked, rescaled, tensors } = report;
  const facts = { modules: tensors / 2, rank: adapter.config.rank, alpha, stacked, rescaled };
  return { from: 'peft', to: 'gguf', ...facts, dropped: [], zeroFilled: 0, layout: null };
}

async function toPeft(
  adapter: LoraAdapter,
  from: 'peft' | 'megatron',
  request: AdapterConversionRequest,
): Promise<AdapterConversionReport> {
  await requireNoAdapter(request.output);
  const { type: dtype, ...rest } = writing(request);
  await writePeftAdapter(request.output, adapter, {
    config: adapter.config,
    ...(dtype === undefined ? {} : { dtype }),
    ...rest,
  });
  const { rank, alpha } = adapter.config;
  const facts = { modules: adapter.pairs.length, rank, alpha, stacked: [], rescaled: [] };
  return { from, to: 'peft', ...facts, dropped: [], zeroFilled: 0, layout: null };
}

function writing({ type, signal }: AdapterConversionRequest): {
  type?: 'f32' | 'f16' | 'bf16';
  signal?: AbortSignal;
} {
  return { ...(type === undefined ? {} : { type }), ...(signal === undefined ? {} : { signal }) };
}

function layoutsOf(model: LogicalModel, settings: MegatronSettings): AdapterLayouts {
  return { model, hf: hfLayout(model), megatron: megatronLayout(model, settings) };
}

async function readBase(request: AdapterConversionRequest, named: string | null): Promise<Base> {
  const directory = request.baseDir ?? named;
  const path = directory === null ? null : join(directory, 'config.json');
  const raw = path === null ? null : await readJsonObject(path);
  if (raw === null || path === null) {
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_MODEL_NOT_FOUND,
      `The base model's config.json is needed${path === null ? '' : `; there is none at ${path}`}`,
      {
        category: 'not_found',
        details: { adapter: request.source, base: directory },
        hint: 'Name the directory of the base model with --base.',
      },
    );
  }
  return { raw, model: logicalModel(raw, path) };
}

async function requireNoAdapter(directory: string): Promise<void> {
  const names: string[] = await readdir(directory).catch(() => []);
  const found = names.find((name) => name.startsWith('adapter_'));
  if (found === undefined) return;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_OUTPUT_EXISTS,
    `${directory} already holds an adapter (${found})`,
    {
      category: 'conflict',
      details: { path: directory, found },
      hint: 'Choose an empty directory.',
    },
  );
}
