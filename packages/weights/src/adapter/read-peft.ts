/**
 * A PEFT adapter directory → {@link PeftAdapter}.
 *
 * Source: PEFT `docs/source/developer_guides/checkpoint.md` (keys), `peft/utils/save_and_load.py`.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { readJsonObject } from '../config/read-json.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import type { LoraAdapter, LoraPair, PeftAdapter, Replacement } from './adapter.js';
import {
  type FactorFile,
  type FactorTensor,
  matrixShape,
  openFactorFile,
  tensorError,
} from './factor-tensors.js';
import { moduleRank } from './module-pattern.js';
import { type ParsedPeftConfig, parsePeftConfig, requirePlainLora } from './peft-config.js';
import { leafOf, PEFT_PREFIX, type PeftKeyKind, parsePeftKey } from './peft-keys.js';

/**
 * Reads an adapter of linear modules, which is what training and generation compute; half-precision factors are
 * widened to f32.
 *
 * Throws: as {@link readAdapter}; `WEIGHTS_ADAPTER_UNSUPPORTED` also for what only merging understands.
 */
export async function readPeftAdapter(directory: string): Promise<LoraAdapter> {
  const { raw, configPath } = await readConfig(directory);
  parsePeftConfig(raw, configPath);
  requirePlainLora(raw, configPath);
  const { config, pairs, additions } = await readAdapter(directory);
  const foreign = additions.embeddings[0]?.module ?? [...additions.replacements.keys()][0];
  if (foreign !== undefined) {
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_ADAPTER_UNSUPPORTED,
      `${directory} also changes ${foreign}; here only LoRA factors of linear modules are used`,
      {
        details: { path: directory, module: foreign },
        hint: 'Merge the adapter into its base first (tuneyard merge), and use the merged model.',
      },
    );
  }
  return { config, pairs };
}

/**
 * Reads an adapter with everything it holds: factors of linear modules and embeddings, DoRA magnitudes, trained
 * biases and whole modules.
 *
 * Throws: `WEIGHTS_ADAPTER_NOT_FOUND`, `WEIGHTS_ADAPTER_CONFIG`, `WEIGHTS_ADAPTER_UNSUPPORTED`,
 * `WEIGHTS_ADAPTER_TENSOR`, `WEIGHTS_JSON_INVALID` and the codes of the tensor file.
 */
export async function readAdapter(directory: string): Promise<PeftAdapter> {
  const { raw, configPath } = await readConfig(directory);
  const parsed = parsePeftConfig(raw, configPath);
  const file = await openFactorFile(await factorPath(directory));
  try {
    const groups = groupTensors(file, parsed);
    const pairs = await readPairs(file, groups, ['a', 'b']);
    const embeddings = await readPairs(file, groups, ['embedding_a', 'embedding_b']);
    if (pairs.length + embeddings.length === 0) {
      throw new TuneyardError(
        WEIGHTS_ERRORS.WEIGHTS_ADAPTER_TENSOR,
        `${file.path}: holds no LoRA factors`,
        { details: { file: file.path } },
      );
    }
    const adapted = [...pairs, ...embeddings];
    const config = settleTargets(parsed, adapted);
    for (const pair of adapted) checkRank(file.path, pair, moduleRank(config, pair.module));
    return {
      config,
      pairs,
      additions: {
        embeddings,
        magnitudes: await readMagnitudes(file, groups, { parsed, adapted }),
        factorBiases: await readFactorBiases(file, groups, pairs),
        replacements: await readReplacements(file, groups),
        keepsTie: parsed.keepsTie,
      },
    };
  } finally {
    await file.close();
  }
}

/** Tensors by kind, then by module. */
type Groups = ReadonlyMap<PeftKeyKind, ReadonlyMap<string, FactorTensor>>;

function groupTensors(file: FactorFile, parsed: ParsedPeftConfig): Groups {
  const groups = new Map<PeftKeyKind, Map<string, FactorTensor>>();
  for (const tensor of file.tensors) {
    const key = parsePeftKey(tensor.name);
    if (key === null) {
      throw tensorError(file.path, tensor.name, `is not a LoRA factor under ${PEFT_PREFIX}`);
    }
    requireAnnounced(file.path, tensor.name, { ...key, parsed });
    const group = groups.get(key.kind) ?? new Map<string, FactorTensor>();
    if (group.has(key.module)) {
      throw tensorError(file.path, tensor.name, 'appears twice, with and without an adapter name');
    }
    group.set(key.module, tensor);
    groups.set(key.kind, group);
  }
  return groups;
}

/** Modules that PEFT saves whole without being asked, when the vocabulary or the module itself was touched. */
const SAVED_UNASKED: ReadonlySet<string> = new Set(['embed_tokens', 'lm_head']);

/** A tensor that the settings do not speak of would be silently merged or silently lost. */
function requireAnnounced(
  file: string,
  name: string,
  found: { kind: PeftKeyKind; module: string; parsed: ParsedPeftConfig },
): void {
  const { kind, module, parsed } = found;
  const isSavedWhole = parsed.modulesToSave.some((saved) => `.${module}.`.includes(`.${saved}.`));
  const announced: { readonly [K in PeftKeyKind]?: boolean } = {
    magnitude: parsed.dora,
    b_bias: parsed.factorBias,
    weight: isSavedWhole || SAVED_UNASKED.has(leafOf(module)),
    bias: isSavedWhole || parsed.bias !== 'none',
  };
  if (announced[kind] ?? true) return;
  const setting = { magnitude: 'use_dora', b_bias: 'lora_bias', bias: 'bias' }[kind as string];
  throw tensorError(
    file,
    name,
    `is not explained by adapter_config.json (${setting ?? 'modules_to_save'} does not ask for it)`,
  );
}

