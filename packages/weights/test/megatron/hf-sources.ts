/** Tensors of a Hugging Face directory that is not on a disk. */
import type { StoredSource } from '../../src/convert/compose-plan.js';
import { hfLayout, hfStyleOf } from '../../src/convert/hf-layout.js';
import { ignorableTensors } from '../../src/convert/hf-tensor-check.js';
import type { LogicalModel, SourceTensor } from '../../src/convert/logical-model.js';
import { matchSources } from '../../src/convert/plan-sources.js';

/** Each logical tensor by the family's names. Throws as {@link matchSources}. */
export function hfSources(
  model: LogicalModel,
  tensors: readonly SourceTensor[],
): readonly StoredSource[] {
  const style = hfStyleOf(
    model,
    tensors.map(({ name }) => name),
  );
  return matchSources(
    hfLayout(model, { style }),
    tensors.map((tensor) => ({ shard: '', tensor })),
    { isIgnored: ignorableTensors(model) },
  );
}
