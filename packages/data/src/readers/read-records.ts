/**
 * Reads a data file as a stream of records: JSON Lines, a JSON array, or plain text lines.
 *
 * Memory is bounded by one record whatever the size of the file: an array is cut at its top level by a
 * byte scanner and every element is parsed alone. A record that cannot be parsed becomes a counted item with
 * its place, and the next one is read; only damage after which no boundary can be trusted is an error.
 */
import { isUtf8 } from 'node:buffer';
import { open } from 'node:fs/promises';
import { extname } from 'node:path';
import { TuneyardError, throwIfAborted } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import { createArraySplitter } from './array-splitter.js';
import { READ_CHUNK_BYTES } from './limits.js';
import { createLineSplitter } from './line-splitter.js';

/** How the records of a file are laid out. */
export type FileLayout = 'json-array' | 'json-lines' | 'text-lines';

/** One record, or the place where one should have been. */
export type ReadItem =
  | {
      readonly kind: 'record';
      /** 1-based: the line in a line-based file, the position of the element in an array. */
      readonly row: number;
      readonly value: unknown;
    }
  | {
      readonly kind: 'malformed';
      readonly row: number;
      readonly line: number;
      readonly reason: string;
    };

/** A record's bytes as a splitter cuts them out. */
export interface RawRecord {
  readonly row: number;
  /** 1-based line on which the record begins. */
  readonly line: number;
  readonly bytes: Buffer;
}

/** Cuts a byte stream into records. */
export interface RecordSplitter {
  push(chunk: Buffer): Iterable<RawRecord>;
  /** Ends the stream; yields a last record without a terminator. */
  finish(): Iterable<RawRecord>;
}

/** Options of {@link readRecords}. */
export interface ReadOptions {
  readonly signal?: AbortSignal;
}

/**
 * Streams the records of one `.json`, `.jsonl`, `.ndjson` or `.txt` file.
 *
 * A byte order mark, CRLF line ends and blank lines are accepted. `.json` may hold an array or one object
 * per line: the first character decides.
 *
 * Throws: `DATA_FILE_NOT_FOUND`, `DATA_FILE_EMPTY`, `DATA_UNKNOWN_FILE_TYPE`, `DATA_BAD_ENCODING` (UTF-16,
 * compressed), `DATA_BAD_JSON` (array not closed, text after it), `DATA_RECORD_TOO_LARGE`.
 */
export async function* readRecords(
  path: string,
  options: ReadOptions = {},
): AsyncGenerator<ReadItem, void, undefined> {
  const handle = await openDataFile(path);
  try {
    let splitter: RecordSplitter | undefined;
    let layout: FileLayout = 'text-lines';
    const parse = (raw: RawRecord): ReadItem => parseRecord(raw, layout, path);
    for await (const chunk of readChunks(handle)) {
      throwIfAborted(options.signal);
      if (splitter === undefined) {
        const body = skipByteOrderMark(chunk, path);
        layout = detectLayout(body, path);
        splitter = createSplitter(layout, path);
        for (const raw of splitter.push(body)) yield parse(raw);
      } else {
        for (const raw of splitter.push(chunk)) yield parse(raw);
      }
    }
    if (splitter === undefined) throw emptyFile(path);
    for (const raw of splitter.finish()) yield parse(raw);
  } finally {
    await handle.close();
  }
}

async function openDataFile(path: string): Promise<Awaited<ReturnType<typeof open>>> {
  try {
    const handle = await open(path, 'r');
    const stat = await handle.stat();
    if (stat.isFile()) return handle;
    await handle.close();
    throw new TuneyardError(DATA_ERRORS.DATA_FILE_NOT_FOUND, `Data file is a directory: ${path}`, {
      category: 'not_found',
      details: { file: path },
      hint: 'Name the .json, .jsonl or .txt file itself.',
    });
  } catch (error) {
    if (error instanceof TuneyardError) throw error;
    throw new TuneyardError(DATA_ERRORS.DATA_FILE_NOT_FOUND, `Cannot open data file ${path}`, {
      category: 'not_found',
      details: { file: path },
      hint: 'Paths in a recipe are relative to the recipe file.',
      cause: error,
    });
  }
}

/** Yields the file in chunks that the consumer may keep: each has its own memory. */
async function* readChunks(
  handle: Awaited<ReturnType<typeof open>>,
): AsyncGenerator<Buffer, void, undefined> {
  while (true) {
    const buffer = Buffer.allocUnsafe(READ_CHUNK_BYTES);
    const { bytesRead } = await handle.read(buffer, 0, READ_CHUNK_BYTES, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

function skipByteOrderMark(chunk: Buffer, path: string): Buffer {
  if (chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf) return chunk.subarray(3);
  const isUtf16 =
    (chunk[0] === 0xff && chunk[1] === 0xfe) || (chunk[0] === 0xfe && chunk[1] === 0xff);
  const isGzip = chunk[0] === 0x1f && chunk[1] === 0x8b;
  if (!isUtf16 && !isGzip) return chunk;
  throw new TuneyardError(
    DATA_ERRORS.DATA_BAD_ENCODING,
    `${path} is ${isGzip ? 'gzip-compressed' : 'UTF-16'}; data files are UTF-8 text`,
    {
      details: { file: path },
      hint: isGzip ? `Unpack it first: gunzip -k ${path}` : 'Save the file as UTF-8.',
    },
  );
}

function detectLayout(body: Buffer, path: string): FileLayout {
  const extension = extname(path).toLowerCase();
  if (extension === '.txt') return 'text-lines';
  if (!['.json', '.jsonl', '.ndjson'].includes(extension)) {
    throw new TuneyardError(
      DATA_ERRORS.DATA_UNKNOWN_FILE_TYPE,
      `${path}: unknown data file type '${extension}'; known are .json, .jsonl, .ndjson and .txt`,
      { details: { file: path, extension } },
    );
  }
  const first = body.find((byte) => byte > 0x20);
  if (first === undefined && body.length < READ_CHUNK_BYTES - 3) throw emptyFile(path);
  return first === 0x5b ? 'json-array' : 'json-lines';
}

function createSplitter(layout: FileLayout, path: string): RecordSplitter {
  return layout === 'json-array' ? createArraySplitter(path) : createLineSplitter(path);
}

function parseRecord(raw: RawRecord, layout: FileLayout, path: string): ReadItem {
  const { row, line, bytes } = raw;
  if (!isUtf8(bytes)) return { kind: 'malformed', row, line, reason: 'bytes that are not UTF-8' };
  const text = bytes.toString('utf8');
  if (layout === 'text-lines') return { kind: 'record', row, value: { text } };
  if (layout === 'json-lines' && text === '{') throw objectOverLines(path, line);
  try {
    return { kind: 'record', row, value: JSON.parse(text) };
  } catch (error) {
    // JSON.parse has no other way to say that a text is not JSON; its message names the place.
    const reason = error instanceof SyntaxError ? error.message : 'not JSON';
    return { kind: 'malformed', row, line, reason };
  }
}

function objectOverLines(path: string, line: number): TuneyardError {
  return new TuneyardError(
    DATA_ERRORS.DATA_BAD_JSON,
    `${path}:${line}: a JSON object is spread over several lines`,
    {
      details: { file: path, line },
      hint: 'Put each record on one line, or all of them into one JSON array.',
    },
  );
}

function emptyFile(path: string): TuneyardError {
  return new TuneyardError(DATA_ERRORS.DATA_FILE_EMPTY, `Data file ${path} is empty`, {
    details: { file: path },
  });
}
