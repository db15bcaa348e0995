/**
 * Looks at the first bytes of a file: does it hold what its name says, and is its JSON an array or lines?
 *
 * Catches the mistakes that would otherwise end as thousands of malformed rows: another encoding, a compressed or
 * columnar file under a text file's name, and the reverse.
 */
import type { TuneyardError } from '@tuneyard/core';
import { DATA_EXTENSIONS, type DataFile, kindOfName, type NamedKind } from '../data-file.js';
import { emptyFile, fileError } from '../file-errors.js';
import { SNIFF_BYTES } from '../limits.js';
import { openDataFile, readFileChunks } from '../streams/file-bytes.js';

/** What files of other kinds begin with. */
const SIGNATURES: readonly { readonly kind: string; readonly bytes: Buffer }[] = [
  { kind: 'gzip', bytes: Buffer.from([0x1f, 0x8b]) },
  { kind: 'zstd', bytes: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]) },
  { kind: 'parquet', bytes: Buffer.from('PAR1') },
  { kind: 'arrow', bytes: Buffer.from('ARROW1') },
  { kind: 'arrow', bytes: Buffer.from([0xff, 0xff, 0xff, 0xff]) },
  { kind: 'zip (or an Excel sheet)', bytes: Buffer.from([0x50, 0x4b, 0x03, 0x04]) },
  { kind: 'bzip2', bytes: Buffer.from('BZh') },
  { kind: 'xz', bytes: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]) },
];

const EXTENSION_OF_KIND: ReadonlyMap<string, string> = new Map([
  ['gzip', '.gz'],
  ['zstd', '.zst'],
  ['parquet', '.parquet'],
  ['arrow', '.arrow'],
]);

/**
 * Tells the kind of one file from its name and its first bytes.
 *
 * Throws: `DATA_FILE_NOT_FOUND`, `DATA_FILE_EMPTY`, `DATA_UNKNOWN_FILE_TYPE`, `DATA_FILE_MISMATCH` (content of another
 * kind than the name says), `DATA_BAD_ENCODING` (UTF-16 or UTF-32), `DATA_BAD_COMPRESSION`.
 */
export async function probeFile(path: string, signal?: AbortSignal): Promise<DataFile> {
  const { handle, bytes } = await openDataFile(path);
  const head = Buffer.alloc(Math.min(SNIFF_BYTES, bytes));
  try {
    if (bytes === 0) throw emptyFile(path);
    await handle.read(head, 0, head.length, 0);
  } finally {
    await handle.close();
  }
  const kind = kindOfName(path);
  if (kind === undefined) throw unknownType(path);
  checkSignature(path, kind, head);
  const { layout, compression } = kind;
  if (layout === 'parquet' || layout === 'arrow') return { path, layout, compression, bytes };
  const text = compression === 'none' ? head : await unpackedHead(path, kind, signal);
  const isWhole = compression === 'none' ? head.length === bytes : text.length < SNIFF_BYTES;
  const first = checkText(path, text, isWhole);
  if (layout !== 'json') return { path, layout, compression, bytes };
  return { path, layout: first === 0x5b ? 'json-array' : 'json-lines', compression, bytes };
}

async function unpackedHead(
  path: string,
  kind: NamedKind,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of readFileChunks(path, kind.compression, signal)) {
    parts.push(chunk);
    bytes += chunk.length;
    if (bytes >= SNIFF_BYTES) break;
  }
  return Buffer.concat(parts);
}

function checkSignature(path: string, kind: NamedKind, head: Buffer): void {
  const named = kind.compression === 'none' ? kind.layout : kind.compression;
  const found = SIGNATURES.find(({ bytes }) => head.subarray(0, bytes.length).equals(bytes));
  if (found?.kind === named) return;
  const hasSignature = EXTENSION_OF_KIND.has(named);
  if (found === undefined && !hasSignature) return;
  // The skippable frames that some tools put first have their own magic.
  if (named === 'zstd' && head.length > 4 && head.readUInt32LE(0) >>> 4 === 0x184d2a5) return;
  const extension = found && EXTENSION_OF_KIND.get(found.kind);
  throw fileError(
    'DATA_FILE_MISMATCH',
    { file: path },
    found === undefined
      ? `it is named ${kind.extension} but does not begin as ${named} does`
      : `it is named ${kind.extension} but its content is ${found.kind}`,
    {
      details: { named: kind.extension, found: found?.kind ?? 'unknown' },
      ...(extension === undefined ? {} : { hint: renameHint(path, kind, extension) }),
    },
  );
}

function renameHint(path: string, kind: NamedKind, extension: string): string {
  const isPacked = extension === '.gz' || extension === '.zst';
  const stem = path.slice(0, path.length - kind.extension.length);
  const name = isPacked && kind.compression === 'none' ? path + extension : stem + extension;
  return `Rename it to ${name}.`;
}

/** Checks the beginning of a text; returns its first visible byte. */
function checkText(path: string, text: Buffer, isWhole: boolean): number | undefined {
  const encoding = foreignEncoding(text);
  if (encoding !== undefined) {
    throw fileError(
      'DATA_BAD_ENCODING',
      { file: path },
      `it is ${encoding}; data files are UTF-8`,
      {
        details: { encoding },
        hint: `Save the file as UTF-8: iconv -f ${encoding} -t UTF-8`,
      },
    );
  }
  const hasMark = text[0] === 0xef && text[1] === 0xbb && text[2] === 0xbf;
  const first = text.subarray(hasMark ? 3 : 0).find((byte) => byte > 0x20);
  if (first === undefined && isWhole) throw emptyFile(path, 'it holds only blank lines');
  return first;
}

/** UTF-16 and UTF-32 by their byte order marks, and UTF-16 without one by the NULs that Latin letters have in it. */
function foreignEncoding(text: Buffer): string | undefined {
  const [a, b, c, d] = text;
  if (a === 0xff && b === 0xfe) return c === 0 && d === 0 ? 'UTF-32LE' : 'UTF-16LE';
  if (a === 0xfe && b === 0xff) return 'UTF-16BE';
  if (a === 0 && b === 0 && c === 0xfe && d === 0xff) return 'UTF-32BE';
  const pairs = text.subarray(0, 64);
  if (pairs.length < 4) return undefined;
  const isNulAt = (odd: 0 | 1): boolean =>
    pairs.every((byte, i) => (i % 2 === odd ? byte === 0 : byte !== 0));
  if (isNulAt(1)) return 'UTF-16LE';
  return isNulAt(0) ? 'UTF-16BE' : undefined;
}

function unknownType(path: string): TuneyardError {
  const dot = path.lastIndexOf('.');
  const extension = dot < 0 ? '' : path.slice(dot);
  return fileError(
    'DATA_UNKNOWN_FILE_TYPE',
    { file: path },
    `unknown data file type '${extension}'; known are ${DATA_EXTENSIONS.join(', ')}, ` +
      'the text kinds also as .gz and .zst',
    { details: { extension } },
  );
}
