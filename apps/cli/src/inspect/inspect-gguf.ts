/** Facts of a GGUF file: metadata, tensors, and the tokenizer inside. */

import { GgufReader, type GgufTensor, type GgufValue } from '@tuneyard/formats';
import { ggmlCodec } from '@tuneyard/ggml';
import { truncateText } from '../terminal/table.js';
import { visibleText } from '../terminal/visible-text.js';
import { tensorSection, tensorTotals, unknownTensor } from './inspect-safetensors.js';
import { inspectModelTokenizer } from './inspect-tokenizer.js';
import type { FactSection, Inspection, TensorTable } from './inspection.js';
import type { TensorLine } from './tensor-tree.js';

/** Inspects a GGUF file. Throws: the codes of GGUF. */
export async function inspectGguf(path: string): Promise<Inspection> {
  const reader = await GgufReader.open(path);
  const tensors = ggufTable(reader);
  const hasTokenizer = reader.metadata.has('tokenizer.ggml.tokens');
  const tokenizer = hasTokenizer ? await inspectModelTokenizer(path) : null;
  return {
    kind: `GGUF version ${reader.version}`,
    sections: [
      tensorSection(tensors.lines, 1),
      metadataSection(reader.metadata),
      ...(tokenizer?.sections ?? []),
    ],
    document: {
      version: reader.version,
      alignment: reader.alignment,
      ...tensorTotals(tensors.lines),
      metadata: Object.fromEntries([...reader.metadata].map(([key, v]) => [key, toJson(v)])),
      ...tokenizer?.document,
    },
    tensors,
    problems: tokenizer?.problems ?? [],
    close: () => reader.close(),
  };
}

function ggufTable(reader: GgufReader): TensorTable {
  return {
    lines: [...reader.tensors.values()].map(toLine),
    shapeTitle: 'shape (fastest axis first)',
    readValues: async (name) => {
      const tensor = reader.tensors.get(name);
      if (tensor === undefined) throw unknownTensor(name, [...reader.tensors.keys()]);
      return ggmlCodec.toF32(tensor.type, await reader.read(name), elementsOf(tensor));
    },
  };
}

function metadataSection(metadata: ReadonlyMap<string, GgufValue>): FactSection {
  return {
    title: 'Metadata',
    facts: [...metadata].map(([key, value]) => [visibleText(key), showValue(value)]),
  };
}

const VALUE_LENGTH_MAX = 60;

function showValue(value: GgufValue): string {
  if (value.type === 'array') {
    const items = Array.from(value.value as ArrayLike<unknown>);
    const shown = items.slice(0, 4).map((item) => truncateText(visibleText(String(item)), 16));
    return `${items.length} × ${value.itemType} [${shown.join(', ')}${items.length > 4 ? ', …' : ''}]`;
  }
  return truncateText(visibleText(String(value.value)), VALUE_LENGTH_MAX);
}

/** Long arrays (the tokens) are cut: who needs them reads the file. */
const ARRAY_LENGTH_MAX = 32;

function toJson(value: GgufValue): unknown {
  if (value.type !== 'array') return value.value;
  const items = Array.from(value.value as ArrayLike<unknown>);
  if (items.length <= ARRAY_LENGTH_MAX) return items;
  return {
    itemType: value.itemType,
    length: items.length,
    first: items.slice(0, ARRAY_LENGTH_MAX),
  };
}

function toLine(tensor: GgufTensor): TensorLine {
  const { name, type, shape, byteLength } = tensor;
  return { name, dtype: type, shape, elements: elementsOf(tensor), byteLength };
}

function elementsOf({ shape }: GgufTensor): number {
  return shape.reduce((product, n) => product * n, 1);
}
