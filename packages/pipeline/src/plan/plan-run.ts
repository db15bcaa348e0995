/** Decides for every stage of a recipe whether it runs, goes on, or is taken from the workspace. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { defined, type JsonValue, TuneyardError, throwIfAborted } from '@tuneyard/core';
import { findTokenFiles, resolveDatasets } from '@tuneyard/data';
import { artifactDir } from '../artifacts/create-artifact.js';
import type { ArtifactManifest } from '../artifacts/manifest.js';
import { findArtifact, listArtifacts } from '../artifacts/open-artifact.js';
import { hasLeftovers, workDirOf } from '../artifacts/work-dir.js';
import type { Workspace } from '../artifacts/workspace.js';
import { PIPELINE_ERRORS } from '../errors.js';
import { hashOf } from '../fingerprint/canonical-json.js';
import { FileHashCache } from '../fingerprint/file-hash-cache.js';
import { fingerprintPath } from '../fingerprint/fingerprint-path.js';
import { stageFingerprint } from '../fingerprint/stage-fingerprint.js';
import { type Recipe, resolveRecipePath } from '../recipe/recipe.js';
import { explainChange } from './explain-change.js';
import type { PlannedStage, RunPlan, StageInput } from './run-plan.js';
import {
  type PathRole,
  type RecipeDataset,
  type RecipeDatasets,
  type SpecInput,
  type StageSpec,
  stageSpecs,
} from './stage-specs.js';

/**
 * Plans a run: fingerprints every stage up front and looks up what the workspace already holds.
 *
 * Reads inputs to hash them (remembered by time stamp), writes nothing but that cache.
 *
 * Throws: `RECIPE_PATH_NOT_FOUND` for a model or adapter that is not there, the data package's codes for
 * data sets, `FINGERPRINT_INPUT_UNREADABLE`.
 */
export async function planRun(
  recipe: Recipe,
  workspace: Workspace,
  options: { readonly signal?: AbortSignal } = {},
): Promise<RunPlan> {
  await checkPaths(recipe);
  const specs = stageSpecs(recipe, await findDatasets(recipe));
  const cache = new FileHashCache(path.join(workspace.cache, 'file-hashes.json'));
  const newest = newestByStage(recipe.name, await listArtifacts(workspace));
  const fingerprints = new Map<string, string>();
  const stages: PlannedStage[] = [];
  for (const spec of specs) {
    throwIfAborted(options.signal);
    const inputs = await fingerprintInputs(spec, fingerprints, cache, options.signal);
    const stage = await planStage(spec, inputs, { recipe, workspace, newest });
    fingerprints.set(stage.id, stage.fingerprint);
    stages.push(stage);
  }
  await cache.save();
  return { recipe, workspace, stages };
}

interface Known {
  readonly recipe: Recipe;
  readonly workspace: Workspace;
  readonly newest: ReadonlyMap<string, ArtifactManifest>;
}

async function planStage(
  spec: StageSpec,
  inputs: { readonly [role: string]: StageInput },
  known: Known,
): Promise<PlannedStage> {
  const fingerprint = stageFingerprint({
    kind: spec.kind,
    version: spec.version,
    parameters: spec.parameters,
    inputs: Object.fromEntries(
      Object.entries(inputs).map(([role, input]) => [role, input.fingerprint]),
    ),
  });
  const { id, kind, title, version, parameters, settings, artifactKind } = spec;
  const base = {
    id,
    kind,
    title,
    version,
    fingerprint,
    inputs,
    parameters,
    settings,
    artifactKind,
  };
  if (artifactKind === null) {
    return { ...base, status: 'run', reason: 'written for every run', artifactPath: null };
  }
  const { recipe, workspace } = known;
  const found = await findArtifact(workspace, artifactKind, fingerprint);
  if (found !== null) {
    return {
      ...base,
      status: 'reuse',
      reason: reuseReason(recipe, found.manifest),
      artifactPath: found.dir,
    };
  }
  const artifactPath = artifactDir(workspace, {
    kind: artifactKind,
    name: recipe.name,
    fingerprint,
  });
  if (await hasLeftovers(workDirOf(workspace, kind, fingerprint))) {
    return { ...base, status: 'resume', reason: 'an earlier run was interrupted', artifactPath };
  }
  const reason = explainChange(base, known.newest.get(id) ?? null);
  return { ...base, status: 'run', reason, artifactPath };
}

function reuseReason(recipe: Recipe, manifest: ArtifactManifest): string {
  const since = `unchanged since ${manifest.createdAt.slice(0, 16).replace('T', ' ')} UTC`;
  return manifest.name === recipe.name ? since : `${since}, made by ${manifest.name}`;
}

