/**
 * The tensors of a value by key path: the keys that lead to them, joined by U+001F.
 *
 * The same pass checks what the interpreter could not see while the value was being built: nesting, and keys that appear
 * twice. A value shared by several places has a path through each; shared containers without tensors cost nothing.
 */
import { TuneyardError } from '@tuneyard/core';
import { TORCH_ERRORS } from '../../errors.js';
import { quoteName } from '../../io/quote-name.js';
import { MAX_DEPTH, MAX_TENSORS } from '../limits.js';
import type { TorchEntry, TorchNode, TorchObject, TorchTensorValue, TorchValue } from '../value.js';

/** Parts the keys of a path. */
export const KEY_SEPARATOR = '\u001f';

/** A tensor found, and whether a Parameter is around it. */
export interface FoundTensor {
  readonly value: TorchTensorValue;
  readonly isParameter: boolean;
}

/** What is known of a node after its first visit. */
interface NodeFacts {
  /** Levels below it. */
  readonly height: number;
  /** Paths from it to tensors; those that go round in a circle are not counted. */
  readonly paths: number;
}

type Child = readonly [component: string | null, value: TorchValue];

/**
 * Finds all tensors, in the order of the containers.
 *
 * Throws: `TORCH_PICKLE_LIMIT`, `TORCH_PICKLE_DUPLICATE_KEY`; `where` names the file.
 */
export function flattenTensors(root: TorchValue, where: string): ReadonlyMap<string, FoundTensor> {
  const walk = new TensorWalk(where);
  if (isNode(root)) {
    // Paths can be many more than values, so they are counted before they are followed.
    if (walk.survey(root, 0).paths > MAX_TENSORS) throw tooMany(where);
    walk.collect(root, []);
  }
  return walk.found;
}

class TensorWalk {
  readonly found = new Map<string, FoundTensor>();
  readonly #where: string;
  readonly #facts = new Map<TorchNode, NodeFacts>();
  readonly #onPath = new Set<TorchNode>();
  #visits = 0;

  constructor(where: string) {
    this.#where = where;
  }

  /** Visits every node once. Recursion ends at {@link MAX_DEPTH}. */
  survey(node: TorchNode, depth: number): NodeFacts {
    if (depth > MAX_DEPTH) throw this.#tooDeep();
    const known = this.#facts.get(node);
    if (known !== undefined) {
      if (depth + known.height > MAX_DEPTH) throw this.#tooDeep();
      return known;
    }
    // A node that contains itself is met here again while it is being visited.
    this.#facts.set(node, { height: 0, paths: 0 });
    if (node.kind === 'dict') this.#checkKeys(node.entries);
    if (node.kind === 'object' && node.entries !== undefined) this.#checkKeys(node.entries);
    let height = 0;
    let paths = node.kind === 'tensor' ? 1 : 0;
    for (const child of everyChild(node)) {
      if (!isNode(child)) continue;
      const facts = this.survey(child, depth + 1);
      height = Math.max(height, facts.height + 1);
      paths += facts.paths;
    }
    const facts = { height, paths };
    this.#facts.set(node, facts);
    return facts;
  }

