/**
 * Opens an Arrow file of either form, stream or file, and lists its record batches.
 *
 * Both forms hold the same messages, so that the walk from message to message serves both; the footer of the file form
 * is only looked for as the sign that the file is whole. Sizes are compared with the file before anything is read.
 * Source: Arrow columnar format 1.5, "Serialization and Interprocess Communication".
 */
import { closeSync, openSync, statSync } from 'node:fs';
import { cannotOpen } from '../../file-errors.js';
import { MAX_FOOTER_BYTES } from '../../limits.js';
import { guardDecoder } from '../guard-decoder.js';
import { readExactly } from '../read-exactly.js';
import { type ArrowField, parseArrowSchema } from './arrow-schema.js';
import { FlatTable } from './flat-table.js';

const FILE_MAGIC = 'ARROW1';
const CONTINUATION = 0xffffffff;
const SCHEMA = 1;
const DICTIONARY_BATCH = 2;
const RECORD_BATCH = 3;

/** The buffers of a batch: where they lie in the file and what they hold. */
export interface ArrowBatch {
  readonly rows: number;
  /** Of each node: length and count of nulls. */
  readonly nodes: readonly number[];
  /** Of each buffer: place in the file and length. */
  readonly buffers: readonly number[];
  /** How buffers are compressed: -1 not, 0 LZ4 frames, 1 Zstandard. */
  readonly codec: number;
  /** Of each view column: the count of its data buffers. */
  readonly viewBuffers: readonly number[];
}

/** The values of a dictionary, or more of them. */
export interface ArrowDictionary {
  readonly id: number;
  readonly isDelta: boolean;
  readonly batch: ArrowBatch;
  /** Record batches before it in the file: it holds for those after. */
  readonly batchesBefore: number;
}

/** An Arrow file whose messages were listed. */
export interface ArrowFile {
  readonly path: string;
  readonly fields: readonly ArrowField[];
  readonly batches: readonly ArrowBatch[];
  readonly dictionaries: readonly ArrowDictionary[];
  readonly rows: number;
}

/** The file read last by this thread: units of a file follow each other. */
let last: { readonly key: string; readonly file: ArrowFile } | null = null;

/** Lists the messages of a file. Throws: `DATA_FILE_NOT_FOUND`, `DATA_BAD_ARROW`. */
export function openArrow(path: string): ArrowFile {
  const { size, mtimeMs, ino } = statOf(path);
  const key = `${path}\0${size}\0${mtimeMs}\0${ino}`;
  if (last?.key === key) return last.file;
  const descriptor = openSync(path, 'r');
  try {
    const file = guardArrow(path, () => new MessageWalk(descriptor, path, size).listFile());
    last = { key, file };
    return file;
  } finally {
    closeSync(descriptor);
  }
}

function statOf(path: string) {
  try {
    return statSync(path);
  } catch (error) {
    throw cannotOpen(path, error);
  }
}

/** A message: its metadata and where its body begins. */
interface Message {
  readonly table: FlatTable;
  readonly bodyBegin: number;
  readonly bodyBytes: number;
}

/** Goes from message to message. */
class MessageWalk {
  readonly #descriptor: number;
  readonly #path: string;
  readonly #end: number;
  readonly #isFile: boolean;
  #position: number;
  readonly #batches: ArrowBatch[] = [];
  readonly #dictionaries: ArrowDictionary[] = [];

  constructor(descriptor: number, path: string, size: number) {
    this.#descriptor = descriptor;
    this.#path = path;
    this.#isFile = size >= 8 && this.#read(0, 6).toString('latin1') === FILE_MAGIC;
    this.#position = this.#isFile ? 8 : 0;
    this.#end = this.#isFile ? this.#footerBegin(size) : size;
  }

