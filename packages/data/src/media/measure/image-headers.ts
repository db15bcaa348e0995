/**
 * Sizes of pictures from their headers, with a walk over the file's structure: a file that is cut off or has
 * blocks that point outside it is refused, because the decoder would fail on it hours later.
 *
 * Pixels are not decoded. Reads past the end throw RangeError, which the caller reports as a cut-off file.
 */
import { exifOrientation } from './exif-orientation.js';

/** Width and height in pixels; orientation as in EXIF. */
export interface ImageHeader {
  readonly width: number;
  readonly height: number;
  readonly orientation: number;
}

/** A picture that breaks its format's rules; the message says how, for the reader of a report. */
export class ImageFault extends Error {}

/** PNG: chunks from IHDR to IEND. Source: W3C PNG specification, third edition. */
export function pngHeader(content: Uint8Array): ImageHeader {
  const view = viewOf(content);
  if (view.getUint32(8) !== 13 || ascii(content, 12, 4) !== 'IHDR') {
    throw new ImageFault('its first chunk is not IHDR');
  }
  let orientation = 1;
  let hasPixels = false;
  for (let at = 8; ; ) {
    const length = view.getUint32(at);
    const type = ascii(content, at + 4, 4);
    const end = at + 12 + length;
    if (end > content.length) throw new ImageFault(`it ends inside its ${type} chunk`);
    if (type === 'eXIf') orientation = exifOrientation(content.subarray(at + 8, end - 4));
    if (type === 'IDAT') hasPixels = true;
    if (type === 'IEND') break;
    at = end;
  }
  if (!hasPixels) throw new ImageFault('it has no pixels (no IDAT chunk)');
  return { width: view.getUint32(16), height: view.getUint32(20), orientation };
}

/** JPEG: segments up to the first scan, then an end marker. Source: ITU-T T.81, annex B. */
export function jpegHeader(content: Uint8Array): ImageHeader {
  const view = viewOf(content);
  let orientation = 1;
  let size: { width: number; height: number } | undefined;
  let at = nextSegment(view, 2);
  for (let marker = view.getUint8(at + 1); marker !== SOS && marker !== EOI; ) {
    const length = view.getUint16(at + 2);
    if (at + 2 + length > content.length) throw new ImageFault('it ends inside its header');
    const body = content.subarray(at + 4, at + 2 + length);
    if (isFrameMarker(marker)) {
      size = { height: view.getUint16(at + 5), width: view.getUint16(at + 7) };
    } else if (marker === APP1 && ascii(body, 0, 6) === 'Exif\0\0') {
      orientation = exifOrientation(body.subarray(6));
    }
    at = nextSegment(view, at + 2 + length);
    marker = view.getUint8(at + 1);
  }
  if (size === undefined) throw new ImageFault('it has no frame header');
  // A thumbnail in the header has an end marker of its own.
  const scans = content.subarray(at);
  if (Buffer.from(scans.buffer, scans.byteOffset, scans.length).lastIndexOf(END_BYTES) < 0) {
    throw new ImageFault('it is cut off (no end marker)');
  }
  return { ...size, orientation };
}

/** Where the next segment begins, past fill bytes and lone markers. */
function nextSegment(view: DataView, start: number): number {
  for (let at = start; ; ) {
    if (view.getUint8(at) !== 0xff) throw new ImageFault(`byte ${at} is not a marker`);
    const marker = view.getUint8(at + 1);
    if (marker !== 0xff && !isLoneMarker(marker)) return at;
    at += marker === 0xff ? 1 : 2;
  }
}

const SOS = 0xda;
const EOI = 0xd9;
const APP1 = 0xe1;
const END_BYTES = Buffer.from([0xff, EOI]);

function isLoneMarker(marker: number): boolean {
  return marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);
}

