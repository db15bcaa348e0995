/** Checks a parsed recipe body against the schema and the rules between keys. */
import { z } from 'zod';
import { crossCheck } from './cross-checks.js';
import { type RecipeBody, recipeSchema } from './recipe.js';
import { faultsOf, type RecipeLocator, throwFaults } from './recipe-faults.js';
import type { YamlPath } from './yaml-source.js';

/**
 * Fills in defaults and refuses what is wrong, naming positions through `source`.
 *
 * Throws: the first fault's code; every fault has a line in the message.
 */
export function checkRecipeBody(source: RecipeLocator): RecipeBody {
  const result = recipeSchema.safeParse(source.value);
  if (!result.success) throwFaults(faultsOf(result.error.issues, source, keysOfSection));
  const body = result.data as RecipeBody;
  throwFaults(
    crossCheck(body, source.value).map(({ path, ...fault }) => ({
      ...fault,
      where: source.locateKey(path),
    })),
  );
  return body;
}

/** Known keys of a section, from the schema itself. */
function keysOfSection(section: YamlPath): readonly string[] {
  let schema: unknown = recipeSchema;
  for (const step of section) schema = shapeOf(schema)?.[step];
  return Object.keys(shapeOf(schema) ?? {});
}

function shapeOf(schema: unknown): { readonly [key: string]: unknown } | undefined {
  let inner = schema;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodPrefault) inner = inner.unwrap();
  return inner instanceof z.ZodObject ? inner.shape : undefined;
}
