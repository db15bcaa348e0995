/** Facts of a model directory in the Hugging Face layout. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatCount, TuneyardError } from '@tuneyard/core';
import { SafetensorsReader } from '@tuneyard/formats';
import { type ModelConfig, openModel, parseModelConfig } from '@tuneyard/weights';
import { safetensorsTable, tensorSection, tensorTotals } from './inspect-safetensors.js';
import { inspectModelTokenizer } from './inspect-tokenizer.js';
import type { FactSection, Inspection } from './inspection.js';

/** Inspects a directory with `config.json`; an unknown architecture is a problem, not an error. */
export async function inspectModel(directory: string): Promise<Inspection> {
  const configFile = join(directory, 'config.json');
  const raw: unknown = JSON.parse(await readFile(configFile, 'utf8'));
  const config = await problemOf(() => parseModelConfig(raw, configFile));
  const check = config.value === null ? config : await problemOf(() => checkModel(directory));
  const reader = await problemOf(() => SafetensorsReader.open(directory));
  const tokenizer = await inspectModelTokenizer(directory);
  const tensors = reader.value === null ? null : safetensorsTable(reader.value);
  const files = reader.value?.files ?? [];
  const problems = [config.problem, check.problem, reader.problem, ...tokenizer.problems];
  return {
    kind: 'Hugging Face model',
    sections: [
      ...(config.value === null ? [] : [configSection(config.value)]),
      ...(tensors === null ? [] : [tensorSection(tensors.lines, files.length)]),
      ...tokenizer.sections,
    ],
    document: {
      config: raw,
      ...(tensors === null ? {} : tensorTotals(tensors.lines)),
      files,
      ...tokenizer.document,
    },
    tensors,
    problems: [...new Set(problems.filter((problem) => problem !== null))],
    close: async () => reader.value?.close(),
  };
}

/** Opening checks that every parameter which the configuration implies is there with its shape. */
async function checkModel(directory: string): Promise<void> {
  const source = await openModel(directory);
  await source.close();
}

interface Outcome<T> {
  readonly value: T | null;
  readonly problem: string | null;
}

async function problemOf<T>(attempt: () => T | Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await attempt(), problem: null };
  } catch (error) {
    if (!(error instanceof TuneyardError)) throw error;
    return { value: null, problem: error.message };
  }
}

function configSection(config: ModelConfig): FactSection {
  const { numAttentionHeads, numKeyValueHeads, headDim } = config;
  const shared =
    numKeyValueHeads === numAttentionHeads ? '' : `, ${numKeyValueHeads} for keys and values`;
  return {
    title: 'Model',
    facts: [
      ['architecture', config.architecture],
      ['layers', String(config.numHiddenLayers)],
      ['hidden size', formatCount(config.hiddenSize)],
      ['feed-forward', formatCount(config.intermediateSize)],
      ['attention', `${numAttentionHeads} heads of size ${headDim}${shared}`],
      ['vocabulary', formatCount(config.vocabSize)],
      ['context', `${formatCount(config.maxPositionEmbeddings)} tokens`],
      ['input and output', config.tieWordEmbeddings ? 'one shared embedding' : 'two matrices'],
    ],
  };
}