/** SOF0 to SOF15 without DHT, JPG and DAC, which share the range. */
function isFrameMarker(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

/** WebP: RIFF chunks. Source: RFC 9649. */
export function webpHeader(content: Uint8Array): ImageHeader {
  const view = viewOf(content);
  const end = view.getUint32(4, true) + 8;
  if (end > content.length) throw new ImageFault('it is cut off');
  let size: { width: number; height: number } | undefined;
  let orientation = 1;
  let hasPixels = false;
  for (let at = 12; at + 8 <= end; ) {
    const type = ascii(content, at, 4);
    const length = view.getUint32(at + 4, true);
    if (at + 8 + length > end) throw new ImageFault(`it ends inside its ${type} chunk`);
    const body = content.subarray(at + 8, at + 8 + length);
    if (type === 'EXIF') orientation = exifOrientation(withoutExifMark(body));
    size ??= webpSize(type, body);
    if (type === 'VP8 ' || type === 'VP8L' || type === 'ANMF') hasPixels = true;
    at += 8 + length + (length % 2);
  }
  if (size === undefined || !hasPixels) throw new ImageFault('it has no picture chunk');
  return { ...size, orientation };
}

function webpSize(type: string, body: Uint8Array): { width: number; height: number } | undefined {
  const view = viewOf(body);
  if (type === 'VP8X') return { width: 1 + uint24(view, 4), height: 1 + uint24(view, 7) };
  if (type === 'VP8 ') {
    if (uint24(view, 3) !== VP8_START_CODE) throw new ImageFault('its VP8 frame has no start code');
    return { width: view.getUint16(6, true) % 16384, height: view.getUint16(8, true) % 16384 };
  }
  if (type !== 'VP8L') return undefined;
  if (view.getUint8(0) !== VP8L_SIGNATURE) throw new ImageFault('its VP8L chunk has no signature');
  const bits = view.getUint32(1, true);
  return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) };
}

/** Bytes 9d 01 2a, little-endian. */
const VP8_START_CODE = 0x2a019d;
const VP8L_SIGNATURE = 0x2f;

/** Some writers put JPEG's mark before the TIFF block. */
function withoutExifMark(body: Uint8Array): Uint8Array {
  return ascii(body, 0, 6) === 'Exif\0\0' ? body.subarray(6) : body;
}

/** GIF: the canvas, and blocks up to the end of the first picture. Source: GIF89a specification. */
export function gifHeader(content: Uint8Array): ImageHeader {
  const view = viewOf(content);
  const flags = view.getUint8(10);
  let at = 13 + colorTableBytes(flags);
  for (;;) {
    const block = view.getUint8(at);
    if (block === 0x3b) throw new ImageFault('it holds no picture');
    if (block === 0x2c) {
      skipSubBlocks(view, at + 11 + colorTableBytes(view.getUint8(at + 9)));
      break;
    }
    if (block !== 0x21) throw new ImageFault(`byte ${at} begins no block`);
    at = skipSubBlocks(view, at + 2);
  }
  return { width: view.getUint16(6, true), height: view.getUint16(8, true), orientation: 1 };
}

function colorTableBytes(flags: number): number {
  return (flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1);
}

function skipSubBlocks(view: DataView, start: number): number {
  let at = start;
  for (let length = view.getUint8(at); length > 0; length = view.getUint8(at)) at += 1 + length;
  return at + 1;
}

/** BMP: either header, and for plain pixels their rows. */
export function bmpHeader(content: Uint8Array): ImageHeader {
  const view = viewOf(content);
  const isCore = view.getUint32(14, true) === 12;
  const width = isCore ? view.getUint16(18, true) : view.getInt32(18, true);
  // A negative height is a picture stored from the top.
  const height = Math.abs(isCore ? view.getUint16(20, true) : view.getInt32(22, true));
  const bits = view.getUint16(isCore ? 24 : 28, true);
  const isPlain = isCore || view.getUint32(30, true) === 0;
  const rowBytes = Math.ceil((width * bits) / 32) * 4;
  if (isPlain && view.getUint32(10, true) + rowBytes * height > content.length) {
    throw new ImageFault('it is cut off');
  }
  return { width, height, orientation: 1 };
}

function viewOf(content: Uint8Array): DataView {
  return new DataView(content.buffer, content.byteOffset, content.byteLength);
}

function uint24(view: DataView, at: number): number {
  return view.getUint16(at, true) + view.getUint8(at + 2) * 65536;
}

function ascii(content: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...content.subarray(at, at + length));
}
