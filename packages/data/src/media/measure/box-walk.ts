/** The outer boxes of an MP4 or QuickTime file. Source: ISO/IEC 14496-12. */
import type { ByteSource } from './byte-source.js';
import { MediaFault } from './media-fault.js';

/** What the outer boxes tell. */
export interface BoxFacts {
  /** Pictures come in fragments, so the index in the header counts none. */
  readonly isFragmented: boolean;
}

/** More than any real file has; fragments of an hour at two a second are 7,200 pairs. */
const MAX_BOXES = 200_000;

/**
 * Walks the outer boxes.
 *
 * Throws: {@link MediaFault} when a box ends past the file, which is a download that was cut off.
 */
export async function walkBoxes(source: ByteSource): Promise<BoxFacts> {
  let isFragmented = false;
  let at = 0;
  for (let i = 0; at + 8 <= source.bytes && i < MAX_BOXES; i++) {
    const head = await source.read(at, 16);
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
    const type = String.fromCharCode(...head.subarray(4, 8));
    const bytes = boxBytes(view, source.bytes - at);
    if (bytes < 8 || at + bytes > source.bytes) {
      throw new MediaFault('media_unreadable', `it is cut off or damaged in its '${type}' box`);
    }
    if (type === 'moof') isFragmented = true;
    at += bytes;
  }
  return { isFragmented };
}

/** Size 0 means up to the end, size 1 that a 64-bit size follows. */
function boxBytes(view: DataView, rest: number): number {
  const size = view.getUint32(0);
  if (size === 0) return rest;
  if (size !== 1) return size;
  return view.byteLength < 16 ? Number.POSITIVE_INFINITY : Number(view.getBigUint64(8));
}
