/**
 * Unpacks a Zstandard stream of one or more frames (RFC 8878), block by block.
 *
 * Frames and blocks are told apart here and only whole blocks reach the decoder, so that nothing is allocated before
 * its size was checked and a few bytes of input never become more than one block (128 KiB) of output at a time.
 * Lengths that a frame declares are checked; its optional checksum is not.
 */

import type { TuneyardError } from '@tuneyard/core';
import { Decompress, decompress } from 'fzstd';
import { fileError } from '../file-errors.js';
import { ByteCursor } from './byte-cursor.js';

const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const MAX_BLOCK_BYTES = 128 * 1024;
/** The window of level 19 is 8 MiB; `--ultra -22` and `--long` use 128 MiB, which the decoder would move about. */
const MAX_WINDOW_BYTES = 32 * 1024 * 1024;
/** The decoder waits for this many bytes before it looks at a frame. */
const DECODER_MIN_BYTES = 18;

interface FrameHeader {
  readonly bytes: Buffer;
  readonly hasChecksum: boolean;
  /** Null when the frame does not declare it. */
  readonly contentBytes: number | null;
}

interface Block {
  readonly bytes: Buffer;
  readonly isLast: boolean;
}

/**
 * Unpacks Zstandard.
 *
 * Throws: `DATA_BAD_COMPRESSION` when the stream is cut off or damaged, needs a dictionary, or a window over 32 MiB.
 */
export async function* unzstdChunks(
  packed: AsyncIterable<Buffer>,
  path: string,
): AsyncGenerator<Buffer, void, undefined> {
  const cursor = new ByteCursor(packed);
  try {
    while (await cursor.has(1)) {
      const magic = (await take(cursor, 4, path)).readUInt32LE(0);
      if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) await skipFrame(cursor, path);
      else if (magic === FRAME_MAGIC) yield* readFrame(cursor, path);
      else throw damaged(path, 'what follows is not a Zstandard frame');
    }
  } finally {
    await cursor.close();
  }
}

async function skipFrame(cursor: ByteCursor, path: string): Promise<void> {
  let left = (await take(cursor, 4, path)).readUInt32LE(0);
  while (left > 0) {
    const step = Math.min(left, MAX_BLOCK_BYTES);
    await take(cursor, step, path);
    left -= step;
  }
}

async function* readFrame(
  cursor: ByteCursor,
  path: string,
): AsyncGenerator<Buffer, void, undefined> {
  const header = await readFrameHeader(cursor, path);
  const decode = createBlockDecoder(path);
  let outBytes = 0;
  let fed: Buffer[] = [header.bytes];
  let fedBytes = header.bytes.length;
  for (let isLast = false; !isLast; ) {
    const block = await readBlock(cursor, header, path);
    isLast = block.isLast;
    fed.push(block.bytes);
    fedBytes += block.bytes.length;
    if (fedBytes < DECODER_MIN_BYTES && !isLast) continue;
    const input = Buffer.concat(fed);
    const isTiny = fedBytes < DECODER_MIN_BYTES;
    for (const chunk of isTiny ? decodeTiny(input, header, path) : decode(input)) {
      outBytes += chunk.length;
      yield chunk;
    }
    fed = [];
    // Once started, the decoder takes blocks of any size.
    fedBytes = DECODER_MIN_BYTES;
  }
  if (header.contentBytes !== null && header.contentBytes !== outBytes) {
    throw damaged(path, `a frame of ${header.contentBytes} bytes holds ${outBytes}`);
  }
}

