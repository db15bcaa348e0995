/** Unpacks the compressed buffers of a record batch. */
import { MAX_EXPANSION, MAX_PAGE_BYTES, PAGE_EXPANSION_FLOOR_BYTES } from '../../limits.js';
import { unpackZstd } from '../../streams/unpack-zstd.js';
import { unpackLz4Frame } from './unpack-lz4-frame.js';

const LZ4_FRAME = 0;
const ZSTD = 1;
/** The declared length of a buffer that was left as it is. */
const NOT_COMPRESSED = -1n;

/** Unpacks a buffer, which begins with its length. Throws: `Error` on damage. */
export function unpackArrowBuffer(packed: Buffer, codec: number): Buffer {
  const declared = packed.readBigInt64LE(0);
  const body = packed.subarray(8);
  if (declared === NOT_COMPRESSED) return body;
  const length = Number(declared);
  const limit = Math.max(PAGE_EXPANSION_FLOOR_BYTES, body.length * MAX_EXPANSION);
  if (length < 0 || length > Math.min(limit, MAX_PAGE_BYTES)) {
    throw new Error(`a buffer of ${packed.length} bytes declares ${declared} unpacked`);
  }
  if (codec === ZSTD) return unpackZstd(body, length);
  if (codec === LZ4_FRAME) return unpackLz4Frame(body, length);
  throw new Error(`the compression ${codec} is not known`);
}
