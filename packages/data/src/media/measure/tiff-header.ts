/** Size of a TIFF or BigTIFF's first picture. Source: TIFF 6.0 and the BigTIFF extension. */
import { ImageFault, type ImageHeader } from './image-headers.js';

interface Layout {
  readonly view: DataView;
  readonly isLittle: boolean;
  readonly isBig: boolean;
}

interface Entry {
  readonly type: number;
  readonly count: number;
  /** Where the values are: in the entry when they fit it. */
  readonly at: number;
}

const WIDTH = 256;
const HEIGHT = 257;
const ORIENTATION = 274;
/** Offsets and byte counts, by strips or by tiles. */
const PIXEL_TAGS = [
  { offsets: 273, counts: 279 },
  { offsets: 324, counts: 325 },
];
/** Bytes of one value by type code; the rest cannot hold a size or an offset. */
const TYPE_BYTES: ReadonlyMap<number, number> = new Map([
  [3, 2],
  [4, 4],
  [13, 4],
  [16, 8],
]);
/** A real picture has fewer: one strip per row at most. */
const MAX_STRIPS = 1_000_000;

/** Reads the first directory and checks that its strips or tiles lie in the file. */
export function tiffHeader(content: Uint8Array): ImageHeader {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const isLittle = view.getUint16(0) === 0x4949;
  const layout: Layout = { view, isLittle, isBig: view.getUint16(2, isLittle) === 43 };
  const entries = directory(layout);
  const width = firstValue(layout, entries.get(WIDTH));
  const height = firstValue(layout, entries.get(HEIGHT));
  if (width === undefined || height === undefined) throw new ImageFault('it names no size');
  checkPixels(layout, entries);
  const turned = firstValue(layout, entries.get(ORIENTATION)) ?? 1;
  return { width, height, orientation: turned >= 1 && turned <= 8 ? turned : 1 };
}

function directory(layout: Layout): Map<number, Entry> {
  const { view, isLittle, isBig } = layout;
  const start = isBig ? wide(layout, 8) : view.getUint32(4, isLittle);
  const count = isBig ? wide(layout, start) : view.getUint16(start, isLittle);
  const [entryBytes, headBytes] = isBig ? [20, 8] : [12, 2];
  const entries = new Map<number, Entry>();
  for (let i = 0; i < count; i++) {
    const at = start + headBytes + i * entryBytes;
    const type = view.getUint16(at + 2, isLittle);
    const values = isBig ? wide(layout, at + 4) : view.getUint32(at + 4, isLittle);
    const inline = at + (isBig ? 12 : 8);
    const fits = values * (TYPE_BYTES.get(type) ?? 8) <= (isBig ? 8 : 4);
    const outside = isBig ? wide : (_: Layout, where: number) => view.getUint32(where, isLittle);
    const place = fits ? inline : outside(layout, inline);
    entries.set(view.getUint16(at, isLittle), { type, count: values, at: place });
  }
  return entries;
}

function checkPixels(layout: Layout, entries: ReadonlyMap<number, Entry>): void {
  for (const tags of PIXEL_TAGS) {
    const offsets = entries.get(tags.offsets);
    const counts = entries.get(tags.counts);
    if (offsets === undefined || counts === undefined) continue;
    if (offsets.count !== counts.count || offsets.count === 0 || offsets.count > MAX_STRIPS) {
      throw new ImageFault('its strips and their lengths do not match');
    }
    for (let i = 0; i < offsets.count; i++) {
      const end = (valueAt(layout, offsets, i) ?? 0) + (valueAt(layout, counts, i) ?? 0);
      if (end > layout.view.byteLength) throw new ImageFault('it is cut off');
    }
    return;
  }
  throw new ImageFault('it has no pixels');
}

function firstValue(layout: Layout, entry: Entry | undefined): number | undefined {
  return entry === undefined ? undefined : valueAt(layout, entry, 0);
}

function valueAt(layout: Layout, { type, at }: Entry, index: number): number | undefined {
  const bytes = TYPE_BYTES.get(type);
  if (bytes === undefined) return undefined;
  const where = at + index * bytes;
  if (bytes === 8) return wide(layout, where);
  const { view, isLittle } = layout;
  return bytes === 2 ? view.getUint16(where, isLittle) : view.getUint32(where, isLittle);
}

/** A 64-bit number; past 2⁵³ it is past any file, so it reads as the end of one. */
function wide({ view, isLittle }: Layout, at: number): number {
  const value = view.getBigUint64(at, isLittle);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : Number.MAX_SAFE_INTEGER;
}
