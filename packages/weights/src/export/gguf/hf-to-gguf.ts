/** Writes a Hugging Face directory of any catalogued family as one GGUF file that llama.cpp loads. */
import { basename, join, resolve } from 'node:path';
import { type GgmlTypeName, throwIfAborted } from '@tuneyard/core';
import { type GgufEntry, type GgufValue, writeGguf } from '@tuneyard/formats';
import { plainCodec, type TensorCodec } from '../../codec/tensor-codec.js';
import { FieldReader } from '../../config/fields.js';
import { requireTable } from '../../convert/hf-layout.js';
import type { LogicalModel, StoredSpec } from '../../convert/logical-model.js';
import { requireAbsentFile } from '../output-checks.js';
import type { WriteProgress } from '../write-hf-model.js';
import { refuseInexpressible } from './checks.js';
import {
  chooseType,
  GGUF_EXPORT_TYPES,
  type GgufExportType,
  requireExportType,
  type TypeFallback,
} from './element-types.js';
import { openHfTensors } from './hf-tensors.js';
import { ggufHparams } from './hparams.js';
import { type GgufTensorSpec, ggufLayout } from './layout.js';
import { checkTokenizer, type GgufTokenizerFields } from './metadata.js';
import { cardFields } from './model-card.js';
import { readRotary, rotaryTensors } from './rotary.js';
import { RowFiles, type RowTensor } from './row-files.js';
import { GgufRowProducer } from './rows.js';
import { sizeLabel } from './size-label.js';
import { type HparamInput, type MetadataField, text, u32 } from './values.js';

/** Settings of {@link convertHfToGguf}. */
export interface HfToGgufOptions {
  /** Type of all matrices but routers; norms, biases and routers are f32. Default: that of the embedding. */
  readonly type?: GgufExportType;
  readonly codec: TensorCodec;
  /** Metadata below `tokenizer.`, or what makes them for an embedding of so many rows. */
  readonly tokenizer: GgufTokenizerFields | ((vocabSize: number) => Promise<GgufTokenizerFields>);
  /** `general.name`; default the last part of the path. */
  readonly name?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: WriteProgress) => void;
}

/** A planned file: nothing but headers has been read. */
export interface GgufFilePlan {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly (GgufTensorSpec & { readonly type: GgmlTypeName })[];
  readonly divisors: ReturnType<typeof rotaryTensors>;
  /** Matrices whose rows do not divide into blocks of the asked type. */
  readonly fallbacks: readonly TypeFallback[];
}

/** What was written. */
export interface HfToGgufReport {
  readonly bytes: number;
  readonly type: GgufExportType;
  readonly tensors: number;
  readonly fallbacks: readonly TypeFallback[];
}

/** Version of the block layouts of quantized types (`GGML_QNT_VERSION`). */
const QUANTIZATION_VERSION = 2;

/**
 * Converts; a few rows of one tensor are in memory at a time.
 *
 * Throws: what `logicalModel` throws, `WEIGHTS_EXPORT_UNSUPPORTED`, `WEIGHTS_UNSUPPORTED_FEATURE`,
 * `WEIGHTS_MISSING_TENSOR`, `WEIGHTS_UNEXPECTED_TENSOR`, `WEIGHTS_TENSOR_SHAPE`, `WEIGHTS_TENSOR_DTYPE`,
 * `WEIGHTS_TOKENIZER_MISMATCH`, `WEIGHTS_OUTPUT_EXISTS`, `WEIGHTS_NON_FINITE`, `CANCELLED`.
 * Checked against: transformers' greedy continuations of each family, through llama.cpp.
 */
