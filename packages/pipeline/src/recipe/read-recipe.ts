/** From the text or file of a recipe to a checked {@link Recipe}, and back to YAML. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { stringify } from 'yaml';
import { PIPELINE_ERRORS } from '../errors.js';
import { checkRecipeBody } from './check-recipe.js';
import { type ImportNote, importLlamaFactory, isLlamaFactory } from './import-llama-factory.js';
import type { Recipe } from './recipe.js';
import { parseYamlSource } from './yaml-source.js';

/** A recipe with where it came from. */
export interface LoadedRecipe {
  readonly recipe: Recipe;
  /** `llama-factory` when a flat LLaMA-Factory YAML was translated. */
  readonly origin: 'tuneyard' | 'llama-factory';
  /** What the translation left out or changed; empty for Tuneyard's own recipes. */
  readonly notes: readonly ImportNote[];
}

/**
 * Reads a recipe file: Tuneyard's own form, or a plain LLaMA-Factory YAML.
 *
 * `workingDir`: LLaMA-Factory takes paths from the directory it is started in. A path of such a YAML
 * that does not exist beside the file is tried from here.
 *
 * Throws: `RECIPE_NOT_FOUND`, and what {@link parseRecipe} and {@link importLlamaFactory} throw.
 */
export async function loadRecipe(
  file: string,
  options: { readonly workingDir?: string } = {},
): Promise<LoadedRecipe> {
  const text = await readText(file);
  const source = parseYamlSource(text, file);
  if (isLlamaFactory(source.value)) {
    const resolvePath = (relative: string): string =>
      nearestExisting(relative, path.dirname(file), options.workingDir);
    return { ...importLlamaFactory(text, file, { resolvePath }), origin: 'llama-factory' };
  }
  return { recipe: parseRecipe(text, file), origin: 'tuneyard', notes: [] };
}

/**
 * Parses and checks the text of a recipe in Tuneyard's own form.
 *
 * Throws: `RECIPE_YAML_INVALID`, `RECIPE_UNKNOWN_KEY`, `RECIPE_WRONG_TYPE`, `RECIPE_BAD_VALUE`,
 * `RECIPE_MISSING_KEY` or the code of a broken rule between keys; the message has one line for each
 * fault, with `file:line:column`.
 */
export function parseRecipe(text: string, file: string): Recipe {
  return { ...checkRecipeBody(parseYamlSource(text, file)), file: path.resolve(file), text };
}

/** Writes a recipe as YAML, without what only a loaded recipe knows. */
export function formatRecipe(recipe: Recipe): string {
  const { file: _file, text: _text, ...body } = recipe;
  return stringify(body, { lineWidth: 100 });
}

function nearestExisting(relative: string, beside: string, workingDir: string | undefined): string {
  const first = path.resolve(beside, relative);
  if (workingDir === undefined || existsSync(first)) return first;
  const second = path.resolve(workingDir, relative);
  return existsSync(second) ? second : first;
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new TuneyardError(
      PIPELINE_ERRORS.RECIPE_NOT_FOUND,
      `The recipe ${file} cannot be read: ${(cause as Error).message}`,
      { category: 'not_found', details: { file }, cause },
    );
  }
}
