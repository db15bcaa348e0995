/** Facts of safetensors files: one file, or all shards of a directory. */
import { bf16ToF32, f16ToF32, formatBytes, formatCount, TuneyardError } from '@tuneyard/core';
import {
  type SafetensorsDtype,
  SafetensorsReader,
  type SafetensorsTensor,
} from '@tuneyard/formats';
import { CLI_ERRORS } from '../errors.js';
import { visibleText } from '../terminal/visible-text.js';
import type { FactSection, Inspection, TensorTable } from './inspection.js';
import type { TensorLine } from './tensor-tree.js';

/** Inspects a file or a directory of shards. Throws: the codes of safetensors. */
export async function inspectSafetensors(path: string): Promise<Inspection> {
  const reader = await SafetensorsReader.open(path);
  const tensors = safetensorsTable(reader);
  return {
    kind: 'safetensors',
    sections: [tensorSection(tensors.lines, reader.files.length), ...metadataSection(reader)],
    document: {
      ...tensorTotals(tensors.lines),
      files: reader.files,
      metadata: reader.metadata,
    },
    tensors,
    problems: [],
    close: () => reader.close(),
  };
}

/** The tensors of an open reader. */
export function safetensorsTable(reader: SafetensorsReader): TensorTable {
  return {
    lines: [...reader.tensors.values()].map(toLine),
    shapeTitle: 'shape',
    readValues: async (name) => {
      const tensor = reader.tensors.get(name);
      if (tensor === undefined) throw unknownTensor(name, [...reader.tensors.keys()]);
      return toNumbers(tensor, await reader.read(name));
    },
  };
}

/** Parameters, bytes and types over all tensors. */
export function tensorTotals(lines: readonly TensorLine[]) {
  const types: Record<string, number> = {};
  for (const { dtype } of lines) types[dtype] = (types[dtype] ?? 0) + 1;
  return {
    tensorCount: lines.length,
    parameters: lines.reduce((sum, line) => sum + line.elements, 0),
    bytes: lines.reduce((sum, line) => sum + line.byteLength, 0),
    types,
  };
}

/** The totals as facts. */
export function tensorSection(lines: readonly TensorLine[], fileCount: number): FactSection {
  const totals = tensorTotals(lines);
  const types = Object.entries(totals.types).map(([type, count]) => `${type} × ${count}`);
  const files = fileCount === 1 ? '' : ` in ${fileCount} files`;
  return {
    title: 'Weights',
    facts: [
      ['parameters', formatCount(totals.parameters)],
      ['size', `${formatBytes(totals.bytes)}${files}`],
      ['tensors', `${formatCount(totals.tensorCount)} (${types.join(', ') || 'none'})`],
    ],
  };
}

/** Error for a tensor that is not there, with the names that look like it. */
export function unknownTensor(name: string, names: readonly string[]): TuneyardError {
  const wanted = name.toLowerCase();
  const similar = names.filter((known) => known.toLowerCase().includes(wanted));
  const message =
    similar.length > 1
      ? `${name} fits ${similar.length} tensors`
      : `There is no tensor named ${name}`;
  return new TuneyardError(CLI_ERRORS.CLI_UNKNOWN_TENSOR, message, {
    category: 'not_found',
    details: { tensor: name, ...(similar.length === 0 ? {} : { similar: similar.slice(0, 5) }) },
    hint: 'List the names with --tensors.',
  });
}

function metadataSection(reader: SafetensorsReader): FactSection[] {
  const entries = Object.entries(reader.metadata);
  if (entries.length === 0) return [];
  const facts = entries.map(([key, value]) => [visibleText(key), visibleText(value)] as const);
  return [{ title: 'Metadata', facts }];
}

function toLine({ name, dtype, shape, byteLength }: SafetensorsTensor): TensorLine {
  return { name, dtype, shape, elements: shape.reduce((a, b) => a * b, 1), byteLength };
}

const DECODERS: { readonly [T in SafetensorsDtype]?: (b: Uint8Array) => Iterable<number> } = {
  F64: (b) => new Float64Array(b.buffer, b.byteOffset, b.byteLength / 8),
  F32: (b) => new Float32Array(b.buffer, b.byteOffset, b.byteLength / 4),
  F16: (b) => widen(b, f16ToF32),
  BF16: (b) => widen(b, bf16ToF32),
  I32: (b) => new Int32Array(b.buffer, b.byteOffset, b.byteLength / 4),
  I16: (b) => new Int16Array(b.buffer, b.byteOffset, b.byteLength / 2),
  I8: (b) => new Int8Array(b.buffer, b.byteOffset, b.byteLength),
  U32: (b) => new Uint32Array(b.buffer, b.byteOffset, b.byteLength / 4),
  U16: (b) => new Uint16Array(b.buffer, b.byteOffset, b.byteLength / 2),
  U8: (b) => b,
  BOOL: (b) => b,
  I64: (b) => Float64Array.from(new BigInt64Array(b.buffer, b.byteOffset, b.length / 8), Number),
  U64: (b) => Float64Array.from(new BigUint64Array(b.buffer, b.byteOffset, b.length / 8), Number),
};

function toNumbers(tensor: SafetensorsTensor, bytes: Uint8Array): Float32Array | Float64Array {
  const decode = DECODERS[tensor.dtype];
  if (decode === undefined) {
    throw new TuneyardError(
      CLI_ERRORS.CLI_INVALID_VALUE,
      `Statistics of ${tensor.dtype} tensors are not supported`,
      { details: { tensor: tensor.name, allowed: Object.keys(DECODERS) } },
    );
  }
  const numbers = decode(bytes);
  return numbers instanceof Float32Array ? numbers : Float64Array.from(numbers);
}

function widen(
  bytes: Uint8Array,
  kernel: (source: Uint16Array, target: Float32Array) => void,
): Float32Array {
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  const values = new Float32Array(halves.length);
  kernel(halves, values);
  return values;
}
