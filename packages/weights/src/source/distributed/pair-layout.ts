/** Pairs the tensors of a layout with those that files hold, cut as they are. */
import type { StoredSource } from '../../convert/compose-plan.js';
import type { StoredSpec } from '../../convert/logical-model.js';
import { missingTensors, unexpectedTensors } from '../tensor-checks.js';
import { cutSpec } from './cut-spec.js';
import type { BlockTensor } from './tensor-blocks.js';

/** What is paired. */
export interface LayoutSides {
  readonly layout: readonly StoredSpec[];
  readonly tensors: ReadonlyMap<string, BlockTensor>;
  /** Tensors that may be there without a use. */
  readonly isIgnored: (name: string) => boolean;
}

/**
 * Every tensor of the layout with the blocks of the one that has its name.
 *
 * Throws: `WEIGHTS_MISSING_TENSOR`, `WEIGHTS_UNEXPECTED_TENSOR`, `WEIGHTS_TENSOR_SHAPE`; `path` names the files.
 */
export function pairLayout(path: string, sides: LayoutSides): readonly StoredSource[] {
  const { layout, tensors, isIgnored } = sides;
  const missing = layout.map(({ name }) => name).filter((name) => !tensors.has(name));
  if (missing.length > 0) throw missingTensors(path, missing);
  const expected = new Set(layout.map(({ name }) => name));
  const extra = [...tensors.keys()].filter((name) => !expected.has(name) && !isIgnored(name));
  if (extra.length > 0) throw unexpectedTensors(path, extra);
  return layout.flatMap((spec) => {
    const tensor = tensors.get(spec.name);
    return tensor === undefined ? [] : cutSpec(spec, tensor);
  });
}
