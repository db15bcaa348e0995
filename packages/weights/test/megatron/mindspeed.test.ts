import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { TorchDict } from '@tuneyard/formats';
import { describe, expect, it } from 'vitest';
import type { RawObject } from '../../src/config/fields.js';
import { logicalModel } from '../../src/convert/logical-config.js';
import { type ArgumentValue, buildArguments } from '../../src/megatron/arguments.js';
import { recogniseMegatron } from '../../src/megatron/checkpoint.js';
import { planHfToMegatron, planMegatronToHf } from '../../src/megatron/plan-conversion.js';
import { DEFAULT_MEGATRON_SETTINGS, type MegatronSettings } from '../../src/megatron/settings.js';
import { countByName, hfMemory, listFiles, readFamily, runPlan } from './family-trip.js';
import { hfSources } from './hf-sources.js';
import type { Stored } from './run-plan.js';

/** Shape and first 16 digits of the SHA-256 of int32 elements, by tensor name. */
type Facts = { readonly [name: string]: readonly [number[], string] };

interface Golden {
  readonly family: string;
  readonly config: RawObject;
  readonly options: { readonly [name: string]: string | number | boolean };
  readonly ranks: { readonly [directory: string]: { readonly [chunk: string]: Facts } };
  readonly arguments: { readonly [name: string]: ArgumentValue };
  readonly back?: { readonly [file: string]: Facts };
}

const GOLDENS = new URL('../fixtures/megatron/mindspeed/', import.meta.url);
const CASES = readdirSync(GOLDENS).map((file) => file.replace('.json', ''));

function readGolden(name: string): Golden {
  return JSON.parse(readFileSync(new URL(`${name}.json`, GOLDENS), 'utf8')) as Golden;
}

function settingsOf({ options }: Golden): MegatronSettings {
  const numbers = (text: unknown): number[] => String(text).split(',').map(Number);
  return {
    ...DEFAULT_MEGATRON_SETTINGS,
    spec: options['transformer_impl'] === 'transformer_engine' ? 'transformer_engine' : 'local',
    tensorParallel: Number(options['target_tensor_parallel_size'] ?? 1),
    pipelineParallel: Number(options['target_pipeline_parallel_size'] ?? 1),
    expertParallel: Number(options['target_expert_parallel_size'] ?? 1),
    layersPerVirtualStage:
      (options['num_layers_per_virtual_pipeline_stage'] as number | undefined) ?? null,
    numLayerList: 'num_layer_list' in options ? numbers(options['num_layer_list']) : null,
    noopLayers: 'noop_layers' in options ? numbers(options['noop_layers']) : [],
    schedule: options['schedules_method'] === 'dualpipev' ? 'dualpipev' : 'standard',
    groupedGemm: options['moe_grouped_gemm'] === true,
    expertsOverTensorRanks: options['moe_tp_extend_ep'] === true,
    splitLatent: options['mla_mm_split'] === true,
  };
}

function digest({ numbers }: Stored): string {
  const bytes = new Uint8Array(Int32Array.from(numbers).buffer);
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

/** Of a dense model with names of Transformer Engine the original writes the second norm under its local name. */
function originalName(name: string, golden: Golden): string {
  const isDense = !('num_experts' in golden.arguments) && golden.family !== 'gemma2';
  return isDense ? name.replace('.mlp.linear_fc1.layer_norm_', '.pre_mlp_layernorm.') : name;
}

describe('the shards of MindSpeed-LLM', () => {
  for (const name of CASES) {
    it(`are made alike: ${name}`, () => {
      const golden = readGolden(name);
      const { config, model, settings, tensors, memory } = caseOf(golden, name);
      const plan = planHfToMegatron({
        model,
        config,
        sources: hfSources(model, tensors),
        settings,
        dtype: null,
      });
      const written = runPlan(plan, memory);
      const found: Record<string, Record<string, Record<string, unknown>>> = {};
      for (const { path, tensors: targets, extra } of plan.files) {
        const chunks: Record<string, Record<string, unknown>> = {};
        for (const [key] of (extra as TorchDict).entries) {
          if (String(key).startsWith('model')) chunks[String(key)] = {};
        }
        found[path.split('/')[1]!] = chunks;
        for (const target of targets) {
          const [chunk = '', ...rest] = target.name.split('\u001f');
          const stored = written.get(`${path}\n${target.name}`)!;
          chunks[chunk]![originalName(rest.join('.'), golden)] = [target.shape, digest(stored)];
        }
      }
      expect(found).toEqual(golden.ranks);
    });
  }

  for (const name of CASES.filter((each) => readGolden(each).back !== undefined)) {
    it(`come back in the files of the original: ${name}`, () => {
      const golden = readGolden(name);
      const { config, model, settings, tensors, memory } = caseOf(golden, name);
      const there = planHfToMegatron({
        model,
        config,
        sources: hfSources(model, tensors),
        settings,
        dtype: null,
      });
      const files = listFiles(there, golden.arguments);
      const checkpoint = recogniseMegatron(files, model, config);
      const options = { naming: 'layers', maxShardBytes: 1, dtype: null } as const;
      const back = planMegatronToHf({ model, config, checkpoint, ...options });
      const written = runPlan(back, runPlan(there, memory));
      const found: Record<string, Record<string, unknown>> = {};
      for (const { path, tensors: targets } of back.files) {
        const facts: Record<string, unknown> = {};
        found[path] = facts;
        for (const target of targets) {
          facts[target.name] = [target.shape, digest(written.get(`${path}\n${target.name}`)!)];
        }
      }
      if (OTHER_FILES.has(name)) expect(mergeFiles(found)).toEqual(mergeFiles({ ...golden.back }));
      else expect(found).toEqual(golden.back);
    });

    it(`have the arguments of the original: ${name}`, () => {
      const golden = readGolden(name);
      const { config, model, settings } = caseOf(golden, name);
      const args = buildArguments(model, config, settings);
      const differing = Object.entries(golden.arguments)
        .filter(
          ([key, value]) => key in args && JSON.stringify(args[key]) !== JSON.stringify(value),
        )
        .map(([key]) => key);
      expect(differing.filter((key) => !OWN_ARGUMENTS.has(key))).toEqual([]);
    });
  }
});

/** Where the original writes a default of its own instead of what the model has. */
const OWN_ARGUMENTS = new Set(['group_query_attention', 'max_position_embeddings']);

/** The original puts the head beside the last layer that it reads, which here is not the last one. */
const OTHER_FILES = new Set(['llama-pp2-vpp2-noop']);

function mergeFiles(files: Record<string, Record<string, unknown>>): Record<string, unknown> {
  return Object.assign({}, ...Object.values(files)) as Record<string, unknown>;
}

function caseOf(golden: Golden, name: string) {
  const config = { ...readFamily(golden.family).config, ...golden.config };
  const model = logicalModel(config, name);
  const { tensors, memory } = hfMemory(model);
  countByName(memory);
  return { config, model, settings: settingsOf(golden), tensors, memory };
}
