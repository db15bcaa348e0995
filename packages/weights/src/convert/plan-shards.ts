/** Divides the tensors of a Hugging Face directory among safetensors files. */
import { TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../errors.js';
import type { ComposedTensor } from './compose-plan.js';
import type { ConvertedDtype, TargetFile, TargetTensor } from './logical-model.js';

/** `shards`: by size, as Hugging Face saves. `layers`: one file per layer, as MindSpeed-LLM names them. */
export type HfFileNaming = 'shards' | 'layers';

/** How files are made. */
export interface HfFileOptions {
  readonly naming: HfFileNaming;
  /** Largest file with `shards`; a larger single tensor has a file of its own. */
  readonly maxShardBytes: number;
}

/** Size of an element. */
export const DTYPE_BYTES: { readonly [D in ConvertedDtype]: number } = {
  F64: 8,
  I64: 8,
  F32: 4,
  I32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
};

/** Files and, where there is more than one, the text of `model.safetensors.index.json`. */
export interface HfFiles {
  readonly files: readonly TargetFile[];
  readonly index: string | null;
}

/** Plans the files of a directory; tensors keep their order. */
export function planHfFiles(composed: readonly ComposedTensor[], options: HfFileOptions): HfFiles {
  if (!(options.maxShardBytes > 0)) {
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_LAYOUT_UNPLACED,
      `A shard of ${options.maxShardBytes} bytes holds nothing`,
    );
  }
  const tensors = composed.map(({ tensor }) => tensor);
  const groups = options.naming === 'layers' ? byLayer(tensors) : bySize(tensors, options);
  const files = groups.map((group, at) => ({
    path: fileName(at, groups.length, options.naming),
    format: 'safetensors' as const,
    tensors: group,
    extra: { format: 'pt' },
  }));
  const single = options.naming === 'shards' && files.length === 1;
  return { files, index: single ? null : indexText(files) };
}

/** Bytes of a target tensor. */
export function targetBytes({ rows, cols, dtype }: TargetTensor): number {
  return rows * cols * DTYPE_BYTES[dtype];
}

function bySize(
  tensors: readonly TargetTensor[],
  { maxShardBytes }: HfFileOptions,
): readonly (readonly TargetTensor[])[] {
  const groups: TargetTensor[][] = [[]];
  let used = 0;
  for (const tensor of tensors) {
    const bytes = targetBytes(tensor);
    if (used > 0 && used + bytes > maxShardBytes) {
      groups.push([]);
      used = 0;
    }
    groups.at(-1)?.push(tensor);
    used += bytes;
  }
  return groups;
}

/** The first file also has what comes before the layers, the last what comes after. */
function byLayer(tensors: readonly TargetTensor[]): readonly (readonly TargetTensor[])[] {
  const groups: TargetTensor[][] = [];
  for (const tensor of tensors) {
    const layer = layerOf(tensor.name) ?? Math.max(0, groups.length - 1);
    while (groups.length <= layer) groups.push([]);
    groups[layer]?.push(tensor);
  }
  return groups.filter((group) => group.length > 0);
}

function layerOf(name: string): number | null {
  const digits = /\.(?:layers|h|blocks)\.(\d+)\./.exec(name)?.[1];
  return digits === undefined ? null : Number(digits);
}

function fileName(at: number, count: number, naming: HfFileNaming): string {
  if (naming === 'shards' && count === 1) return 'model.safetensors';
  const number = String(at + 1).padStart(5, '0');
  const total = String(count).padStart(naming === 'layers' ? 6 : 5, '0');
  return `model-${number}-of-${total}.safetensors`;
}

function indexText(files: readonly TargetFile[]): string {
  const weightMap: Record<string, string> = {};
  let total = 0;
  for (const { path, tensors } of files) {
    for (const tensor of tensors) {
      weightMap[tensor.name] = path;
      total += targetBytes(tensor);
    }
  }
  const index = { metadata: { total_size: total }, weight_map: weightMap };
  return `${JSON.stringify(index, null, 2)}\n`;
}
