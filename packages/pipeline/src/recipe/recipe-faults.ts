/** Faults of a recipe, each with its place, gathered into one error. */
import { TuneyardError } from '@tuneyard/core';
import { distance } from 'fastest-levenshtein';
import type { z } from 'zod';
import { PIPELINE_ERRORS } from '../errors.js';
import type { YamlPath } from './yaml-source.js';

/** Parsed content that knows where its keys stand; a `YamlSource` is one. */
export interface RecipeLocator {
  readonly value: { readonly [key: string]: unknown };
  /** `file:line:column` of a key, or of its nearest ancestor. */
  locateKey(path: YamlPath): string;
  locateValue(path: YamlPath): string;
}

/** One thing that is wrong with a recipe. */
export interface RecipeFault {
  readonly code: keyof typeof PIPELINE_ERRORS;
  /** `file:line:column`. */
  readonly where: string;
  readonly message: string;
  readonly hint?: string;
}

/** Most faults that one error lists. */
const FAULTS_SHOWN = 10;

/** Turns faults into one error: the first one's code, every one's line. */
export function recipeError(faults: readonly [RecipeFault, ...RecipeFault[]]): TuneyardError {
  const lines = faults.slice(0, FAULTS_SHOWN).map((f) => `${f.where}: ${f.message}`);
  if (faults.length > FAULTS_SHOWN) lines.push(`and ${faults.length - FAULTS_SHOWN} more`);
  const hint = faults.find((f) => f.hint !== undefined)?.hint;
  return new TuneyardError(faults[0].code, lines.join('\n'), {
    ...(hint === undefined ? {} : { hint }),
    details: {
      faults: faults.map((f) => ({ code: f.code, where: f.where, message: f.message })),
    },
  });
}

/** Throws {@link recipeError} when there is at least one fault. */
export function throwFaults(faults: readonly RecipeFault[]): void {
  const [first, ...rest] = faults;
  if (first !== undefined) throw recipeError([first, ...rest]);
}

/** The known name closest to `name`; null when none is close enough to be a slip. */
export function nearestName(name: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let least = Math.max(2, Math.ceil(name.length * 0.4));
  for (const candidate of known) {
    const d = distance(name.toLowerCase(), candidate.toLowerCase());
    if (d < least || (d === least && best === null)) {
      best = candidate;
      least = d;
    }
  }
  return best;
}

/** Translates zod's issues; `keysOf` lists the known keys of a section path. */
export function faultsOf(
  issues: readonly z.core.$ZodIssue[],
  source: RecipeLocator,
  keysOf: (section: YamlPath) => readonly string[],
): RecipeFault[] {
  return issues.flatMap((issue) => {
    const path = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => unknownKey(key, path, source, keysOf(path)));
    }
    return [valueFault(issue, path, source)];
  });
}

function unknownKey(
  key: string,
  section: YamlPath,
  source: RecipeLocator,
  known: readonly string[],
): RecipeFault {
  const nearest = nearestName(key, known);
  const where = section.length === 0 ? 'a recipe' : section.join('.');
  const ending =
    nearest === null
      ? `; known keys: ${known.join(', ')}`
      : `; the nearest known key is ${nearest}`;
  return {
    code: PIPELINE_ERRORS.RECIPE_UNKNOWN_KEY,
    where: source.locateKey([...section, key]),
    message: `${key} is not a key of ${where}${ending}`,
  };
}

function valueFault(issue: z.core.$ZodIssue, path: YamlPath, source: RecipeLocator): RecipeFault {
  const name = path.join('.');
  const found = valueAt(source.value, path);
  if (found === undefined) {
    return {
      code: PIPELINE_ERRORS.RECIPE_MISSING_KEY,
      where: source.locateKey(path),
      message: `${name} is missing; it must be ${allowedBy(issue)}`,
    };
  }
  const isType = issue.code === 'invalid_type' || issue.code === 'invalid_union';
  return {
    code: isType ? PIPELINE_ERRORS.RECIPE_WRONG_TYPE : PIPELINE_ERRORS.RECIPE_BAD_VALUE,
    where: source.locateValue(path),
    message: `${name} is ${shown(found)}; it must be ${allowedBy(issue)}`,
  };
}

function valueAt(value: unknown, path: YamlPath): unknown {
  let inner = value;
  for (const step of path) {
    if (inner === null || typeof inner !== 'object') return undefined;
    inner = (inner as { readonly [key: string | number]: unknown })[step];
  }
  return inner;
}

const TYPE_NAMES: { readonly [type: string]: string } = {
  int: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
  array: 'a list',
  object: 'a section of keys',
};

/** What the schema allows, in words. */
function allowedBy(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return TYPE_NAMES[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return `one of ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return bound(issue, issue.inclusive === false ? 'more than' : 'at least', issue.minimum);
    case 'too_big':
      return bound(issue, issue.inclusive === false ? 'less than' : 'at most', issue.maximum);
    case 'invalid_union':
      return unionText(issue);
    default:
      return issue.code === 'invalid_format' ? issue.message : issue.message.toLowerCase();
  }
}

function bound(issue: { readonly origin: string }, verb: string, limit: number | bigint): string {
  if (issue.origin === 'array') return `a list of ${verb} ${limit}`;
  if (issue.origin === 'string')
    return limit === 1 ? 'text that is not empty' : `${verb} ${limit} letters`;
  return `${verb} ${limit}`;
}

function unionText(issue: z.core.$ZodIssueInvalidUnion): string {
  const options = issue.errors.flatMap((branch) => {
    const first = branch[0];
    return first === undefined ? [] : [allowedBy(first)];
  });
  return [...new Set(options)].join(' or ');
}

function shown(value: unknown): string {
  if (typeof value === 'string') return `the text ${JSON.stringify(value.slice(0, 80))}`;
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a section of keys';
  return String(value);
}
