/** Facts of distributed checkpoints: of PyTorch, FSDP, or Megatron's torch_dist. */
import { TuneyardError } from '@tuneyard/core';
import {
  type DistributedCheckpoint,
  openDistributedCheckpoint,
  readDistributedTensor,
  type SafetensorsDtype,
  TORCH_DTYPES,
} from '@tuneyard/formats';
import { CLI_ERRORS } from '../errors.js';
import { visibleText } from '../terminal/visible-text.js';
import { decodeValues } from './decode-values.js';
import { tensorSection, tensorTotals, unknownTensor } from './inspect-safetensors.js';
import { TORCH_DTYPE_NAMES } from './inspect-torch.js';
import type { Inspection, TensorTable } from './inspection.js';

/** Inspects a directory. Throws: `DCP_…`. */
export async function inspectDistributed(directory: string): Promise<Inspection> {
  const checkpoint = await openDistributedCheckpoint(directory);
  const tensors = tensorTable(checkpoint);
  const chunks = [...checkpoint.tensors.values()].reduce((sum, t) => sum + t.chunks.length, 0);
  const { backend, objects } = checkpoint;
  return {
    kind: 'distributed checkpoint',
    sections: [
      tensorSection(tensors.lines, 1),
      {
        title: 'Checkpoint',
        facts: [
          ['chunks', String(chunks)],
          ['written by', backend === null ? 'PyTorch' : `Megatron (${backend.shardedBackend})`],
          ['other entries', String(objects.size)],
        ],
      },
    ],
    document: { ...tensorTotals(tensors.lines), chunks, backend, objects: [...objects.keys()] },
    tensors,
    problems: [],
    close: () => Promise.resolve(),
  };
}

function tensorTable(checkpoint: DistributedCheckpoint): TensorTable {
  return {
    lines: [...checkpoint.tensors.values()].map(({ name, dtype, shape }) => {
      const elements = shape.reduce((product, size) => product * size, 1);
      const byteLength = elements * (TORCH_DTYPES.get(dtype)?.bytes ?? 1);
      return { name: visibleText(name), dtype, shape, elements, byteLength };
    }),
    shapeTitle: 'shape',
    readValues: async (name) => {
      const tensor = checkpoint.tensors.get(name);
      if (tensor === undefined) throw unknownTensor(name, [...checkpoint.tensors.keys()]);
      const dtype = dtypeOf(name, tensor.dtype);
      return decodeValues({ name, dtype }, await readDistributedTensor(checkpoint, name));
    },
  };
}

function dtypeOf(name: string, dtype: string): SafetensorsDtype {
  const known = TORCH_DTYPE_NAMES[dtype];
  if (known !== undefined) return known;
  throw new TuneyardError(
    CLI_ERRORS.CLI_INVALID_VALUE,
    `Statistics of ${dtype} tensors are not supported`,
    { details: { tensor: name, allowed: Object.keys(TORCH_DTYPE_NAMES) } },
  );
}
