/** Builds ZIP files and pickles byte by byte, right and wrong; shares nothing with the product's writers. */
import { crc32, deflateRawSync } from 'node:zlib';

/** An entry; what is left out is told truly. */
export interface ZipPart {
  readonly name: string;
  readonly data: Uint8Array;
  readonly deflate?: boolean;
  /** What the list of entries says, where it differs from the truth. */
  readonly listed?: Partial<
    Record<'method' | 'flags' | 'crc' | 'stored' | 'size' | 'at' | 'disk', number>
  >;
  /** What the header says, where it differs. */
  readonly header?: Partial<Record<'method' | 'flags' | 'crc' | 'stored' | 'size', number>>;
  readonly headerName?: string;
  /** Bytes before the header that belong to no entry. */
  readonly gap?: number;
  readonly listedExtra?: Uint8Array;
}

/** Options of {@link zipFile}, all for wrong files. */
export interface ZipOptions {
  readonly comment?: Uint8Array;
  readonly count?: number;
  readonly directorySize?: number;
  readonly directoryAt?: number;
  readonly disk?: number;
  readonly prefix?: Uint8Array;
}

/** A ZIP file without 64-bit records. */
export function zipFile(parts: readonly ZipPart[], options: ZipOptions = {}): Buffer {
  const pieces: Uint8Array[] = [options.prefix ?? new Uint8Array(0)];
  let at = pieces[0]!.length;
  const list: Buffer[] = [];
  for (const part of parts) {
    pieces.push(new Uint8Array(part.gap ?? 0));
    at += part.gap ?? 0;
    const stored = part.deflate === true ? deflateRawSync(part.data) : part.data;
    const truth = {
      method: part.deflate === true ? 8 : 0,
      flags: 0,
      crc: crc32(part.data),
      stored: stored.length,
      size: part.data.length,
      at,
      disk: 0,
    };
    const { headerName = part.name, header = {}, listed = {}, listedExtra } = part;
    pieces.push(fields('504b0304', { ...truth, ...header }, headerName), stored);
    list.push(listedRecord(part.name, { ...truth, ...listed }, listedExtra));
    at += 30 + Buffer.byteLength(headerName) + stored.length;
  }
  const directory = Buffer.concat(list);
  const { comment = new Uint8Array(0), disk = 0, count = parts.length } = options;
  const end = Buffer.alloc(22);
  end.write('504b0506', 0, 'hex');
  end.writeUInt16LE(disk, 4);
  end.writeUInt16LE(count, 8);
  end.writeUInt16LE(count, 10);
  end.writeUInt32LE(options.directorySize ?? directory.length, 12);
  end.writeUInt32LE(options.directoryAt ?? at, 16);
  end.writeUInt16LE(comment.length, 20);
  return Buffer.concat([...pieces, directory, end, comment]);
}

type Truth = Record<'method' | 'flags' | 'crc' | 'stored' | 'size' | 'at' | 'disk', number>;

function fields(signature: string, truth: Truth, name: string): Buffer {
  const bytes = Buffer.alloc(30 + Buffer.byteLength(name));
  bytes.write(signature, 0, 'hex');
  bytes.writeUInt16LE(truth.flags, 6);
  bytes.writeUInt16LE(truth.method, 8);
  bytes.writeUInt32LE(truth.crc, 14);
  bytes.writeUInt32LE(truth.stored, 18);
  bytes.writeUInt32LE(truth.size, 22);
  bytes.writeUInt16LE(Buffer.byteLength(name), 26);
  bytes.write(name, 30);
  return bytes;
}

function listedRecord(name: string, truth: Truth, extra: Uint8Array = new Uint8Array(0)): Buffer {
  const bytes = Buffer.alloc(46 + Buffer.byteLength(name) + extra.length);
  bytes.write('504b0102', 0, 'hex');
  bytes.writeUInt16LE(truth.flags, 8);
  bytes.writeUInt16LE(truth.method, 10);
  bytes.writeUInt32LE(truth.crc, 16);
  bytes.writeUInt32LE(truth.stored, 20);
  bytes.writeUInt32LE(truth.size, 24);
  bytes.writeUInt16LE(Buffer.byteLength(name), 28);
  bytes.writeUInt16LE(extra.length, 30);
  bytes.writeUInt16LE(truth.disk, 34);
  bytes.writeUInt32LE(truth.at, 42);
  bytes.write(name, 46);
  bytes.set(extra, 46 + Buffer.byteLength(name));
  return bytes;
}

/** Joins pieces of a pickle: text as bytes of Latin-1, numbers as single bytes. */
export function pickle(...pieces: readonly (string | number | Uint8Array)[]): Buffer {
  return Buffer.concat(
    pieces.map((piece) =>
      typeof piece === 'string'
        ? Buffer.from(piece, 'latin1')
        : typeof piece === 'number'
          ? Buffer.of(piece)
          : piece,
    ),
  );
}

/** BINUNICODE. */
export function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([Buffer.from('X'), length, bytes]);
}

/** BININT, or LONG1 of eight bytes. */
export function int(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(value));
  return Buffer.concat([Buffer.of(0x8a, 8), bytes]);
}

/** GLOBAL. */
export function named(module: string, name: string): Buffer {
  return Buffer.from(`c${module}\n${name}\n`);
}

/** Opcodes that make a tensor of a float storage. */
export function tensorOps(options: {
  readonly key?: string;
  readonly numel?: number;
  readonly offset?: number;
  readonly shape?: readonly number[];
  readonly strides?: readonly number[];
  readonly storage?: Uint8Array;
}): Buffer {
  const { key = '0', numel = 4, offset = 0, shape = [4], strides = [1] } = options;
  const storage = options.storage ?? named('torch', 'FloatStorage');
  return pickle(
    named('torch._utils', '_rebuild_tensor_v2'),
    pickle('((', text('storage'), storage, text(key), text('cpu'), int(numel), 'tQ'),
    int(offset),
    pickle('(', ...shape.map(int), 't'),
    pickle('(', ...strides.map(int), 't'),
    0x89,
    pickle(named('collections', 'OrderedDict'), ')R'),
    'tR',
  );
}

/** An archive with a pickle and storages. */
export function archive(
  pickleBytes: Uint8Array,
  storages: Readonly<Record<string, Uint8Array>> = {},
  more: readonly ZipPart[] = [],
  options: ZipOptions = {},
): Buffer {
  const parts: ZipPart[] = [
    { name: 'a/data.pkl', data: pickleBytes },
    { name: 'a/version', data: Buffer.from('3\n') },
    ...Object.entries(storages).map(([key, data]) => ({ name: `a/data/${key}`, data })),
  ];
  return zipFile([...parts, ...more], options);
}
