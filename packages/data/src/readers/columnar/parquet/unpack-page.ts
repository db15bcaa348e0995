/** Unpacks Parquet pages into memory of exactly the declared size, which was checked before. */
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import type { CompressionCodec } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { MAX_EXPANSION, MAX_PAGE_BYTES, PAGE_EXPANSION_FLOOR_BYTES } from '../../limits.js';
import { unpackZstd } from '../../streams/unpack-zstd.js';

/**
 * Unpacks a page. The result has its own memory, so that a decoder that runs past its end cannot see other pages.
 *
 * Throws: `Error` when the sizes cannot be true or the bytes are not of the codec.
 */
export function unpackPage(packed: Buffer, length: number, codec: CompressionCodec): Buffer {
  const limit = Math.max(PAGE_EXPANSION_FLOOR_BYTES, packed.length * MAX_EXPANSION);
  if (!(length >= 0) || length > Math.min(limit, MAX_PAGE_BYTES)) {
    throw new Error(`a page of ${packed.length} bytes declares ${length} unpacked`);
  }
  const page = unpackWith(codec, packed, length);
  if (page.length === length) return page;
  throw new Error(`a page declares ${length} bytes unpacked and holds ${page.length}`);
}

function unpackWith(codec: CompressionCodec, packed: Buffer, length: number): Buffer {
  // Zero bytes are what an empty page becomes; the libraries take 0 for no limit.
  const options = { maxOutputLength: Math.max(length, 1) };
  switch (codec) {
    case 'UNCOMPRESSED':
      return packed;
    case 'GZIP':
      return gunzipSync(packed, options);
    case 'BROTLI':
      return brotliDecompressSync(packed, options);
    case 'ZSTD':
      return unpackZstd(packed, length);
    case 'SNAPPY':
      if (snappyLength(packed) !== length) throw new Error('a page is not of the size it declares');
      return unpackWithLibrary(codec, packed, length);
    case 'LZ4':
    case 'LZ4_RAW':
      return unpackWithLibrary(codec, packed, length);
    default:
      throw new Error(`the compression ${codec} is not read`);
  }
}

function unpackWithLibrary(codec: CompressionCodec, packed: Buffer, length: number): Buffer {
  const unpack = compressors[codec];
  if (unpack === undefined) throw new Error(`the compression ${codec} is not read`);
  if (length === 0) return Buffer.alloc(0);
  return Buffer.from(unpack(packed, length));
}

/** The length with which a Snappy block begins. */
function snappyLength(packed: Buffer): number {
  let length = 0;
  for (let at = 0; at < Math.min(packed.length, 5); at++) {
    const byte = packed[at] as number;
    length += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) return length;
  }
  return -1;
}
