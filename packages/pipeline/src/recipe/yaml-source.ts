/**
 * YAML text with the position of every key and value, for messages that say file:line:column.
 *
 * Read by the `yaml` package in its 1.2 core schema; aliases are limited, so that a small file cannot
 * grow without bound.
 */
import { TuneyardError } from '@tuneyard/core';
import { isMap, isNode, isPair, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { PIPELINE_ERRORS } from '../errors.js';

/** Most bytes of a recipe; the largest real ones are a few kilobytes. */
export const RECIPE_MAX_BYTES = 1 << 20;

/** Keys and list indexes from the top of a document. */
export type YamlPath = readonly (string | number)[];

/** A parsed document that remembers where things stand. */
export interface YamlSource {
  readonly file: string;
  readonly value: { readonly [key: string]: unknown };
  /** `file:line:column` of the key at `path`; of its nearest existing ancestor when there is none. */
  locateKey(path: YamlPath): string;
  /** `file:line:column` of the value at `path`. */
  locateValue(path: YamlPath): string;
}

/**
 * Parses the text of a recipe. A key without a value counts as not given and is left out.
 *
 * Throws: `RECIPE_YAML_INVALID` with the position of the first fault.
 */
export function parseYamlSource(text: string, file: string): YamlSource {
  if (text.length > RECIPE_MAX_BYTES) throw invalid(file, `larger than ${RECIPE_MAX_BYTES} bytes`);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const fault = document.errors[0];
  if (fault !== undefined) throw invalid(at(fault.pos[0]), fault.message);
  const root: unknown = document.contents;
  if (!isMap(root)) throw invalid(`${file}:1:1`, 'the top level must be a map of keys to values');
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 10 });
  } catch (cause) {
    throw invalid(file, (cause as Error).message);
  }
  return {
    file,
    value: withoutNulls(value) as { readonly [key: string]: unknown },
    locateKey: (path) => at(startOf(keyNode(root, path))),
    locateValue: (path) => at(startOf(valueNode(root, path))),
  };
}

function invalid(where: string, why: string): TuneyardError {
  return new TuneyardError(PIPELINE_ERRORS.RECIPE_YAML_INVALID, `${where}: ${why}`, {
    details: { where },
  });
}

/** Maps without keys that have no value; lists keep theirs, so that a hole in a list is an error. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (value === null || typeof value !== 'object') return value;
  const kept = Object.entries(value).filter(([, inner]) => inner !== null);
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutNulls(inner)]));
}

function keyNode(root: Node, path: YamlPath): Node {
  const parent = valueNode(root, path.slice(0, -1));
  const last = path.at(-1);
  if (!isMap(parent) || last === undefined) return valueNode(root, path);
  const pair = parent.items.find((item) => isPair(item) && keyText(item.key) === String(last));
  return isNode(pair?.key) ? pair.key : parent;
}

function valueNode(root: Node, path: YamlPath): Node {
  let node: Node = root;
  for (const step of path) {
    const next: unknown =
      'get' in node && typeof node.get === 'function' ? node.get(step, true) : undefined;
    if (!isNode(next)) break;
    node = next;
  }
  return node;
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : String(key);
}

function startOf(node: Node): number {
  return node.range?.[0] ?? 0;
}
