/** Compares the tensors of an opened checkpoint with the layout that its configuration implies. */
import { checkShape, missingTensors, unexpectedTensors } from '../source/tensor-checks.js';
import { requireTable } from './hf-layout.js';
import type { LogicalModel, StoredSpec } from './logical-model.js';

/** A tensor whose shape is not the layout's. */
export interface ShapeDifference {
  readonly name: string;
  readonly found: readonly number[];
  readonly expected: readonly number[];
}

/** How the tensors of files differ from a layout. All lists are empty when they are the same. */
export interface StoredTensorCheck {
  readonly missing: readonly string[];
  /** In the files, belonging to nothing. */
  readonly unexpected: readonly string[];
  readonly wrongShape: readonly ShapeDifference[];
  /** In the files, known to carry nothing that a conversion moves: no difference. */
  readonly ignored: readonly string[];
}

/** Tensors by name, as readers of safetensors and torch archives give them. */
export type StoredShapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/** Compares; with `isIgnorable` left out, every tensor beyond the layout is unexpected. */
export function checkStoredTensors(
  layout: readonly StoredSpec[],
  tensors: StoredShapes,
  isIgnorable: (name: string) => boolean = () => false,
): StoredTensorCheck {
  const expected = new Set(layout.map((spec) => spec.name));
  const extra = [...tensors.keys()].filter((name) => !expected.has(name));
  return {
    missing: [...expected].filter((name) => !tensors.has(name)),
    unexpected: extra.filter((name) => !isIgnorable(name)),
    wrongShape: layout.flatMap(({ name, shape }) => {
      const found = tensors.get(name)?.shape;
      return found === undefined || isSame(found, shape) ? [] : [{ name, found, expected: shape }];
    }),
    ignored: extra.filter(isIgnorable),
  };
}

/**
 * Tells which tensors of a model's files a conversion leaves out: stored rotary frequencies, the copy of a tied
 * head, and layers after the last that predict further tokens.
 */
export function ignorableTensors(model: LogicalModel): (name: string) => boolean {
  const table = requireTable(model.family);
  const head = table.stored.find((rule) => rule.roles.includes('head'))?.name;
  const tied = model.sizes.tiedEmbeddings ? head?.replace('{part}', 'weight') : undefined;
  const { layers, extraLayers = 0 } = model.sizes;
  return (name) => {
    if (name === tied || table.ignorable.some((form) => form.test(name))) return true;
    const layer = Number(/^model\.layers\.(\d+)\./.exec(name)?.[1] ?? -1);
    return layer >= layers && layer < layers + extraLayers;
  };
}

/**
 * Compares and refuses files that differ; returns the names that are left out.
 *
 * `path` names the checkpoint in messages. Throws: `WEIGHTS_MISSING_TENSOR`, `WEIGHTS_UNEXPECTED_TENSOR`,
 * `WEIGHTS_TENSOR_SHAPE`.
 */
export function requireStoredTensors(
  path: string,
  model: LogicalModel,
  files: { readonly layout: readonly StoredSpec[]; readonly tensors: StoredShapes },
): readonly string[] {
  const check = checkStoredTensors(files.layout, files.tensors, ignorableTensors(model));
  if (check.missing.length > 0) throw missingTensors(path, check.missing);
  if (check.unexpected.length > 0) throw unexpectedTensors(path, check.unexpected);
  for (const { name, ...shapes } of check.wrongShape) checkShape(path, name, shapes);
  return check.ignored;
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}
