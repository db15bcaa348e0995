/** What kind of file it is, by its first bytes; names are only compared with the answer. */
import type { MediaFormat, MediaKind } from '../media-types.js';

/** A recognised file: a format that is measured, or the name of one that is not. */
export type SniffedFormat =
  | { readonly format: MediaFormat; readonly kinds: readonly MediaKind[] }
  | { readonly unsupported: string };

const IMAGE: readonly MediaKind[] = ['image'];
const AUDIO: readonly MediaKind[] = ['audio'];
const TRACKS: readonly MediaKind[] = ['video', 'audio'];

/** Recognises a file; undefined when its first bytes are of no known kind. */
export function sniffFormat(head: Uint8Array): SniffedFormat | undefined {
  const text = Buffer.from(head.buffer, head.byteOffset, head.byteLength).toString('latin1');
  if (text.startsWith('RIFF') || text.startsWith('RF64')) return riff(text.slice(8, 12));
  if (text.slice(4, 8) === 'ftyp') return isoMedia(text.slice(8, 12));
  for (const [start, found] of BY_START) if (text.startsWith(start)) return found;
  return byBits(head);
}

const BY_START: readonly (readonly [string, SniffedFormat])[] = [
  ['\x89PNG\r\n\x1a\n', { format: 'png', kinds: IMAGE }],
  ['\xff\xd8\xff', { format: 'jpeg', kinds: IMAGE }],
  ['GIF87a', { format: 'gif', kinds: IMAGE }],
  ['GIF89a', { format: 'gif', kinds: IMAGE }],
  ['BM', { format: 'bmp', kinds: IMAGE }],
  ['II*\0', { format: 'tiff', kinds: IMAGE }],
  ['MM\0*', { format: 'tiff', kinds: IMAGE }],
  ['II+\0', { format: 'tiff', kinds: IMAGE }],
  ['MM\0+', { format: 'tiff', kinds: IMAGE }],
  ['\x1aE\xdf\xa3', { format: 'matroska', kinds: TRACKS }],
  ['OggS', { format: 'ogg', kinds: TRACKS }],
  ['fLaC', { format: 'flac', kinds: AUDIO }],
  ['ID3', { format: 'mp3', kinds: AUDIO }],
  ['\x00\x00\x00\x0cjP  ', { unsupported: 'a JPEG 2000 picture' }],
  ['<svg', { unsupported: 'an SVG drawing' }],
  ['<?xml', { unsupported: 'XML text' }],
  ['<!DOCTYPE', { unsupported: 'a web page' }],
  ['<html', { unsupported: 'a web page' }],
  ['version https://git-lfs', { unsupported: 'a Git LFS pointer, not the file itself' }],
  ['%PDF', { unsupported: 'a PDF document' }],
  ['PK\x03\x04', { unsupported: 'a ZIP archive' }],
];

function riff(form: string): SniffedFormat | undefined {
  if (form === 'WEBP') return { format: 'webp', kinds: IMAGE };
  if (form === 'WAVE') return { format: 'wav', kinds: AUDIO };
  return form === 'AVI ' ? { format: 'avi', kinds: TRACKS } : undefined;
}

function isoMedia(brand: string): SniffedFormat {
  if (/^(heic|heix|heim|mif1|msf1)$/.test(brand)) return { unsupported: 'a HEIC picture' };
  if (/^avi[fs]$/.test(brand)) return { unsupported: 'an AVIF picture' };
  return { format: brand === 'qt  ' ? 'mov' : 'mp4', kinds: TRACKS };
}

/** MPEG audio and ADTS begin with sync bits, a transport stream with a byte every 188. */
function byBits(head: Uint8Array): SniffedFormat | undefined {
  const [first = 0, second = 0] = head;
  if (first === 0xff && (second & 0xf6) === 0xf0) return { format: 'aac', kinds: AUDIO };
  if (first === 0xff && (second & 0xe0) === 0xe0) return { format: 'mp3', kinds: AUDIO };
  return first === 0x47 ? { format: 'mpeg-ts', kinds: TRACKS } : undefined;
}

const FORMATS_BY_EXTENSION: ReadonlyMap<string, readonly MediaFormat[]> = new Map([
  ['.png', ['png']],
  ['.jpg', ['jpeg']],
  ['.jpeg', ['jpeg']],
  ['.webp', ['webp']],
  ['.gif', ['gif']],
  ['.bmp', ['bmp']],
  ['.tif', ['tiff']],
  ['.tiff', ['tiff']],
  ['.mp4', ['mp4', 'mov']],
  ['.m4v', ['mp4', 'mov']],
  ['.m4a', ['mp4', 'mov']],
  ['.mov', ['mov', 'mp4']],
  ['.mkv', ['matroska', 'webm']],
  ['.webm', ['webm', 'matroska']],
  ['.avi', ['avi']],
  ['.ts', ['mpeg-ts']],
  ['.wav', ['wav']],
  ['.mp3', ['mp3']],
  ['.flac', ['flac']],
  ['.ogg', ['ogg']],
  ['.oga', ['ogg']],
  ['.opus', ['ogg']],
  ['.aac', ['aac']],
]);

/** The formats that files with this extension (with its dot, lower case) have; undefined for an unknown one. */
export function formatsOfExtension(extension: string): readonly MediaFormat[] | undefined {
  return FORMATS_BY_EXTENSION.get(extension);
}
