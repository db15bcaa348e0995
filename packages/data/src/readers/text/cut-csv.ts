/** Cuts a stream of CSV or TSV into units of whole records. */
import { isUtf8 } from 'node:buffer';
import type { TuneyardError } from '@tuneyard/core';
import { emptyFile, fileError } from '../file-errors.js';
import {
  type CsvScan,
  createCsvScan,
  isInQuotes,
  scanCsvRecord,
  splitCsvFields,
} from '../kernels/scan-csv.js';
import { MAX_RECORD_BYTES } from '../limits.js';
import type { DelimitedTable, RecordUnit } from '../read-unit.js';

/** What a file of delimited records is. */
export interface CsvStream {
  readonly path: string;
  readonly delimiter: DelimitedTable['delimiter'];
  readonly unitBytes: number;
}

/** A piece of the stream that ends where a record ends. */
interface CsvPiece {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly firstLine: number;
  /** Records that are not blank. */
  readonly rows: number;
}

/**
 * Yields units of about `unitBytes`. The first record that is not blank names the columns.
 *
 * Throws: `DATA_BAD_CSV` when a column is named twice or a quote is never closed; `DATA_FILE_EMPTY` when there is no
 * record besides the header; `DATA_RECORD_TOO_LARGE`.
 */
export async function* cutCsv(
  chunks: AsyncIterable<Buffer>,
  stream: CsvStream,
): AsyncGenerator<RecordUnit, void, undefined> {
  const { path, delimiter } = stream;
  let table: DelimitedTable | null = null;
  let rows = 0;
  for await (const piece of cutPieces(chunks, stream)) {
    if (table === null) {
      table = { columns: readHeader(piece, stream), delimiter };
      continue;
    }
    rows += piece.rows;
    const { bytes, firstLine } = piece;
    yield {
      kind: 'records',
      path,
      layout: 'delimited',
      bytes,
      firstLine,
      recordLines: null,
      table,
    };
  }
  if (rows === 0) throw emptyFile(path, 'it has a header row and no other');
}

/** Counts the records besides the header. Throws: as {@link cutCsv}. */
export async function countCsvRows(
  chunks: AsyncIterable<Buffer>,
  stream: CsvStream,
): Promise<number> {
  let rows = -1;
  for await (const piece of cutPieces(chunks, stream)) rows += piece.rows;
  return Math.max(rows, 0);
}

/** Yields the header, then pieces of about `unitBytes`. */
async function* cutPieces(
  chunks: AsyncIterable<Buffer>,
  stream: CsvStream,
): AsyncGenerator<CsvPiece, void, undefined> {
  const cutter = new CsvCutter(stream);
  let isReturnHeld = false;
  for await (const chunk of chunks) {
    const bytes: Buffer = isReturnHeld ? Buffer.concat([RETURN, chunk]) : chunk;
    // Its line feed may be the first byte of the next chunk.
    isReturnHeld = bytes.at(-1) === 0x0d;
    yield* cutter.push(isReturnHeld ? bytes.subarray(0, -1) : bytes);
  }
  if (isReturnHeld) yield* cutter.push(RETURN);
  const last = cutter.finish();
  if (last !== null) yield last;
}

/** Cuts CSV that arrives in chunks. */
class CsvCutter {
  readonly #stream: CsvStream;
  readonly #scan: CsvScan;
  #held = new HeldPiece(1);
  #isHeader = true;

  constructor(stream: CsvStream) {
    this.#stream = stream;
    this.#scan = createCsvScan(stream.delimiter, 1);
  }

  *push(chunk: Buffer): Generator<CsvPiece, void, undefined> {
    const scan = this.#scan;
    let begin = 0;
    let at = 0;
    for (let end = scanCsvRecord(scan, chunk, 0); end >= 0; end = scanCsvRecord(scan, chunk, at)) {
      this.#held.endRecord(scan.line, scan.isBlank);
      at = end;
      if (!this.#isWhole(end - begin)) continue;
      // Blank lines before the header are left out.
      if (!this.#isHeader || !scan.isBlank) yield this.#held.take(chunk.subarray(begin, end));
      if (!scan.isBlank) this.#isHeader = false;
      this.#held = new HeldPiece(scan.line);
      begin = end;
    }
    this.#held.hold(chunk.subarray(begin), chunk.length - at);
    if (this.#held.openBytes > MAX_RECORD_BYTES) throw recordTooLarge(this.#stream, this.#held);
  }

  finish(): CsvPiece | null {
    if (isInQuotes(this.#scan)) throw quoteNotClosed(this.#stream, this.#held);
    if (this.#held.openBytes > 0) this.#held.endRecord(this.#scan.line, false);
    return this.#held.rows === 0 ? null : this.#held.take(EMPTY);
  }

  #isWhole(tailBytes: number): boolean {
    return this.#isHeader || this.#held.bytes + tailBytes >= this.#stream.unitBytes;
  }
}

const EMPTY = Buffer.alloc(0);
const RETURN = Buffer.from('\r');

/** Bytes of a piece that is not yet whole. */
class HeldPiece {
  readonly firstLine: number;
  bytes = 0;
  rows = 0;
  /** Bytes of the record that has not ended. */
  openBytes = 0;
  /** Line on which that record begins. */
  openLine: number;
  #parts: Buffer[] = [];

  constructor(firstLine: number) {
    this.firstLine = firstLine;
    this.openLine = firstLine;
  }

  endRecord(nextLine: number, isBlank: boolean): void {
    if (!isBlank) this.rows++;
    this.openBytes = 0;
    this.openLine = nextLine;
  }

  hold(part: Buffer, openBytes: number): void {
    this.#parts.push(part);
    this.bytes += part.length;
    this.openBytes += openBytes;
  }

  take(tail: Buffer): CsvPiece {
    const bytes = new Uint8Array(this.bytes + tail.length);
    let at = 0;
    for (const part of [...this.#parts, tail]) {
      bytes.set(part, at);
      at += part.length;
    }
    return { bytes, firstLine: this.firstLine, rows: this.rows };
  }
}

function readHeader(piece: CsvPiece, { path, delimiter }: CsvStream): readonly string[] {
  const header = Buffer.from(piece.bytes.buffer);
  const line = piece.firstLine;
  if (!isUtf8(header) || header.includes(0)) {
    throw fileError('DATA_BAD_CSV', { file: path, line }, 'the header is not UTF-8 text');
  }
  const columns = splitCsvFields(header, delimiter.charCodeAt(0));
  const again = columns.find((name, i) => columns.indexOf(name) < i);
  if (again === undefined) return columns;
  throw fileError(
    'DATA_BAD_CSV',
    { file: path, line },
    `the header names the column '${again}' twice`,
    {
      details: { column: again },
      hint: 'The first row must name the columns, each once.',
    },
  );
}

function quoteNotClosed({ path }: CsvStream, held: HeldPiece): TuneyardError {
  return fileError(
    'DATA_BAD_CSV',
    { file: path, line: held.openLine },
    'a quote in the record that begins on this line is never closed',
    { hint: 'A quote within a quoted field is written twice.' },
  );
}

function recordTooLarge({ path }: CsvStream, held: HeldPiece): TuneyardError {
  return fileError(
    'DATA_RECORD_TOO_LARGE',
    { file: path, line: held.openLine },
    `the record that begins on this line is longer than ${MAX_RECORD_BYTES} bytes`,
    {
      category: 'resource_exhausted',
      details: { limit: MAX_RECORD_BYTES },
      hint: 'A quote that is not closed has the same effect.',
    },
  );
}
