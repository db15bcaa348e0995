/**
 * Reads the rows of one leaf column of a row group, page by page.
 *
 * At most one page is unpacked at a time, besides the dictionary. Pages of plain columns that are passed over are not
 * unpacked.
 */
import type { DecodedArray, PageHeader } from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';
import { MAX_PAGE_HEADER_BYTES } from '../../limits.js';
import { readExactly } from '../read-exactly.js';
import type { ChunkRange } from './parquet-file.js';
import { decodeDataPage, decodeDictionary, type LeafColumn } from './parquet-page.js';

/** Where a column's pages are read from. */
export interface PageSource {
  /** The open file; another descriptor of it may take its place between reads. */
  readonly open: { readonly descriptor: number };
  readonly path: string;
  readonly range: ChunkRange;
  /** Values that the column chunk declares, nulls included. */
  readonly values: number;
}

/** Bytes of a page header read at first; most have about 50. */
const HEADER_BYTES = 4096;

/** The rows of a leaf column, taken from its beginning to its end. */
export class ColumnPages {
  readonly leaf: LeafColumn;
  readonly #source: PageSource;
  #position: number;
  #valuesLeft: number;
  #dictionary: DecodedArray | undefined;
  #rows: ArrayLike<unknown> = [];
  #taken = 0;

  constructor(leaf: LeafColumn, source: PageSource) {
    this.leaf = leaf;
    this.#source = source;
    this.#position = source.range.begin;
    this.#valuesLeft = source.values;
  }

  /** Whole rows that are decoded and not taken; a list may go on in the next page. */
  get available(): number {
    const decoded = this.#rows.length - this.#taken;
    const isOpen = this.leaf.maxRepetitionLevel > 0 && this.#valuesLeft > 0;
    return isOpen ? Math.max(decoded - 1, 0) : decoded;
  }

  /** Decodes pages until a whole row is available. Throws: `Error` on damage or when no page is left. */
  fill(): void {
    while (this.available === 0) this.#readPage(0);
  }

  /** Passes over rows. */
  skip(count: number): void {
    for (let left = count; left > 0; ) {
      const step = Math.min(left, this.available);
      this.#taken += step;
      left -= step;
      if (left > 0) left -= this.#readPage(left);
    }
  }

  /** Takes rows that are available. */
  take(count: number): ArrayLike<unknown> {
    const begin = this.#taken;
    this.#taken += count;
    const rows = this.#rows as DecodedArray;
    return rows.slice(begin, this.#taken);
  }

  /** Reads a page; returns the rows that were passed over without decoding, at most `skippable`. */
  #readPage(skippable: number): number {
    if (this.#valuesLeft <= 0)
      throw new Error(`${this.#name}: its pages hold fewer rows than declared`);
    const header = this.#readHeader();
    const { open, path, range } = this.#source;
    const size = header.compressed_page_size;
    if (!(size >= 0) || this.#position + size > range.end) {
      throw new Error(`${this.#name}: a page declares ${size} bytes`);
    }
    const begin = this.#position;
    this.#position += size;
    const values = this.#valuesOf(header);
    if (values === null) {
      if (header.type === 'DICTIONARY_PAGE') {
        const packed = readExactly(open.descriptor, path, begin, size);
        this.#dictionary = decodeDictionary(header, packed, this.leaf);
      }
      return 0;
    }
    this.#valuesLeft -= values;
    // Some writers put pages without values between others.
    if (values === 0) return 0;
    if (this.leaf.isFlat && values <= skippable) return values;
    this.#decode(header, readExactly(open.descriptor, path, begin, size));
    return 0;
  }

  #decode(header: PageHeader, packed: Buffer): void {
    const rest = this.#taken === 0 ? this.#rows : (this.#rows as DecodedArray).slice(this.#taken);
    this.#taken = 0;
    // Rows of lists are appended, for the last may go on; other pages follow each other only when all are taken.
    const rows = Array.isArray(rest) ? rest : [];
    this.#rows = decodeDataPage(header, packed, this.leaf, this.#dictionary, rows);
  }

  /** Values that the page holds; null when it is no data page. */
  #valuesOf(header: PageHeader): number | null {
    const isData = header.type === 'DATA_PAGE' || header.type === 'DATA_PAGE_V2';
    if (!isData) return null;
    const declared = header.data_page_header_v2 ?? header.data_page_header;
    const values = declared?.num_values ?? -1;
    if (values >= 0 && values <= this.#valuesLeft) return values;
    throw new Error(`${this.#name}: a page declares ${values} of ${this.#valuesLeft} values`);
  }

  /** Reads a page header, of unknown length, with as many bytes as it takes. */
  #readHeader(): PageHeader {
    const { open, path, range } = this.#source;
    const left = range.end - this.#position;
    for (let length = HEADER_BYTES; ; length *= 64) {
      const bytes = readExactly(open.descriptor, path, this.#position, Math.min(length, left));
      const reader = { view: new DataView(bytes.buffer), offset: 0 };
      try {
        const header = parquetHeader(reader);
        this.#position += reader.offset;
        return header;
      } catch (error) {
        // Cut off by the bytes read, or damaged: more bytes tell which.
        if (length >= Math.min(left, MAX_PAGE_HEADER_BYTES)) throw error;
      }
    }
  }

  get #name(): string {
    return `column ${this.leaf.decoder.pathInSchema.join('.')}`;
  }
}
