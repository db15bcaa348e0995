/** One family's tiny model there and back through plans, without files. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { isRawObject, type RawObject } from '../../src/config/fields.js';
import { storedView } from '../../src/convert/compose-plan.js';
import { hfLayout } from '../../src/convert/hf-layout.js';
import { logicalModel } from '../../src/convert/logical-config.js';
import type { LogicalModel, SourceTensor } from '../../src/convert/logical-model.js';
import type { MegatronArguments } from '../../src/megatron/arguments.js';
import { buildArguments } from '../../src/megatron/arguments.js';
import { type MegatronFile, recogniseMegatron } from '../../src/megatron/checkpoint.js';
import {
  type CheckpointPlan,
  planHfToMegatron,
  planMegatronToHf,
} from '../../src/megatron/plan-conversion.js';
import { DEFAULT_MEGATRON_SETTINGS, type MegatronSettings } from '../../src/megatron/settings.js';
import { hfSources } from './hf-sources.js';
import { numberedTensors, runPieces, type Stored, storeBySpecs } from './run-plan.js';

const FIXTURES = new URL('../fixtures/families/', import.meta.url);

/** Every family's tiny configuration. */
export const FAMILIES: readonly string[] = readdirSync(FIXTURES)
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.slice(0, -5));

/** Numbers by file and name. */
export type Memory = Map<string, Stored>;

export interface Family {
  readonly name: string;
  readonly config: RawObject;
  readonly model: LogicalModel;
}

export function readFamily(name: string): Family {
  const fixture: unknown = JSON.parse(readFileSync(new URL(`${name}.json`, FIXTURES), 'utf8'));
  const config = isRawObject(fixture) ? fixture['config'] : null;
  if (!isRawObject(config)) throw new Error(`${name} has no config`);
  return { name, config, model: logicalModel(config, name) };
}

/**
 * The family as it can be converted: DeepSeek-V2-Lite with `attention_bias` (no published model has it) gives a bias to
 * the compressed keys but none to the queries, which Megatron keeps in one tensor.
 */
export function readConvertible(name: string): Family {
  const family = readFamily(name);
  if (name !== 'deepseek2-lite') return family;
  const config = { ...family.config, attention_bias: false };
  return { ...family, config, model: logicalModel(config, name) };
}

const keyOf = ({ file, name }: Pick<SourceTensor, 'file' | 'name'>): string => `${file}\n${name}`;

/** The family's Hugging Face files, each number different. */
export function hfMemory(model: LogicalModel): { tensors: SourceTensor[]; memory: Memory } {
  const specs = hfLayout(model);
  const stored = storeBySpecs(specs, numberedTensors(model));
  const memory: Memory = new Map();
  const tensors = specs.map((spec, at): SourceTensor => {
    const tensor: SourceTensor = {
      name: spec.name,
      file: 'model.safetensors',
      begin: 0,
      dtype: 'BF16',
      ...storedView(spec),
    };
    memory.set(keyOf(tensor), stored[at]!);
    return tensor;
  });
  return { tensors, memory };
}

/** Numbers the elements through the tensors by name, as the oracles do. */
export function countByName(memory: Memory): void {
  let next = 1;
  for (const key of [...memory.keys()].sort())
    memory.get(key)!.numbers.forEach((_, at, all) => {
      all[at] = next++;
    });
}

/** Runs a plan. */
export function runPlan(plan: CheckpointPlan, memory: Memory): Memory {
  const sources = plan.sources.map((source): Stored => {
    const { numbers } = memory.get(keyOf(source))!;
    return { rows: source.rows, cols: source.cols, numbers };
  });
  const written: Memory = new Map();
  for (const { path, tensors } of plan.files) {
    for (const tensor of tensors) {
      written.set(keyOf({ file: path, name: tensor.name }), runPieces(tensor, sources));
    }
  }
  return written;
}

/** What a reader would list of the files that a plan writes. */
export function listFiles(plan: CheckpointPlan, args: MegatronArguments | null): MegatronFile[] {
  return plan.files.map(({ path, tensors }) => ({
    directory: path.split('/')[1]!,
    checkpointVersion: 3,
    args,
    tensors: tensors.map(({ name, dtype, shape }) => ({
      name,
      file: path,
      begin: 0,
      dtype,
      ...storedView({ shard: '', name, shape, rectangles: [] }),
    })),
  }));
}

export function expectSame(found: Memory, wanted: Memory): void {
  const names = (memory: Memory): string[] =>
    [...memory.keys()].map((key) => key.split('\n')[1]!).sort();
  expect(names(found)).toEqual(names(wanted));
  const byName = new Map([...found].map(([key, stored]) => [key.split('\n')[1], stored]));
  for (const [key, stored] of wanted) {
    const other = byName.get(key.split('\n')[1])!;
    const wrong = stored.numbers.findIndex((value, at) => value !== other.numbers[at]);
    expect(wrong, `first wrong element of ${key}`).toBe(-1);
  }
}

/** Hugging Face → Megatron → Hugging Face; what comes back is what went in. */
export function expectRoundTrip(family: Family, changes: Partial<MegatronSettings>): void {
  const { model, config } = family;
  const settings = { ...DEFAULT_MEGATRON_SETTINGS, ...changes };
  const { tensors, memory } = hfMemory(model);
  const there = planHfToMegatron({
    model,
    config,
    sources: hfSources(model, tensors),
    settings,
    dtype: null,
  });
  const args = buildArguments(model, config, settings);
  const checkpoint = recogniseMegatron(listFiles(there, args), model, config);
  const back = planMegatronToHf({
    model,
    config,
    checkpoint,
    dtype: null,
    naming: 'shards',
    maxShardBytes: 2 ** 40,
  });
  expectSame(runPlan(back, runPlan(there, memory)), memory);
}
