/** Unpacks a Zstandard frame whose unpacked length is known. */
import { decompress } from 'fzstd';

/**
 * Unpacks Zstandard into memory of the given length. The output is the decoder's window, so that the window that a
 * frame declares is never allocated.
 *
 * Throws: `Error` when the frame is damaged or declares another length.
 */
export function unpackZstd(packed: Buffer, length: number): Buffer {
  const declared = zstdContentBytes(packed);
  if (declared !== null && declared !== length) {
    throw new Error(`a block declares ${length} bytes unpacked, its frame ${declared}`);
  }
  const page = Buffer.alloc(length);
  return Buffer.from(decompress(packed, page));
}

/** The size that a Zstandard frame declares; null when it declares none. */
function zstdContentBytes(packed: Buffer): number | null {
  if (packed.length < 6 || packed.readUInt32LE(0) !== 0xfd2fb528) {
    throw new Error('a block does not begin as Zstandard does');
  }
  const flags = packed.readUInt8(4);
  const isSingleSegment = (flags & 0x20) !== 0;
  const begin = (isSingleSegment ? 5 : 6) + ([0, 1, 2, 4][flags & 3] ?? 0);
  switch (flags >> 6) {
    case 0:
      return isSingleSegment ? packed.readUInt8(begin) : null;
    case 1:
      return packed.readUInt16LE(begin) + 256;
    case 2:
      return packed.readUInt32LE(begin);
    default:
      return Number(packed.readBigUInt64LE(begin));
  }
}
