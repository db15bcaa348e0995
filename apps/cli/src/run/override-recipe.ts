/**
 * Changes single keys of a recipe's text from the command line: `learning_rate=1e-4`.
 *
 * The text is edited as YAML, so that comments stay and messages still name lines of the file.
 */
import { TuneyardError } from '@tuneyard/core';
import { isMap, parse, parseDocument } from 'yaml';
import { CLI_ERRORS } from '../errors.js';

/** One `key=value` of the command line. */
export interface RecipeOverride {
  /** Keys from the top: `['train', 'learning_rate']`. */
  readonly path: readonly string[];
  readonly value: unknown;
}

/**
 * Parses `key=value`; dots in the key lead into sections, the value is YAML (`1e-4`, `true`, `[a, b]`).
 *
 * Throws: `CLI_INVALID_VALUE`.
 */
export function parseOverride(text: string): RecipeOverride {
  const match = /^([A-Za-z_][\w.]*)=(.*)$/s.exec(text);
  if (match === null) {
    throw invalid(text, 'Write changes as key=value, such as train.learning_rate=1e-4.');
  }
  const [, key = '', value = ''] = match;
  return { path: key.split('.'), value: parseValue(text, value) };
}

/** Applies overrides to the text of a recipe; text that is not a YAML map is left to its own reader. */
export function overrideRecipe(text: string, overrides: readonly RecipeOverride[]): string {
  if (overrides.length === 0) return text;
  const document = parseDocument(text);
  if (document.errors.length > 0 || !isMap(document.contents)) return text;
  for (const { path, value } of overrides) {
    const parent = path.length === 1 ? undefined : document.getIn(path.slice(0, -1), true);
    if (parent !== undefined && !isMap(parent)) document.deleteIn(path.slice(0, -1));
    document.setIn(path, document.createNode(value));
  }
  return document.toString({ lineWidth: 0 });
}

function parseValue(whole: string, value: string): unknown {
  try {
    // YAML 1.2 reads 1e-4 as a number; PyYAML, which LLaMA-Factory uses, would need 1.0e-4.
    return parse(value) as unknown;
  } catch (cause) {
    throw invalid(
      whole,
      'The value is read as YAML; put text with special characters in quotes.',
      cause,
    );
  }
}

function invalid(text: string, hint: string, cause?: unknown): TuneyardError {
  return new TuneyardError(CLI_ERRORS.CLI_INVALID_VALUE, `${text} is not a change of a recipe`, {
    details: { argument: text },
    hint,
    cause,
  });
}
