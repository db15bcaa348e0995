/** From a recipe file and changes on the command line to a plan. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import {
  type ImportNote,
  importLlamaFactory,
  isLlamaFactory,
  openWorkspace,
  parseRecipe,
  planRun,
  type Recipe,
  type RunPlan,
} from '@tuneyard/pipeline';
import { parse } from 'yaml';
import type { Cli } from '../cli.js';
import { overrideRecipe, parseOverride } from './override-recipe.js';

/** What is asked for on the command line. */
export interface RunRequest {
  /** Recipe, or LLaMA-Factory YAML. */
  readonly file: string;
  /** `key=value`. */
  readonly overrides: readonly string[];
  /** Leaves evaluation, merging and exports out. */
  readonly onlyTraining: boolean;
}

/** Reads the recipe, tells what its translation changed, and plans. */
export async function prepareRun(cli: Cli, request: RunRequest): Promise<RunPlan> {
  const { recipe, notes } = await readRecipe(cli, request);
  for (const note of notes) cli.note(cli.err.dim(`${note.key}: ${note.effect}, ${note.message}`));
  const workspace = await openWorkspace(cli.workspace);
  return await planRun(request.onlyTraining ? withTrainingOnly(recipe) : recipe, workspace, {
    signal: cli.signal,
  });
}

async function readRecipe(
  cli: Cli,
  { file, overrides }: RunRequest,
): Promise<{ recipe: Recipe; notes: readonly ImportNote[] }> {
  const path = cli.path(file);
  const text = overrideRecipe(await readFile(path, 'utf8'), overrides.map(parseOverride));
  if (!isLlamaFactoryText(text)) return { recipe: parseRecipe(text, path), notes: [] };
  // LLaMA-Factory takes paths from the directory it is started in; beside the file is tried first.
  const resolvePath = (relative: string): string => {
    const beside = resolve(dirname(path), relative);
    const here = resolve(cli.host.cwd, relative);
    return !existsSync(beside) && existsSync(here) ? here : beside;
  };
  return importLlamaFactory(text, path, { resolvePath });
}

/** Faults of the text are left to the readers of recipes, which name their place. */
function isLlamaFactoryText(text: string): boolean {
  try {
    const value: unknown = parse(text);
    return typeof value === 'object' && value !== null && isLlamaFactory({ ...value });
  } catch {
    return false;
  }
}

function withTrainingOnly(recipe: Recipe): Recipe {
  const { evaluate: _evaluate, merge: _merge, export: _export, ...rest } = recipe;
  return rest;
}