async function readFrameHeader(cursor: ByteCursor, path: string): Promise<FrameHeader> {
  const flags = (await take(cursor, 1, path)).readUInt8(0);
  const isSingleSegment = (flags & 0x20) !== 0;
  const windowBytes = isSingleSegment ? 0 : 1;
  const dictionaryBytes = [0, 1, 2, 4][flags & 3] ?? 0;
  const sizeBytes = flags >> 6 === 0 ? (isSingleSegment ? 1 : 0) : 1 << (flags >> 6);
  const rest = await take(cursor, windowBytes + dictionaryBytes + sizeBytes, path);
  if ((flags & 8) !== 0) throw damaged(path, 'a frame header has a reserved bit set');
  if (dictionaryBytes > 0) {
    const id = rest.readUIntLE(windowBytes, dictionaryBytes);
    if (id !== 0) throw damaged(path, `a frame needs the dictionary ${id}`);
  }
  const contentBytes = readContentBytes(rest.subarray(windowBytes + dictionaryBytes));
  const window = isSingleSegment ? (contentBytes ?? 0) : windowSize(rest.readUInt8(0));
  if (window > MAX_WINDOW_BYTES) {
    throw fileError(
      'DATA_BAD_COMPRESSION',
      { file: path },
      `a frame needs a window of ${window} bytes; at most ${MAX_WINDOW_BYTES} are given`,
      {
        category: 'resource_exhausted',
        details: { window, limit: MAX_WINDOW_BYTES },
        hint: 'Compress without --long and --ultra, or unpack it first: zstd -d --memory=2048MB',
      },
    );
  }
  const magic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, flags]);
  return {
    bytes: Buffer.concat([magic, rest]),
    hasChecksum: (flags & 4) !== 0,
    contentBytes,
  };
}

function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

function readContentBytes(field: Buffer): number | null {
  if (field.length === 0) return null;
  if (field.length === 8) return Number(field.readBigUInt64LE(0));
  return field.readUIntLE(0, field.length) + (field.length === 2 ? 256 : 0);
}

/** Reads one block with its header and, at the end of a frame, the checksum that the decoder skips. */
async function readBlock(cursor: ByteCursor, header: FrameHeader, path: string): Promise<Block> {
  const head = await take(cursor, 3, path);
  const word = head.readUIntLE(0, 3);
  const isLast = (word & 1) !== 0;
  const type = (word >> 1) & 3;
  const size = word >> 3;
  if (type === 3) throw damaged(path, 'a block is of the reserved type');
  if (size > MAX_BLOCK_BYTES) throw damaged(path, `a block declares ${size} bytes`);
  const body = await take(cursor, type === 1 ? 1 : size, path);
  const tail = isLast && header.hasChecksum ? await take(cursor, 4, path) : EMPTY;
  return { bytes: Buffer.concat([head, body, tail]), isLast };
}

const EMPTY = Buffer.alloc(0);

function createBlockDecoder(path: string): (input: Buffer) => Buffer[] {
  let out: Buffer[] = [];
  const decoder = new Decompress((chunk) => {
    if (chunk.length > 0) out.push(asBuffer(chunk));
  });
  return (input) => {
    out = [];
    guard(path, () => decoder.push(input, false));
    return out;
  };
}

/** A whole frame too short for the streaming decoder; the size that it declares was not yet checked. */
function decodeTiny(input: Buffer, header: FrameHeader, path: string): Buffer[] {
  if ((header.contentBytes ?? 0) > MAX_BLOCK_BYTES * DECODER_MIN_BYTES) {
    throw damaged(path, `a frame declares ${header.contentBytes} bytes and holds fewer`);
  }
  let out: Buffer = EMPTY;
  guard(path, () => {
    out = asBuffer(decompress(input));
  });
  return [out];
}

/** The decoder throws errors and, on damaged tables, range and type errors alike. */
function guard(path: string, run: () => void): void {
  try {
    run();
  } catch (error) {
    throw damaged(path, error instanceof Error ? error.message : 'it cannot be decoded', error);
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

async function take(cursor: ByteCursor, length: number, path: string): Promise<Buffer> {
  const bytes = await cursor.take(length);
  if (bytes !== null) return bytes;
  throw fileError('DATA_BAD_COMPRESSION', { file: path }, 'the Zstandard data is cut off', {
    hint: 'Fetch or write the file again; `zstd -t` tells whether it is whole.',
  });
}

function damaged(path: string, what: string, cause?: unknown): TuneyardError {
  return fileError(
    'DATA_BAD_COMPRESSION',
    { file: path },
    `the Zstandard data is damaged: ${what}`,
    {
      hint: 'Fetch or write the file again; `zstd -t` tells whether it is whole.',
      ...(cause === undefined ? {} : { cause }),
    },
  );
}
