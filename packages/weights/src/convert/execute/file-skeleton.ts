/** Where the tensors of a target file go, known before a byte of them is. */
import type { TargetFile } from '../logical-model.js';
import { badPlan } from './check-plan.js';
import { ELEMENT_BYTES } from './element-sizes.js';

/** A file without its tensors' bytes, which may be written in any order. */
export interface FileSkeleton {
  /** Bytes of the whole file. */
  readonly size: number;
  readonly tensors: ReadonlyMap<string, { readonly begin: number; readonly byteLength: number }>;
  /** All other bytes of the file, given the CRC-32 of each tensor where the format has them. */
  fixed(
    crcs: ReadonlyMap<string, number>,
  ): readonly { readonly at: number; readonly bytes: Uint8Array }[];
}

/** Lays out one target file. Throws: `WEIGHTS_CONVERT_PLAN`, and what the format's planner throws. */
export function planSkeleton(file: TargetFile): FileSkeleton {
  if (file.format === 'torch') throw badPlan(`${file.path}: torch archives are not written yet`);
  return planSafetensors(file);
}

function planSafetensors(file: TargetFile): FileSkeleton {
  const order = [...file.tensors].sort((a, b) => ELEMENT_BYTES[b.dtype] - ELEMENT_BYTES[a.dtype]);
  const metadata = file.extra ?? {};
  const fields =
    Object.keys(metadata).length > 0 ? [`"__metadata__":${JSON.stringify(metadata)}`] : [];
  const offsets = new Map<string, { begin: number; byteLength: number }>();
  let end = 0;
  for (const { name, dtype, shape, rows, cols } of order) {
    const begin = end;
    end += rows * cols * ELEMENT_BYTES[dtype];
    offsets.set(name, { begin, byteLength: end - begin });
    fields.push(
      `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`,
    );
  }
  const json = Buffer.from(`{${fields.join(',')}}`);
  const jsonBytes = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + jsonBytes).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(jsonBytes), true);
  header.set(json, 8);
  const tensors = new Map(
    [...offsets].map(([name, { begin, byteLength }]) => [
      name,
      { begin: header.length + begin, byteLength },
    ]),
  );
  return { size: header.length + end, tensors, fixed: () => [{ at: 0, bytes: header }] };
}