  /** Follows every path to a tensor. Mutates: `path`, which it leaves as it was. */
  collect(node: TorchNode, path: string[]): void {
    if ((this.#facts.get(node)?.paths ?? 0) === 0 || this.#onPath.has(node)) return;
    this.#visits += 1;
    if (this.#visits > 4 * MAX_TENSORS) throw tooMany(this.#where);
    if (node.kind === 'tensor') {
      this.#add(path, { value: node, isParameter: false });
      return;
    }
    if (node.kind === 'parameter') {
      this.#add(path, { value: node.data, isParameter: true });
      return;
    }
    this.#onPath.add(node);
    for (const [component, child] of namedChildren(node)) {
      if (!isNode(child)) continue;
      if (component === null) {
        this.collect(child, path);
        continue;
      }
      path.push(component);
      this.collect(child, path);
      path.pop();
    }
    this.#onPath.delete(node);
  }

  #add(path: readonly string[], tensor: FoundTensor): void {
    const name = path.join(KEY_SEPARATOR);
    if (this.found.has(name)) throw this.#duplicate(name);
    if (this.found.size === MAX_TENSORS) throw tooMany(this.#where);
    this.found.set(name, tensor);
  }

  #checkKeys(entries: readonly TorchEntry[]): void {
    const seen = new Set<unknown>();
    for (const [key] of entries) {
      // Python takes 1, 1.0 and True for one key; containers are keys by what they are, seldom twice.
      const identity = isNode(key) && key.kind === 'float' ? key.value : key;
      const canonical = typeof identity === 'boolean' ? Number(identity) : identity;
      if (seen.has(canonical)) throw this.#duplicate(keyText(key));
      seen.add(canonical);
    }
  }

  #duplicate(name: string): TuneyardError {
    return new TuneyardError(
      TORCH_ERRORS.TORCH_PICKLE_DUPLICATE_KEY,
      `${this.#where}: the key ${quoteName(name)} appears twice`,
      { details: { key: name } },
    );
  }

  #tooDeep(): TuneyardError {
    return new TuneyardError(
      TORCH_ERRORS.TORCH_PICKLE_LIMIT,
      `${this.#where}: values are nested deeper than ${MAX_DEPTH} levels`,
    );
  }
}

function tooMany(where: string): TuneyardError {
  return new TuneyardError(
    TORCH_ERRORS.TORCH_PICKLE_LIMIT,
    `${where}: more than ${MAX_TENSORS} paths lead to tensors`,
  );
}

/** A key as a part of a path. */
export function keyText(key: TorchValue): string {
  if (key === null) return 'None';
  if (typeof key === 'boolean') return key ? 'True' : 'False';
  if (typeof key !== 'object') return String(key);
  if (key.kind === 'float') return String(key.value);
  if (key.kind === 'global') return `${key.module}.${key.name}`;
  if (key.kind === 'tuple') return `(${key.items.slice(0, 8).map(shortText).join(', ')})`;
  return key.kind;
}

/** As {@link keyText}, but without a look into containers. */
function shortText(key: TorchValue): string {
  return isNode(key) && key.kind === 'tuple' ? 'tuple' : keyText(key);
}

/** Children that may lead to tensors, with the part of the path to each; null adds nothing to the path. */
function namedChildren(node: TorchNode): Child[] {
  switch (node.kind) {
    case 'list':
    case 'tuple':
    case 'set':
      return node.items.map((item, i) => [String(i), item]);
    case 'dict': {
      const children: Child[] = node.entries.map(([key, value]) => [keyText(key), value]);
      if (node.attributes !== undefined) children.push(['__dict__', node.attributes]);
      return children;
    }
    case 'namespace':
      return [[null, node.attributes]];
    case 'object':
      return objectChildren(node);
    default:
      return [];
  }
}

function objectChildren(node: TorchObject): Child[] {
  const children: Child[] = (node.entries ?? []).map(([key, value]) => [keyText(key), value]);
  for (const [i, item] of (node.items ?? []).entries()) children.push([String(i), item]);
  children.push(['__args__', node.args]);
  if (node.kwargs !== undefined) children.push(['__kwargs__', node.kwargs]);
  const { state } = node;
  if (state === undefined) return children;
  // Attributes are told as a dict; their names are the path, as those of a namespace are.
  const isPlain = isNode(state) && state.kind === 'dict';
  children.push([isPlain ? null : '__state__', state]);
  return children;
}

function everyChild(node: TorchNode): TorchValue[] {
  switch (node.kind) {
    case 'list':
    case 'tuple':
    case 'set':
      return [...node.items];
    case 'dict':
      return [...node.entries.flat(), node.attributes ?? null];
    case 'namespace':
      return [node.attributes];
    case 'object':
      return [
        node.callable,
        node.args,
        node.kwargs ?? null,
        ...(node.items ?? []),
        ...(node.entries ?? []).flat(),
        node.state ?? null,
      ];
    case 'parameter':
      return [node.data, node.hooks, node.state ?? null];
    case 'tensor':
      return [
        node.hooks,
        node.metadata ?? null,
        node.subclass?.type ?? null,
        node.subclass?.state ?? null,
      ];
    default:
      return [];
  }
}

function isNode(value: TorchValue): value is TorchNode {
  return typeof value === 'object' && value !== null;
}
