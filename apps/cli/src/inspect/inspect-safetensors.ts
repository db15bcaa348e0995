/** Facts of safetensors files: one file, or all shards of a directory. */
import { formatBytes, formatCount, TuneyardError } from '@tuneyard/core';
import { SafetensorsReader, type SafetensorsTensor } from '@tuneyard/formats';
import { CLI_ERRORS } from '../errors.js';
import { visibleText } from '../terminal/visible-text.js';
import { decodeValues } from './decode-values.js';
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
      return decodeValues(tensor, await reader.read(name));
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