/** The newest manifest of each stage that this recipe made. */
function newestByStage(
  name: string,
  newestFirst: readonly { readonly manifest: ArtifactManifest }[],
): ReadonlyMap<string, ArtifactManifest> {
  const newest = new Map<string, ArtifactManifest>();
  for (const { manifest } of newestFirst) {
    if (manifest.name === name && !newest.has(manifest.stage)) newest.set(manifest.stage, manifest);
  }
  return newest;
}

async function fingerprintInputs(
  spec: StageSpec,
  fingerprints: ReadonlyMap<string, string>,
  cache: FileHashCache,
  signal: AbortSignal | undefined,
): Promise<{ [role: string]: StageInput }> {
  const inputs: { [role: string]: StageInput } = {};
  for (const [role, input] of Object.entries(spec.inputs)) {
    inputs[role] =
      input.from === 'stage'
        ? { ...input, fingerprint: defined(fingerprints.get(input.stageId), input.stageId) }
        : await fingerprintExternal(input, cache, signal);
  }
  return inputs;
}

async function fingerprintExternal(
  input: Extract<SpecInput, { from: 'path' }>,
  cache: FileHashCache,
  signal: AbortSignal | undefined,
): Promise<StageInput> {
  if (input.files === 'tokens') return await fingerprintTokens(input.path, cache, signal);
  const includes = INCLUDED[input.files];
  const fingerprint = await fingerprintPath(input.path, cache, {
    includes,
    ...(signal === undefined ? {} : { signal }),
  });
  return { from: 'path', path: input.path, fingerprint };
}

/** The files of a prefix; what stands beside them, such as other data sets, does not count. */
async function fingerprintTokens(
  prefix: string,
  cache: FileHashCache,
  signal: AbortSignal | undefined,
): Promise<StageInput> {
  const { files, kind } = await findTokenFiles(prefix);
  const hashes = [];
  for (const file of files) {
    for (const ending of ['bin', 'idx']) {
      const target = `${file.prefix}.${ending}`;
      const fingerprint = await fingerprintPath(
        target,
        cache,
        signal === undefined ? {} : { signal },
      );
      hashes.push({ field: file.field, ending, fingerprint });
    }
  }
  return { from: 'path', path: prefix, fingerprint: hashOf([kind, hashes]) };
}

/** Files of a model directory that decide how text becomes tokens, and those that are its weights. */
const TOKENIZER_FILE =
  /^(tokenizer[^/]*|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt|chat_template\.[^/]+|config\.json|generation_config\.json)$/;
const MODEL_FILE = /^[^/]+\.(json|safetensors|model|jinja|txt|gguf)$/;

const INCLUDED: { readonly [R in Exclude<PathRole, 'tokens'>]: (relative: string) => boolean } = {
  all: () => true,
  tokenizer: (relative) => TOKENIZER_FILE.test(relative),
  model: (relative) => MODEL_FILE.test(relative),
};

async function checkPaths(recipe: Recipe): Promise<void> {
  const model = recipe.model.model_name_or_path;
  await checkPath(recipe, 'model.model_name_or_path', model);
  const adapter = recipe.train.adapter_name_or_path;
  if (adapter !== undefined) await checkPath(recipe, 'train.adapter_name_or_path', adapter);
}

async function checkPath(recipe: Recipe, key: string, relative: string): Promise<void> {
  const full = resolveRecipePath(recipe, relative);
  if ((await stat(full).catch(() => null)) !== null) return;
  throw new TuneyardError(
    PIPELINE_ERRORS.RECIPE_PATH_NOT_FOUND,
    `${key}: ${full} does not exist (${relative}, from ${recipe.file})`,
    {
      category: 'not_found',
      details: { key, path: full },
      hint: 'Give a directory in Hugging Face form or a GGUF file; nothing is downloaded from a hub.',
    },
  );
}

async function findDatasets(recipe: Recipe): Promise<RecipeDatasets> {
  const { data } = recipe;
  const find = async (names: readonly string[]): Promise<RecipeDataset[]> => {
    const specs = await resolveDatasets(names, {
      baseDir: path.dirname(recipe.file),
      ...(data.dataset_dir === undefined
        ? {}
        : { datasetDir: resolveRecipePath(recipe, data.dataset_dir) }),
      format: data.formatting,
      ...(data.max_samples === undefined ? {} : { maxSamples: data.max_samples }),
    });
    return specs.map(({ path: file, ...description }) => ({
      path: file,
      description: description as unknown as { readonly [key: string]: JsonValue },
    }));
  };
  return { train: await find(data.train ?? []), validation: await find(data.validation ?? []) };
}
