/**
 * The exact number of samples of an MP3 that says how much its encoder added at both ends.
 *
 * Players that cut these off (mpg123, which libsndfile uses, and ffmpeg) give this many samples.
 * Source: the Xing/Info header as LAME writes it.
 */
import type { ByteSource } from './byte-source.js';

/** The tag lies in the first frame, which begins within this after the ID3 tag. */
const SEARCH_BYTES = 4096;

/** Samples of one channel without padding; undefined when the file does not tell. */
export async function mp3Samples(source: ByteSource): Promise<number | undefined> {
  const start = await id3Bytes(source);
  const head = await source.read(start, SEARCH_BYTES);
  const text = Buffer.from(head.buffer, head.byteOffset, head.byteLength).toString('latin1');
  const sync = head.findIndex((byte, at) => byte === 0xff && ((head[at + 1] ?? 0) & 0xe6) === 0xe2);
  const tag = sync < 0 ? -1 : text.slice(0, sync + 64).search(/Xing|Info/);
  if (tag < 0 || tag + 144 > head.length) return undefined;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const flags = view.getUint32(tag + 4);
  if ((flags & 1) === 0) return undefined;
  const frames = view.getUint32(tag + 8);
  const encoder = tag + 8 + fieldBytes(flags);
  // Delay and padding share three bytes, twelve bits each.
  const both = view.getUint32(encoder + 20) % 2 ** 24;
  const added = Math.floor(both / 4096) + (both % 4096);
  const isMpeg1 = ((head[sync + 1] ?? 0) & 0x08) !== 0;
  const samples = frames * (isMpeg1 ? 1152 : 576) - added;
  return samples > 0 ? samples : undefined;
}

/** Frames, bytes, a table of places and a quality: each only where its flag is set. */
function fieldBytes(flags: number): number {
  return (flags & 1 ? 4 : 0) + (flags & 2 ? 4 : 0) + (flags & 4 ? 100 : 0) + (flags & 8 ? 4 : 0);
}

async function id3Bytes(source: ByteSource): Promise<number> {
  const head = await source.read(0, 10);
  if (head.length < 10 || String.fromCharCode(...head.subarray(0, 3)) !== 'ID3') return 0;
  // Four groups of seven bits.
  let size = 0;
  for (const byte of head.subarray(6, 10)) size = size * 128 + (byte % 128);
  return 10 + size;
}