async function readPairs(
  file: FactorFile,
  groups: Groups,
  [kindA, kindB]: readonly [PeftKeyKind, PeftKeyKind],
): Promise<LoraPair[]> {
  const [groupA, groupB] = [groups.get(kindA), groups.get(kindB)];
  const modules = new Set([...(groupA?.keys() ?? []), ...(groupB?.keys() ?? [])]);
  const pairs: LoraPair[] = [];
  for (const module of modules) {
    const [a, b] = [groupA?.get(module), groupB?.get(module)];
    if (a === undefined || b === undefined) {
      throw tensorError(file.path, module, `has only lora_${a === undefined ? 'B' : 'A'}`);
    }
    const [rank, inFeatures] = matrixShape(file.path, a);
    const [outFeatures, rankOfB] = matrixShape(file.path, b);
    if (rank !== rankOfB) {
      throw tensorError(file.path, b.name, `has ${rankOfB} columns but lora_A has ${rank} rows`);
    }
    pairs.push({
      module,
      a: await file.read(a),
      b: await file.read(b),
      rank,
      inFeatures,
      outFeatures,
    });
  }
  return pairs;
}

async function readMagnitudes(
  file: FactorFile,
  groups: Groups,
  context: { parsed: ParsedPeftConfig; adapted: readonly LoraPair[] },
): Promise<ReadonlyMap<string, Float32Array>> {
  const magnitudes = new Map<string, Float32Array>();
  if (!context.parsed.dora) return magnitudes;
  const found = groups.get('magnitude') ?? new Map<string, FactorTensor>();
  for (const { module, outFeatures } of context.adapted) {
    const tensor = found.get(module);
    if (tensor === undefined) {
      throw tensorError(file.path, module, 'has no lora_magnitude_vector, which use_dora needs');
    }
    magnitudes.set(module, await readVector(file, tensor, outFeatures));
  }
  const stray = [...found.values()].find(
    ({ name }) => !magnitudes.has(parsePeftKey(name)?.module ?? ''),
  );
  if (stray !== undefined) throw tensorError(file.path, stray.name, 'has no factors beside it');
  return magnitudes;
}

async function readFactorBiases(
  file: FactorFile,
  groups: Groups,
  pairs: readonly LoraPair[],
): Promise<ReadonlyMap<string, Float32Array>> {
  const sizes = new Map(pairs.map(({ module, outFeatures }) => [module, outFeatures]));
  const biases = new Map<string, Float32Array>();
  for (const [module, tensor] of groups.get('b_bias') ?? []) {
    const size = sizes.get(module);
    if (size === undefined) throw tensorError(file.path, tensor.name, 'has no factors beside it');
    biases.set(module, await readVector(file, tensor, size));
  }
  return biases;
}

/** Older PEFT kept magnitudes as a row or column matrix. */
async function readVector(
  file: FactorFile,
  tensor: FactorTensor,
  size: number,
): Promise<Float32Array> {
  const long = tensor.shape.filter((n) => n !== 1);
  const elements = tensor.shape.reduce((product, n) => product * n, 1);
  if (long.length > 1 || elements !== size) {
    throw tensorError(
      file.path,
      tensor.name,
      `has shape [${tensor.shape.join(', ')}]; the factors beside it imply [${size}]`,
    );
  }
  return await file.read(tensor);
}

async function readReplacements(
  file: FactorFile,
  groups: Groups,
): Promise<ReadonlyMap<string, Replacement>> {
  const replacements = new Map<string, Replacement>();
  for (const part of ['weight', 'bias'] as const) {
    for (const [module, tensor] of groups.get(part) ?? []) {
      replacements.set(`${module}.${part}`, {
        shape: tensor.shape,
        values: await file.read(tensor),
      });
    }
  }
  return replacements;
}

function settleTargets(
  parsed: ParsedPeftConfig,
  adapted: readonly LoraPair[],
): LoraAdapter['config'] {
  if (!parsed.hasTargetPattern) return parsed.config;
  const leaves = [...new Set(adapted.map(({ module }) => leafOf(module)))].sort();
  return { ...parsed.config, targetModules: leaves };
}

function checkRank(file: string, pair: LoraPair, stated: number): void {
  if (pair.rank === stated) return;
  throw tensorError(
    file,
    pair.module,
    `has rank ${pair.rank}; adapter_config.json states ${stated}`,
  );
}

async function readConfig(
  directory: string,
): Promise<{ raw: Readonly<Record<string, unknown>>; configPath: string }> {
  const configPath = join(directory, 'adapter_config.json');
  const raw = await readJsonObject(configPath);
  if (raw === null) throw notFound(directory, 'it has no adapter_config.json');
  return { raw, configPath };
}

async function factorPath(directory: string): Promise<string> {
  const names = await readdir(directory);
  if (names.includes('adapter_model.safetensors')) {
    return join(directory, 'adapter_model.safetensors');
  }
  if (names.includes('adapter_model.bin')) return join(directory, 'adapter_model.bin');
  throw notFound(directory, 'it has neither adapter_model.safetensors nor adapter_model.bin');
}

function notFound(path: string, why: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_NOT_FOUND,
    `${path} is not a readable adapter: ${why}`,
    { category: 'not_found', details: { path } },
  );
}
