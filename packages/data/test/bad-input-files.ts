/** Builds the bytes of damaged and hostile data files. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The bytes of a fixture of the readers. */
export function fixture(name: string): Buffer {
  return readFileSync(fileURLToPath(new URL(`./fixtures/readers/${name}`, import.meta.url)));
}

/** A copy with some bytes replaced. */
export function patched(bytes: Buffer, at: number, replacement: readonly number[]): Buffer {
  const copy = Buffer.from(bytes);
  copy.set(replacement, at);
  return copy;
}

/** A copy with the first occurrence of `find` replaced by bytes of the same length. */
export function replaced(bytes: Buffer, find: Buffer, replacement: Buffer): Buffer {
  const at = bytes.indexOf(find);
  if (at < 0 || find.length !== replacement.length) throw new Error('nothing to replace');
  return patched(bytes, at, [...replacement]);
}

/** What a Zstandard frame is made of. */
export interface ZstdFrame {
  /** Window descriptor; 0x38 is 128 KiB. */
  readonly window?: number;
  readonly flags?: number;
  /** Bytes between the window descriptor and the blocks. */
  readonly extra?: Buffer;
  readonly blocks: readonly Buffer[];
}

/** A Zstandard frame put together by hand. */
export function zstdFrame({ window = 0x38, flags = 0, extra, blocks }: ZstdFrame): Buffer {
  const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, flags, window]);
  return Buffer.concat([head, extra ?? Buffer.alloc(0), ...blocks]);
}

/** A block that repeats one byte 128 KiB times, in four bytes. */
export function repeatBlock(byte: number, isLast = false): Buffer {
  const block = Buffer.alloc(4);
  block.writeUIntLE((isLast ? 1 : 0) | (1 << 1) | ((128 * 1024) << 3), 0, 3);
  block[3] = byte;
  return block;
}

/** A block of bytes as they are. */
export function plainBlock(text: string, isLast: boolean): Buffer {
  const body = Buffer.from(text);
  const head = Buffer.alloc(3);
  head.writeUIntLE((isLast ? 1 : 0) | (body.length << 3), 0, 3);
  return Buffer.concat([head, body]);
}

/** Where the footer of a Parquet file begins. */
export function parquetFooterBegin(bytes: Buffer): number {
  return bytes.length - 8 - bytes.readUInt32LE(bytes.length - 8);
}

/** Where the messages of an Arrow stream begin. */
export function arrowMessages(bytes: Buffer, from: number): number[] {
  const places: number[] = [];
  for (let at = from; at + 8 <= bytes.length; ) {
    const length = bytes.readUInt32LE(at + 4);
    if (bytes.readUInt32LE(at) !== 0xffffffff || length === 0) break;
    places.push(at);
    at += 8 + length + bodyBytes(bytes.subarray(at + 8, at + 8 + length)).length;
  }
  return places;
}

/** The length of a message's body and where it is written within the metadata. */
export function bodyBytes(metadata: Buffer): { readonly at: number; readonly length: number } {
  const table = metadata.readUInt32LE(0);
  const vtable = table - metadata.readInt32LE(table);
  const offset =
    vtable + 10 < vtable + metadata.readUInt16LE(vtable) ? metadata.readUInt16LE(vtable + 10) : 0;
  if (offset === 0) return { at: -1, length: 0 };
  return { at: table + offset, length: Number(metadata.readBigInt64LE(table + offset)) };
}
