/** Facts of torch archives: single files, and the ranks of a Megatron checkpoint. Nothing in them is executed. */
import { formatBytes, TuneyardError } from '@tuneyard/core';
import {
  type SafetensorsDtype,
  TorchArchiveReader,
  type TorchTensor,
  type TorchValue,
} from '@tuneyard/formats';
import { CLI_ERRORS } from '../errors.js';
import { visibleText } from '../terminal/visible-text.js';
import { decodeValues } from './decode-values.js';
import { tensorSection, tensorTotals, unknownTensor } from './inspect-safetensors.js';
import type { FactSection, Inspection, TensorTable } from './inspection.js';
import type { TensorLine } from './tensor-tree.js';

/** Arguments of Megatron worth a line. */
const SHOWN_ARGS = [
  'num_layers',
  'hidden_size',
  'ffn_hidden_size',
  'num_attention_heads',
  'num_query_groups',
  'padded_vocab_size',
  'tensor_model_parallel_size',
  'pipeline_model_parallel_size',
  'expert_model_parallel_size',
  'num_layers_per_virtual_pipeline_stage',
  'params_dtype',
];

/** Inspects one torch file. Throws: `TORCH_…`. */
export async function inspectTorch(path: string): Promise<Inspection> {
  const reader = await TorchArchiveReader.open(path);
  const tensors = tensorTable([{ prefix: '', reader }]);
  const sections = [tensorSection(tensors.lines, 1), ...contentSections(reader.root)];
  return inspectionOf('torch archive', { sections, tensors, readers: [reader], document: {} });
}

/** Inspects all ranks of a Megatron checkpoint. Throws: `WEIGHTS_MEGATRON_CHECKPOINT`, `TORCH_…`. */
export async function inspectMegatron(directory: string): Promise<Inspection> {
  const { openMegatronFiles } = await import('@tuneyard/weights');
  const { files, iteration } = await openMegatronFiles(directory);
  const ranks = files.map(({ directory: rank, path }) => ({ rank, path }));
  const parts: Part[] = [];
  for (const { rank, path } of ranks) {
    parts.push({ prefix: `${rank}/`, reader: await TorchArchiveReader.open(path) });
  }
  const tensors = tensorTable(parts);
  const facts: FactSection = {
    title: 'Checkpoint',
    facts: [
      ['iteration', String(iteration)],
      ['ranks', ranks.map(({ rank }) => rank).join(', ')],
    ],
  };
  const first = parts[0]?.reader.root ?? null;
  const sections = [facts, tensorSection(tensors.lines, parts.length), ...contentSections(first)];
  const document = { iteration, ranks: ranks.map(({ rank }) => rank) };
  const readers = parts.map(({ reader }) => reader);
  return inspectionOf('Megatron checkpoint', { sections, tensors, readers, document });
}

interface Part {
  /** Put in front of names. */
  readonly prefix: string;
  readonly reader: TorchArchiveReader;
}

function inspectionOf(
  kind: string,
  found: Pick<Inspection, 'sections' | 'document'> & {
    readonly tensors: TensorTable;
    readonly readers: readonly TorchArchiveReader[];
  },
): Inspection {
  const { sections, tensors, readers, document } = found;
  return {
    kind,
    sections,
    tensors,
    document: { ...tensorTotals(tensors.lines), ...document },
    problems: [],
    close: async () => {
      for (const reader of readers) await reader.close();
    },
  };
}

function tensorTable(parts: readonly Part[]): TensorTable {
  const places = new Map<string, { readonly part: Part; readonly tensor: TorchTensor }>();
  for (const part of parts) {
    for (const tensor of part.reader.tensors.values()) {
      places.set(part.prefix + shown(tensor.name), { part, tensor });
    }
  }
  return {
    lines: [...places].map(([name, { tensor }]) => lineOf(name, tensor)),
    shapeTitle: 'shape',
    readValues: async (name) => {
      const place = places.get(name);
      if (place === undefined) throw unknownTensor(name, [...places.keys()]);
      const bytes = await place.part.reader.read(place.tensor.name);
      return decodeValues({ name, dtype: dtypeOf(place.tensor) }, bytes);
    },
  };
}

function lineOf(name: string, tensor: TorchTensor): TensorLine {
  const elements = tensor.shape.reduce((product, size) => product * size, 1);
  return {
    name,
    dtype: tensor.dtype,
    shape: tensor.shape,
    elements,
    byteLength: tensor.byteLength,
  };
}

/** Keys are parted by a control character inside. */
function shown(name: string): string {
  return visibleText(name.replaceAll('\u001f', '/'));
}

/** Names of element types in torch that have values to show. */
export const TORCH_DTYPE_NAMES: { readonly [name: string]: SafetensorsDtype } = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint8: 'U8',
  bool: 'BOOL',
};

function dtypeOf({ name, dtype }: TorchTensor): SafetensorsDtype {
  const known = TORCH_DTYPE_NAMES[dtype];
  if (known !== undefined) return known;
  throw new TuneyardError(
    CLI_ERRORS.CLI_INVALID_VALUE,
    `Statistics of ${dtype} tensors are not supported`,
    { details: { tensor: shown(name), allowed: Object.keys(TORCH_DTYPE_NAMES) } },
  );
}

/** What stands at the top of the value, and Megatron's arguments. */
function contentSections(root: TorchValue): FactSection[] {
  if (typeof root !== 'object' || root === null || root.kind !== 'dict') return [];
  const facts = root.entries.map(
    ([key, value]) => [visibleText(String(key)), tell(value)] as const,
  );
  const args = root.entries.find(([key]) => key === 'args')?.[1];
  return [{ title: 'Content', facts }, ...argumentSection(args)];
}

function argumentSection(args: TorchValue | undefined): FactSection[] {
  if (typeof args !== 'object' || args === null || args.kind !== 'namespace') return [];
  const byName = new Map(args.attributes.entries.map(([key, value]) => [String(key), value]));
  const facts = SHOWN_ARGS.flatMap((name) => {
    const value = byName.get(name);
    return value === undefined || value === null ? [] : [[name, tell(value)] as const];
  });
  return facts.length === 0 ? [] : [{ title: 'Arguments', facts }];
}

function tell(value: TorchValue): string {
  if (typeof value !== 'object' || value === null) return visibleText(String(value));
  switch (value.kind) {
    case 'float':
      return String(value.value);
    case 'dict':
      return `${value.entries.length} entries`;
    case 'list':
    case 'tuple':
    case 'set':
      return `${value.items.length} items`;
    case 'namespace':
      return `${value.attributes.entries.length} arguments`;
    case 'global':
      return visibleText(`${value.module}.${value.name}`);
    case 'bytes':
      return formatBytes(value.value.length);
    case 'object':
      return 'an object, left as it is';
    default:
      return value.kind;
  }
}
