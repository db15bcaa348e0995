/** Lays out a target file, so that the bytes of its tensors can be written in any order. */
import { basename, extname } from 'node:path';
import {
  type FileSkeleton,
  planSafetensorsSkeleton,
  planTorchArchive,
  type TorchValue,
} from '@tuneyard/formats';
import type { TargetFile } from '../logical-model.js';
import { badPlan } from './check-plan.js';
import { ELEMENT_BYTES } from './element-sizes.js';

/**
 * Lays out one target file by the planner of its format.
 *
 * Throws: `WEIGHTS_CONVERT_PLAN` when the file's other contents speak of tensors that the plan does not write, or not of
 * one that it does; what the format's planner throws.
 */
export function planSkeleton(file: TargetFile): FileSkeleton {
  const skeleton = file.format === 'torch' ? torchSkeleton(file) : safetensorsSkeleton(file);
  for (const { name, rows, cols, dtype } of file.tensors) {
    const bytes = rows * cols * ELEMENT_BYTES[dtype];
    if (skeleton.tensors.get(name)?.byteLength === bytes) continue;
    throw badPlan(`${file.path} has no room for the ${bytes} bytes of tensor ${name}`);
  }
  if (skeleton.tensors.size !== file.tensors.length) {
    const names = new Set(file.tensors.map(({ name }) => name));
    const extra = [...skeleton.tensors.keys()].find((name) => !names.has(name));
    throw badPlan(`${file.path} has a tensor ${extra} that the plan does not write`);
  }
  return skeleton;
}

function safetensorsSkeleton({ path, tensors, extra }: TargetFile): FileSkeleton {
  const metadata = (extra ?? {}) as Readonly<Record<string, string>>;
  return planSafetensorsSkeleton(tensors, metadata, path);
}

/** The archive is named after the file, as torch does it. */
function torchSkeleton({ path, extra }: TargetFile): FileSkeleton {
  const archiveName = basename(path, extname(path));
  return planTorchArchive({ root: extra as TorchValue, archiveName });
}
