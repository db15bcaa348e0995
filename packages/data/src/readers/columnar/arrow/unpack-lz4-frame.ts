/** Unpacks LZ4 frames. Source: LZ4 Frame Format 1.6.4 and LZ4 Block Format; checksums are not looked at. */
import { unpackLz4Block } from '../../kernels/unpack-lz4-block.js';

const MAGIC = 0x184d2204;

/**
 * Unpacks a frame into memory of the length that was declared for it. Blocks may refer to those before them.
 *
 * Throws: `Error` when the frame is damaged or of another length.
 */
export function unpackLz4Frame(packed: Buffer, length: number): Buffer {
  if (packed.readUInt32LE(0) !== MAGIC) throw new Error('a buffer is not an LZ4 frame');
  const flags = packed.readUInt8(4);
  const hasBlockChecksum = (flags & 0x10) !== 0;
  const hasSize = (flags & 0x08) !== 0;
  const hasDictionary = (flags & 0x01) !== 0;
  if (hasDictionary) throw new Error('an LZ4 frame needs a dictionary');
  const out = Buffer.alloc(length);
  let filled = 0;
  let at = 7 + (hasSize ? 8 : 0);
  while (true) {
    const word = packed.readUInt32LE(at);
    if (word === 0) break;
    const size = word & 0x7fffffff;
    const begin = at + 4;
    const end = begin + size;
    if (end > packed.length) throw new Error('an LZ4 frame is cut off');
    const isPlain = word >= 0x80000000;
    filled = isPlain
      ? copyBlock(packed.subarray(begin, end), out, filled)
      : unpackLz4Block(packed.subarray(begin, end), out, filled);
    if (filled < 0) throw new Error('an LZ4 block is damaged');
    at = end + (hasBlockChecksum ? 4 : 0);
  }
  if (filled === length) return out;
  throw new Error(`a buffer declares ${length} bytes unpacked and holds ${filled}`);
}

function copyBlock(block: Buffer, out: Buffer, filled: number): number {
  if (filled + block.length > out.length) return -1;
  out.set(block, filled);
  return filled + block.length;
}