export async function convertHfToGguf(
  directory: string,
  outPath: string,
  options: HfToGgufOptions,
): Promise<HfToGgufReport> {
  throwIfAborted(options.signal);
  const { raw, model, stored, tensors } = await openHfTensors(directory);
  const { tokenizer } = options;
  const type = options.type ?? embeddingType(model, stored, tensors);
  await requireAbsentFile(outPath);
  const plan = planGgufFile(
    { fields: new FieldReader(raw, join(directory, 'config.json')), model },
    {
      type,
      tokenizer: typeof tokenizer === 'function' ? await tokenizer(model.sizes.vocab) : tokenizer,
      name: options.name ?? basename(resolve(directory)),
      general: await cardFields(directory),
    },
  );
  const files = new RowFiles();
  try {
    const producer = new GgufRowProducer(stored, { files, tensors, codec: options.codec });
    const { bytes } = await writeGguf(outPath, {
      metadata: plan.metadata,
      tensors: entriesOf(plan, producer, options),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    return { bytes, type, tensors: plan.tensors.length, fallbacks: plan.fallbacks };
  } finally {
    await files.close();
  }
}

function embeddingType(
  model: LogicalModel,
  stored: readonly StoredSpec[],
  tensors: ReadonlyMap<string, RowTensor>,
): GgufExportType {
  const embedding = model.tensors.find(({ role }) => role === 'embedding')?.id;
  const spec = stored.find(({ rectangles }) => rectangles[0]?.logical === embedding);
  const type = tensors.get(spec?.name ?? '')?.type;
  return type === 'f16' || type === 'bf16' ? type : 'f32';
}

/** What a file is planned from besides the model. */
interface PlanOptions {
  readonly type: GgufExportType;
  readonly tokenizer: GgufTokenizerFields;
  readonly name: string;
  /** Further fields below `general.`. */
  readonly general: readonly MetadataField[];
}

/** Decides metadata, tensors and types. Throws: as {@link convertHfToGguf}, but for what reading finds. */
export function planGgufFile(
  source: { readonly fields: FieldReader; readonly model: LogicalModel },
  options: PlanOptions,
): GgufFilePlan {
  const { fields, model } = source;
  requireExportType(options.type);
  const table = requireTable(model.family);
  const rules = table.gguf;
  const input: HparamInput = { ...source, table, architecture: rules?.architecture ?? table.name };
  const rotary = readRotary(fields, table, model);
  refuseInexpressible(input, rotary);
  checkTokenizer(model.sizes.vocab, options.tokenizer);
  const specs = ggufLayout(model, {
    ...(rules ?? { architecture: table.name, permutesRotary: false }),
    normalizesHead: isBaichuan2(fields, model),
  });
  const fallbacks: TypeFallback[] = [];
  const tensors = specs.map((spec) => {
    const { used, fallback } = chooseType(options.type, spec);
    if (fallback !== null) fallbacks.push(fallback);
    return { ...spec, type: used };
  });
  return {
    metadata: metadataOf(input, { ...options, specs }),
    tensors,
    divisors: rotaryTensors(rotary.scaling),
    fallbacks,
  };
}

/** The first generation has 64,000 tokens and an ordinary head. */
function isBaichuan2(fields: FieldReader, model: LogicalModel): boolean {
  if (model.family !== 'baichuan') return false;
  return fields.has('z_loss_weight') || model.sizes.vocab === 125_696;
}

function metadataOf(
  input: HparamInput,
  options: PlanOptions & { readonly specs: readonly GgufTensorSpec[] },
): Map<string, GgufValue> {
  const { architecture } = input;
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', text(architecture)],
    ['general.type', text('model')],
    ['general.name', text(options.name)],
    ['general.size_label', text(sizeLabel(options.specs))],
    ...options.general,
  ]);
  for (const [key, value] of ggufHparams(input)) metadata.set(`${architecture}.${key}`, value);
  metadata.set('general.file_type', u32(GGUF_EXPORT_TYPES[options.type]));
  for (const [key, value] of options.tokenizer) metadata.set(key, value);
  metadata.set('general.quantization_version', u32(QUANTIZATION_VERSION));
  return metadata;
}

function entriesOf(
  plan: GgufFilePlan,
  producer: GgufRowProducer,
  options: HfToGgufOptions,
): GgufEntry[] {
  const total = plan.tensors.length;
  const divisors = plan.divisors.map(({ name, values }): GgufEntry => {
    const data = plainCodec.fromF32('f32', values, values.length);
    return { name, type: 'f32', shape: [values.length], data };
  });
  const tensors = plan.tensors.map((tensor, i): GgufEntry => {
    async function* data(): AsyncGenerator<Uint8Array> {
      for await (const piece of producer.produce(tensor, tensor.type)) {
        throwIfAborted(options.signal);
        yield piece;
      }
      options.onProgress?.({ tensor: tensor.name, done: i + 1, total });
    }
    return { name: tensor.name, type: tensor.type, shape: tensor.shape.toReversed(), data };
  });
  return [...divisors, ...tensors];
}
