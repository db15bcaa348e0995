/** Sizes and lengths from an AVI's header list. Source: Microsoft's AVI RIFF file reference. */
import type { ByteSource } from './byte-source.js';
import { MediaFault } from './media-fault.js';

/** One track of an AVI. */
export interface AviTrack {
  readonly type: 'video' | 'audio';
  /** Units in the track: pictures of a video, blocks of a sound. */
  readonly length: number;
  /** Of the whole track. */
  readonly seconds: number;
  readonly width: number;
  readonly height: number;
  readonly sampleRate: number;
  readonly channels: number;
}

/** Header lists of real files are a few KB; OpenDML indexes can follow in them. */
const HEADER_BYTES = 256 * 1024;

/**
 * Reads the tracks of an AVI.
 *
 * Throws: {@link MediaFault} when the header is damaged or the file is cut off; RangeError past its end.
 */
export async function aviTracks(source: ByteSource): Promise<AviTrack[]> {
  const head = await source.read(0, HEADER_BYTES);
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (view.getUint32(4, true) + 8 > source.bytes) {
    throw new MediaFault('media_unreadable', 'the avi is damaged: it is cut off');
  }
  if (fourCc(view, 12) !== 'LIST' || fourCc(view, 20) !== 'hdrl') {
    throw new MediaFault('media_unreadable', 'the avi is damaged: it has no header list');
  }
  const tracks: AviTrack[] = [];
  const end = Math.min(head.length, 20 + view.getUint32(16, true));
  for (let at = 24; at + 12 <= end; ) {
    const bytes = view.getUint32(at + 4, true);
    if (fourCc(view, at) === 'LIST' && fourCc(view, at + 8) === 'strl') {
      const track = readTrack(view, at + 12, at + 8 + bytes);
      if (track !== undefined) tracks.push(track);
    }
    at += 8 + bytes + (bytes % 2);
  }
  return tracks;
}

function readTrack(view: DataView, start: number, end: number): AviTrack | undefined {
  let stream: Pick<AviTrack, 'type' | 'length' | 'seconds'> | undefined;
  for (let at = start; at + 8 <= end; ) {
    const name = fourCc(view, at);
    const bytes = view.getUint32(at + 4, true);
    const body = at + 8;
    if (name === 'strh') {
      const type = TYPES.get(fourCc(view, body));
      if (type === undefined) return undefined;
      const length = view.getUint32(body + 32, true);
      // A unit lasts scale / rate seconds; divided last, so that it is rounded once.
      const seconds = (length * view.getUint32(body + 20, true)) / view.getUint32(body + 24, true);
      stream = { type, length, seconds };
    }
    if (name === 'strf' && stream !== undefined)
      return { ...stream, ...format(view, body, stream.type) };
    at = body + bytes + (bytes % 2);
  }
  return undefined;
}

const TYPES: ReadonlyMap<string, 'video' | 'audio'> = new Map([
  ['vids', 'video'],
  ['auds', 'audio'],
]);

function format(
  view: DataView,
  at: number,
  type: AviTrack['type'],
): Pick<AviTrack, 'width' | 'height' | 'sampleRate' | 'channels'> {
  if (type === 'audio') {
    const sampleRate = view.getUint32(at + 4, true);
    return { width: 0, height: 0, sampleRate, channels: view.getUint16(at + 2, true) };
  }
  const height = Math.abs(view.getInt32(at + 8, true));
  return { width: view.getInt32(at + 4, true), height, sampleRate: 0, channels: 0 };
}

function fourCc(view: DataView, at: number): string {
  return String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + at, 4));
}