  listFile(): ArrowFile {
    const first = this.#next();
    if (first?.table.byte(1, 0) !== SCHEMA) throw new Error('it does not begin with a schema');
    const schema = first.table.table(2);
    if (schema === null) throw new Error('its schema is missing');
    const fields = parseArrowSchema(schema);
    for (let message = this.#next(); message !== null; message = this.#next()) this.#add(message);
    const rows = this.#batches.reduce((sum, batch) => sum + batch.rows, 0);
    // In the file form dictionaries hold for all batches.
    const dictionaries = this.#isFile
      ? this.#dictionaries.map((dictionary) => ({ ...dictionary, batchesBefore: 0 }))
      : this.#dictionaries;
    return { path: this.#path, fields, batches: this.#batches, dictionaries, rows };
  }

  #add(message: Message): void {
    const kind = message.table.byte(1, 0);
    const header = message.table.table(2);
    if (header === null) throw new Error('a message has no header');
    if (kind === RECORD_BATCH) this.#batches.push(parseBatch(header, message));
    else if (kind === DICTIONARY_BATCH) {
      const data = header.table(1);
      if (data === null) throw new Error('a dictionary has no values');
      this.#dictionaries.push({
        id: header.size(0),
        isDelta: header.byte(2, 0) !== 0,
        batch: parseBatch(data, message),
        batchesBefore: this.#batches.length,
      });
    } else throw new Error(`a message is of the kind ${kind}`);
  }

  /** The next message; null at the end. */
  #next(): Message | null {
    const left = this.#end - this.#position;
    // A stream that was closed without its end mark ends with the file.
    if (left === 0) return null;
    if (left < 8) throw new Error('it is cut off in the head of a message');
    const head = this.#read(this.#position, 8);
    if (head.readUInt32LE(0) !== CONTINUATION) throw new Error('a message does not begin as one');
    const length = head.readUInt32LE(4);
    if (length === 0) return null;
    const metadataBegin = this.#position + 8;
    if (length > MAX_FOOTER_BYTES || metadataBegin + length > this.#end) {
      throw new Error(`the metadata of a message declares ${length} bytes, ${left - 8} are left`);
    }
    const table = FlatTable.root(this.#read(metadataBegin, length));
    const bodyBegin = metadataBegin + length;
    const bodyBytes = table.size(3);
    if (bodyBegin + bodyBytes > this.#end) {
      throw new Error(
        `it is cut off: batch ${this.#batches.length + 1} declares ${bodyBytes} bytes, ` +
          `${this.#end - bodyBegin} are left`,
      );
    }
    this.#position = bodyBegin + bodyBytes;
    return { table, bodyBegin, bodyBytes };
  }

  #footerBegin(size: number): number {
    const tail = size >= 18 ? this.#read(size - 10, 10) : Buffer.alloc(10);
    const begin = size - 10 - tail.readUInt32LE(0);
    if (tail.toString('latin1', 4) === FILE_MAGIC && begin >= 8) return begin;
    throw new Error('it does not end as an Arrow file does: it is cut off');
  }

  #read(position: number, length: number): Buffer {
    return readExactly(this.#descriptor, this.#path, position, length);
  }
}

function parseBatch(header: FlatTable, { bodyBegin, bodyBytes }: Message): ArrowBatch {
  const declared = header.sizes(2, 2);
  const buffers = declared.map((value, i) => (i % 2 === 0 ? bodyBegin + value : value));
  for (let i = 0; i < declared.length; i += 2) {
    const end = (declared[i] ?? 0) + (declared[i + 1] ?? 0);
    if (end > bodyBytes) throw new Error(`a buffer ends at byte ${end} of a body of ${bodyBytes}`);
  }
  const compression = header.table(3);
  return {
    rows: header.size(0),
    nodes: header.sizes(1, 2),
    buffers,
    codec: compression === null ? -1 : compression.byte(0, 0),
    viewBuffers: header.sizes(4, 1),
  };
}

/** {@link guardDecoder} for Arrow. */
export function guardArrow<T>(path: string, run: () => T, where = ''): T {
  return guardDecoder({ path, kind: 'Arrow' }, run, where);
}
