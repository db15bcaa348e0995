/**
 * Opens a Parquet file: checks its magic numbers, footer and the places of its column chunks against its size.
 *
 * The footer is parsed by hyparquet; nothing that it declares is believed before it was compared with the file.
 */
import { closeSync, openSync, statSync } from 'node:fs';
import type { TuneyardError } from '@tuneyard/core';
import { type FileMetaData, parquetMetadata, parquetSchema, type SchemaTree } from 'hyparquet';
import { cannotOpen, type FileErrorOptions } from '../../file-errors.js';
import { MAX_FOOTER_BYTES } from '../../limits.js';
import { badFile, guardDecoder } from '../guard-decoder.js';
import { readExactly } from '../read-exactly.js';
import { parquetParsers } from './parquet-parsers.js';

const MAGIC = 'PAR1';
const ENCRYPTED_MAGIC = 'PARE';

/** A Parquet file whose footer was read and checked. */
export interface ParquetFile {
  readonly path: string;
  readonly bytes: number;
  readonly metadata: FileMetaData;
  readonly schema: SchemaTree;
  readonly rows: number;
}

/** Where a column's pages lie: bytes [begin, end). */
export interface ChunkRange {
  readonly begin: number;
  readonly end: number;
}

/** The file read last by this thread: units of a file follow each other. */
let last: { readonly key: string; readonly file: ParquetFile } | null = null;

/** Reads the footer. Throws: `DATA_FILE_NOT_FOUND`, `DATA_BAD_PARQUET`. */
export function openParquet(path: string): ParquetFile {
  const { size, mtimeMs, ino } = statOf(path);
  const key = `${path}\0${size}\0${mtimeMs}\0${ino}`;
  if (last?.key === key) return last.file;
  const metadata = guardParquet(path, () => parseFooter(readFooter(path, size)));
  const file = guardParquet(path, () => checkedFile(path, size, metadata));
  last = { key, file };
  return file;
}

function statOf(path: string) {
  try {
    return statSync(path);
  } catch (error) {
    throw cannotOpen(path, error);
  }
}

/** The metadata with its length and magic number. */
function readFooter(path: string, size: number): Buffer {
  if (size < 12) throw badParquet(path, `a file of ${size} bytes cannot be one`);
  const tail = readBytesAt(path, size - 8, 8);
  const magic = tail.toString('latin1', 4);
  if (magic === ENCRYPTED_MAGIC) throw badParquet(path, 'its footer is encrypted');
  if (magic !== MAGIC) {
    throw badParquet(path, 'it does not end with PAR1', {
      hint: 'The file is cut off: its footer is written last. Fetch or write it again.',
    });
  }
  const length = tail.readUInt32LE(0);
  if (length > size - 12 || length > MAX_FOOTER_BYTES) {
    throw badParquet(path, `its footer declares ${length} bytes in a file of ${size}`);
  }
  return readBytesAt(path, size - 8 - length, length + 8);
}

function readBytesAt(path: string, position: number, length: number): Buffer {
  const file = openSync(path, 'r');
  try {
    return readExactly(file, path, position, length);
  } finally {
    closeSync(file);
  }
}

function parseFooter(footer: Buffer): FileMetaData {
  return parquetMetadata(footer, { parsers: parquetParsers, geoparquet: false });
}

function checkedFile(path: string, bytes: number, metadata: FileMetaData): ParquetFile {
  const schema = parquetSchema(metadata);
  let rows = 0;
  for (const group of metadata.row_groups) {
    const groupRows = Number(group.num_rows);
    if (!(groupRows >= 0)) throw badParquet(path, `a row group declares ${groupRows} rows`);
    rows += groupRows;
  }
  if (!Number.isSafeInteger(rows) || rows !== Number(metadata.num_rows)) {
    throw badParquet(path, `it declares ${metadata.num_rows} rows, its row groups ${rows}`);
  }
  return { path, bytes, metadata, schema, rows };
}

/** Where the pages of a column chunk lie. Throws: `DATA_BAD_PARQUET` when that is not in the file. */
export function chunkRange(
  file: ParquetFile,
  chunk: FileMetaData['row_groups'][number]['columns'][number],
): ChunkRange {
  const meta = chunk.meta_data;
  if (meta === undefined) throw badParquet(file.path, 'a column chunk has no metadata');
  if (chunk.file_path)
    throw badParquet(file.path, `a column is in another file, ${chunk.file_path}`);
  const dataBegin = Number(meta.data_page_offset);
  const dictionaryBegin = Number(meta.dictionary_page_offset ?? 0);
  const hasDictionary = dictionaryBegin > 0 && dictionaryBegin < dataBegin;
  const begin = hasDictionary ? dictionaryBegin : dataBegin;
  const end = begin + Number(meta.total_compressed_size);
  if (begin >= MAGIC.length && end >= begin && end <= file.bytes - 8) return { begin, end };
  throw badParquet(
    file.path,
    `column ${meta.path_in_schema.join('.')} declares bytes ${begin} to ${end} in a file of ${file.bytes}`,
  );
}

/** {@link guardDecoder} for Parquet. */
export function guardParquet<T>(path: string, run: () => T, where = ''): T {
  return guardDecoder({ path, kind: 'Parquet' }, run, where);
}

/** A Parquet file that is damaged or cannot be read. */
export function badParquet(
  path: string,
  what: string,
  options: FileErrorOptions = {},
): TuneyardError {
  return badFile({ path, kind: 'Parquet' }, what, options);
}
