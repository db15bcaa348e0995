/** Finds the tensors of a layout among those that files hold. */
import { TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../errors.js';
import { type StoredSource, storedView } from './compose-plan.js';
import type { SourceTensor, StoredSpec } from './logical-model.js';

/** A tensor of a file with the shard that the layout knows the file by (`''` where it does not matter). */
export interface LocatedTensor {
  readonly shard: string;
  readonly tensor: SourceTensor;
}

/** What files may differ in from the layout. */
export interface MatchOptions {
  /** Other names that a tensor may have, tried in order when its own is not there. */
  readonly otherNames?: (name: string) => readonly string[];
  /** Tensors that may be missing (a copy whose original is read anyway). */
  readonly isOptional?: (spec: StoredSpec) => boolean;
  /** Tensors of files that no layout has a use for. */
  readonly isIgnored?: (name: string) => boolean;
}

/** How many names a message lists. */
const NAMES_LISTED = 5;

/**
 * Pairs each tensor of a layout with the one that a file holds, in the order of the layout.
 *
 * Throws: `WEIGHTS_MISSING_TENSOR`, `WEIGHTS_UNEXPECTED_TENSOR`, `WEIGHTS_TENSOR_SHAPE`.
 */
export function matchSources(
  specs: readonly StoredSpec[],
  located: readonly LocatedTensor[],
  options: MatchOptions = {},
): readonly StoredSource[] {
  const stored = new Map(located.map((item) => [keyOf(item.shard, item.tensor.name), item]));
  const used = new Set<string>();
  const missing: StoredSpec[] = [];
  const matched: StoredSource[] = [];
  for (const spec of specs) {
    const names = [spec.name, ...(options.otherNames?.(spec.name) ?? [])];
    const key = names.map((name) => keyOf(spec.shard, name)).find((name) => stored.has(name));
    const found = key === undefined ? undefined : stored.get(key);
    if (key === undefined || found === undefined) {
      if (options.isOptional?.(spec) !== true) missing.push(spec);
      continue;
    }
    used.add(key);
    matched.push({ spec, tensor: viewedAs(spec, found.tensor) });
  }
  if (missing.length > 0) {
    const names = missing.map(({ shard, name }) => describeName(shard, name));
    throw failure(WEIGHTS_ERRORS.WEIGHTS_MISSING_TENSOR, 'The checkpoint lacks', names);
  }
  const left = located.filter(
    ({ shard, tensor }) =>
      !used.has(keyOf(shard, tensor.name)) && options.isIgnored?.(tensor.name) !== true,
  );
  if (left.length > 0) {
    const names = left.map(({ shard, tensor }) => describeName(shard, tensor.name));
    throw failure(
      WEIGHTS_ERRORS.WEIGHTS_UNEXPECTED_TENSOR,
      'The checkpoint holds what the layout does not explain:',
      names,
    );
  }
  return matched;
}

/** A stored tensor's name as messages say it. */
export function describeName(shard: string, name: string): string {
  const readable = name.replaceAll('\u001f', ' / ');
  return shard === '' ? readable : `${shard}: ${readable}`;
}

/** The tensor in the view of its rectangles. */
function viewedAs(spec: StoredSpec, tensor: SourceTensor): SourceTensor {
  const { view: _, ...natural } = spec;
  const { rows, cols } = storedView(natural);
  if (tensor.rows !== rows || tensor.cols !== cols) {
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_TENSOR_SHAPE,
      `${tensor.file}: ${describeName(spec.shard, tensor.name)} is ${tensor.rows} × ${tensor.cols}; its layout asks for ${rows} × ${cols}`,
      { details: { file: tensor.file, tensor: tensor.name } },
    );
  }
  return { ...tensor, ...storedView(spec) };
}

function keyOf(shard: string, name: string): string {
  return `${shard}\u0000${name}`;
}

function failure(code: string, what: string, names: readonly string[]): TuneyardError {
  const listed = names.slice(0, NAMES_LISTED).join(', ');
  const more = names.length > NAMES_LISTED ? ` and ${names.length - NAMES_LISTED} more` : '';
  return new TuneyardError(code, `${what} ${listed}${more}`, {
    details: { tensors: names.slice(0, NAMES_LISTED), count: names.length },
  });
}
