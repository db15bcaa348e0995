/** Reads parts of a value by key, and turns plain values into JSON for comparisons and messages. */
import type { JsonValue } from '@tuneyard/core';
import { MAX_DEPTH } from './limits.js';
import { keyText } from './read/flatten-tensors.js';
import type { TorchEntry, TorchObject, TorchValue } from './value.js';

/** The value under a key of a dict or OrderedDict, or an attribute of a namespace; undefined when there is none. */
export function torchGet(container: TorchValue, key: string | number): TorchValue | undefined {
  return torchEntries(container).find(([found]) => found === key)?.[1];
}

/** Entries of a dict, attributes of a namespace or of an object; none for other values. */
export function torchEntries(container: TorchValue): readonly TorchEntry[] {
  if (container === null || typeof container !== 'object') return [];
  if (container.kind === 'dict') return container.entries;
  if (container.kind === 'namespace') return container.attributes.entries;
  if (container.kind !== 'object') return [];
  const { state } = container;
  return container.entries ?? (state === undefined ? [] : torchEntries(state));
}

/** An integer or float as a number; null for anything else, and for integers that a number cannot hold. */
export function torchNumber(value: TorchValue | undefined): number | null {
  if (typeof value === 'number') return value;
  if (value === null || typeof value !== 'object') return null;
  return value.kind === 'float' ? value.value : null;
}

/**
 * The value as JSON: numbers, strings, lists and objects as themselves, floats that JSON lacks and all else as text that
 * names them, such as `torch.bfloat16`, `AttnBackend(5)` or `tensor(bfloat16, [2, 4])`.
 */
export function torchToJson(value: TorchValue): JsonValue {
  return jsonOf(value, 0);
}

function jsonOf(value: TorchValue, depth: number): JsonValue {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return value.toString();
  if (depth > MAX_DEPTH) return '…';
  switch (value.kind) {
    case 'float':
      return Number.isFinite(value.value) ? value.value : String(value.value);
    case 'list':
    case 'tuple':
    case 'set':
      return value.items.map((item) => jsonOf(item, depth + 1));
    case 'dict':
    case 'namespace':
      return Object.fromEntries(
        torchEntries(value).map(([key, item]) => [keyText(key), jsonOf(item, depth + 1)]),
      );
    case 'global':
      return `${value.module}.${value.name}`;
    case 'object':
      return objectText(value, depth);
    case 'tensor':
      return `tensor(${value.dtype}, [${value.shape.join(', ')}])`;
    case 'parameter':
      return jsonOf(value.data, depth);
    case 'bytes':
      return `${value.type} of ${value.value.length}`;
    case 'storage':
      return `storage of ${value.byteLength} bytes`;
  }
}

function objectText(node: TorchObject, depth: number): string {
  const { callable, args } = node;
  const name = callable !== null && typeof callable === 'object' && callable.kind === 'global';
  const items =
    args !== null && typeof args === 'object' && args.kind === 'tuple' ? args.items : [];
  const shown = items.slice(0, 8).map((item) => JSON.stringify(jsonOf(item, depth + 1)));
  return `${name ? callable.name : 'object'}(${shown.join(', ')})`;
}
