/** What a written file says of its tensors, read by the reader of its format and not by what planned it. */
import { SafetensorsReader, TORCH_DTYPES, TorchArchiveReader } from '@tuneyard/formats';
import type { TargetFile } from '../logical-model.js';

/** A tensor as its file declares it. */
export interface StoredTensor {
  /** As safetensors spells it. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
}

/** Reads the tensors' places of one file. Throws: what the format's reader throws. */
export async function readStoredLayout(
  path: string,
  format: TargetFile['format'],
): Promise<ReadonlyMap<string, StoredTensor>> {
  if (format === 'safetensors') {
    await using reader = await SafetensorsReader.open(path);
    return reader.tensors;
  }
  const archive = await TorchArchiveReader.open(path);
  try {
    return new Map(
      [...archive.tensors].map(([name, { dtype, shape, begin }]) => [
        name,
        { dtype: TORCH_DTYPES.get(dtype)?.safetensors ?? dtype, shape, begin },
      ]),
    );
  } finally {
    await archive.close();
  }
}
