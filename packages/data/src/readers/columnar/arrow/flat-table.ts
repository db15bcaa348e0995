/**
 * Reads tables of a FlatBuffer: the encoding of Arrow's metadata.
 *
 * Only what Arrow uses. Every offset is followed with a read that throws beyond the buffer, so that damage is a range
 * error and never a value from elsewhere.
 * Source: https://flatbuffers.dev/internals
 */

/** A run of equal elements in a buffer. */
export interface FlatVector {
  /** Index of the first element. */
  readonly begin: number;
  readonly length: number;
}

/** One table, at `position` of `bytes`. */
export class FlatTable {
  readonly #bytes: Buffer;
  readonly #position: number;

  constructor(bytes: Buffer, position: number) {
    this.#bytes = bytes;
    this.#position = position;
  }

  /** The table that a buffer begins with. */
  static root(bytes: Buffer): FlatTable {
    return new FlatTable(bytes, bytes.readUInt32LE(0));
  }

  /** An integer of one byte; `absent` when the field is left out. */
  byte(field: number, absent: number): number {
    const at = this.#find(field);
    return at === 0 ? absent : this.#bytes.readInt8(at);
  }

  short(field: number, absent: number): number {
    const at = this.#find(field);
    return at === 0 ? absent : this.#bytes.readInt16LE(at);
  }

  int(field: number, absent: number): number {
    const at = this.#find(field);
    return at === 0 ? absent : this.#bytes.readInt32LE(at);
  }

  /** An integer of eight bytes. Throws: `RangeError` when it is negative or beyond 2^53. */
  size(field: number): number {
    const at = this.#find(field);
    return at === 0 ? 0 : readSize(this.#bytes, at);
  }

  table(field: number): FlatTable | null {
    const at = this.#find(field);
    return at === 0 ? null : new FlatTable(this.#bytes, at + this.#bytes.readUInt32LE(at));
  }

  text(field: number): string {
    const { begin, length } = this.vector(field, 1);
    return this.#bytes.toString('utf8', begin, begin + length);
  }

  tables(field: number): FlatTable[] {
    const { begin, length } = this.vector(field, 4);
    return Array.from({ length }, (_, i) => {
      const at = begin + 4 * i;
      return new FlatTable(this.#bytes, at + this.#bytes.readUInt32LE(at));
    });
  }

  /** Numbers of eight bytes each; a struct of two counts as two. */
  sizes(field: number, perElement: number): number[] {
    const { begin, length } = this.vector(field, 8 * perElement);
    return Array.from({ length: length * perElement }, (_, i) =>
      readSize(this.#bytes, begin + 8 * i),
    );
  }

  /** A vector whose elements lie in the buffer; empty when the field is left out. */
  vector(field: number, elementBytes: number): FlatVector {
    const at = this.#find(field);
    if (at === 0) return { begin: 0, length: 0 };
    const start = at + this.#bytes.readUInt32LE(at);
    const length = this.#bytes.readUInt32LE(start);
    if (start + 4 + length * elementBytes <= this.#bytes.length)
      return { begin: start + 4, length };
    throw new RangeError(`a list of ${length} elements passes the end of its message`);
  }

  /** Index of a field's value; 0 when the field is left out. */
  #find(field: number): number {
    const table = this.#position - this.#bytes.readInt32LE(this.#position);
    const slot = 4 + 2 * field;
    if (slot >= this.#bytes.readUInt16LE(table)) return 0;
    const offset = this.#bytes.readUInt16LE(table + slot);
    return offset === 0 ? 0 : this.#position + offset;
  }
}

function readSize(bytes: Buffer, at: number): number {
  const value = Number(bytes.readBigInt64LE(at));
  if (value >= 0 && Number.isSafeInteger(value)) return value;
  throw new RangeError(`a size of ${value}`);
}
