/** Plans a safetensors file for whoever moves the bytes of its tensors. */
import type { FileSkeleton } from '../io/file-skeleton.js';
import type { TensorSpec } from './layout.js';
import { planSafetensorsFile } from './plan.js';

/** A tensor to be written, without its bytes. */
export type SafetensorsSkeletonEntry = TensorSpec;

/**
 * Plans one file; the same layout as `writeSafetensors` gives.
 *
 * Throws: as `planSafetensorsFile`; `where` names the file in messages.
 */
export function planSafetensorsSkeleton(
  entries: readonly SafetensorsSkeletonEntry[],
  metadata: Readonly<Record<string, string>>,
  where: string,
): FileSkeleton {
  // The planner asks for bytes only to compare their length; a producer is never called.
  const withData = entries.map((entry) => ({ ...entry, data: neverProduced }));
  const { header, entries: planned } = planSafetensorsFile(withData, metadata, where);
  let begin = header.length;
  const tensors = new Map(
    planned.map(({ name, byteLength }) => {
      const range = { begin, byteLength };
      begin += byteLength;
      return [name, range];
    }),
  );
  return { size: begin, tensors, needsCrc: false, fixed: () => [{ at: 0, bytes: header }] };
}

async function neverProduced(): Promise<Uint8Array> {
  return new Uint8Array(0);
}
