/** The boxes of an MP4 or QuickTime file that measuring needs. Source: ISO/IEC 14496-12. */
import type { ByteSource } from './byte-source.js';
import { MediaFault } from './media-fault.js';

/** What the boxes tell. */
export interface BoxFacts {
  /** Pictures come in fragments, so the index in the header counts none. */
  readonly isFragmented: boolean;
  /**
   * Length of the first picture track as ffmpeg tells it: that of its media or of its edit list, whichever is shorter.
   * Null where the header has none.
   */
  readonly videoSeconds: number | null;
}

/** More than any real file has; fragments of an hour at two a second are 7,200 pairs. */
const MAX_BOXES = 200_000;
/** Editors write a handful; more than this is no edit list of a film. */
const MAX_EDITS = 10_000;

interface Box {
  readonly type: string;
  /** Of the content, after the size and type. */
  readonly start: number;
  readonly end: number;
}

/**
 * Walks the outer boxes and the heads of tracks.
 *
 * Throws: {@link MediaFault} when a box ends past the file, which is a download that was cut off; RangeError when a box
 * is shorter than its fields.
 */
export async function walkBoxes(source: ByteSource): Promise<BoxFacts> {
  const outer = await childBoxes(source, { type: 'file', start: 0, end: source.bytes });
  const movie = outer.find(({ type }) => type === 'moov');
  const isFragmented = outer.some(({ type }) => type === 'moof');
  const seconds = movie === undefined ? null : await firstVideoSeconds(source, movie);
  return { isFragmented, videoSeconds: seconds };
}

async function firstVideoSeconds(source: ByteSource, movie: Box): Promise<number | null> {
  const inMovie = await childBoxes(source, movie);
  const movieHead = inMovie.find(({ type }) => type === 'mvhd');
  if (movieHead === undefined) return null;
  const { timescale: movieScale } = await readTimes(source, movieHead);
  for (const track of inMovie.filter(({ type }) => type === 'trak')) {
    const parts = await childBoxes(source, track);
    const media = parts.find(({ type }) => type === 'mdia');
    const inMedia = media === undefined ? [] : await childBoxes(source, media);
    const handler = inMedia.find(({ type }) => type === 'hdlr');
    const head = inMedia.find(({ type }) => type === 'mdhd');
    if (handler === undefined || head === undefined) continue;
    if (ascii(await source.read(handler.start + 8, 4)) !== 'vide') continue;
    const { timescale, duration } = await readTimes(source, head);
    const edits = await readEdits(source, parts);
    const edited = edits.reduce(
      (sum, ticks) => sum + Math.round((ticks * timescale) / movieScale),
      0,
    );
    const ticks = edits.length === 0 ? duration : Math.min(duration, edited);
    return ticks > 0 && timescale > 0 ? ticks / timescale : null;
  }
  return null;
}

/** Timescale and duration of `mvhd` or `mdhd`. */
async function readTimes(
  source: ByteSource,
  { start }: Box,
): Promise<{ readonly timescale: number; readonly duration: number }> {
  const view = viewOf(await source.read(start, 32));
  if (view.getUint8(0) === 0)
    return { timescale: view.getUint32(12), duration: view.getUint32(16) };
  return { timescale: view.getUint32(20), duration: Number(view.getBigUint64(24)) };
}

/** Lengths of a track's edits in the movie's timescale, but for the empty ones that delay it. */
async function readEdits(source: ByteSource, parts: readonly Box[]): Promise<number[]> {
  const edits = parts.find(({ type }) => type === 'edts');
  if (edits === undefined) return [];
  const list = (await childBoxes(source, edits)).find(({ type }) => type === 'elst');
  if (list === undefined) return [];
  const view = viewOf(await source.read(list.start, list.end - list.start));
  const isWide = view.getUint8(0) === 1;
  const count = view.getUint32(4);
  if (count > MAX_EDITS) throw new MediaFault('media_unreadable', `it has ${count} edits`);
  const lengths: number[] = [];
  for (let i = 0; i < count; i++) {
    const at = 8 + i * (isWide ? 20 : 12);
    const length = isWide ? Number(view.getBigUint64(at)) : view.getUint32(at);
    const from = isWide ? Number(view.getBigInt64(at + 8)) : view.getInt32(at + 4);
    if (from !== -1 && length > 0) lengths.push(length);
  }
  return lengths;
}

async function childBoxes(source: ByteSource, parent: Box): Promise<Box[]> {
  const boxes: Box[] = [];
  for (let at = parent.start; at + 8 <= parent.end && boxes.length < MAX_BOXES; ) {
    const head = await source.read(at, 16);
    const type = ascii(head.subarray(4, 8));
    const bytes = boxBytes(viewOf(head), parent.end - at);
    if (bytes < 8 || at + bytes > parent.end) {
      throw new MediaFault('media_unreadable', `it is cut off or damaged in its '${type}' box`);
    }
    boxes.push({ type, start: at + 8, end: at + bytes });
    at += bytes;
  }
  return boxes;
}

/** Size 0 means up to the end, size 1 that a 64-bit size follows. */
function boxBytes(view: DataView, rest: number): number {
  const size = view.getUint32(0);
  if (size === 0) return rest;
  if (size !== 1) return size;
  return view.byteLength < 16 ? Number.POSITIVE_INFINITY : Number(view.getBigUint64(8));
}

function viewOf(content: Uint8Array): DataView {
  return new DataView(content.buffer, content.byteOffset, content.byteLength);
}

function ascii(content: Uint8Array): string {
  return String.fromCharCode(...content);
}
