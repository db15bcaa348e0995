/** Decodes the rows [begin, end) of one column of a record batch. */

import { plainRecord } from '../../plain-record.js';
import { decodeText } from '../column-values.js';
import { ARROW_TYPES, type ArrowField, type ArrowType } from './arrow-schema.js';
import type { BufferSlice, ColumnCursor } from './column-cursor.js';
import { readNumbers } from './read-numbers.js';

/** Values of dictionaries by their ids. */
export type DictionaryValues = ReadonlyMap<number, readonly unknown[]>;

/** A range of rows, and whether a null can be among them. */
interface NodeRange {
  readonly begin: number;
  readonly end: number;
  readonly hasNulls: boolean;
}

/**
 * Reads the values of a column as those of JSON; bytes stay bytes, a text that is not UTF-8 is `BAD_TEXT`.
 *
 * Throws: `Error` when the column is damaged or of a type that is not read.
 */
export function readColumn(
  field: ArrowField,
  cursor: ColumnCursor,
  dictionaries: DictionaryValues,
  begin: number,
  end: number,
): unknown[] {
  const { length, nulls } = cursor.nextNode();
  if (end > length)
    throw new Error(`column ${field.name} has ${length} rows where ${end} are needed`);
  const range = { begin, end, hasNulls: nulls > 0 };
  if (field.dictionary !== null) return readEncoded(field, cursor, dictionaries, range);
  const { type } = field;
  switch (type.id) {
    case ARROW_TYPES.Null:
      return new Array<null>(end - begin).fill(null);
    case ARROW_TYPES.Utf8:
    case ARROW_TYPES.LargeUtf8:
    case ARROW_TYPES.Binary:
    case ARROW_TYPES.LargeBinary:
      return readTexts(type, cursor, range);
    case ARROW_TYPES.Utf8View:
    case ARROW_TYPES.BinaryView:
      return readViews(type, cursor, range);
    case ARROW_TYPES.List:
    case ARROW_TYPES.LargeList:
    case ARROW_TYPES.Map:
      return readLists(field, cursor, dictionaries, range);
    case ARROW_TYPES.FixedList:
      return readFixedLists(field, cursor, dictionaries, range);
    case ARROW_TYPES.Struct:
      return readStructs(field, cursor, dictionaries, range);
    default: {
      const isNull = readNulls(cursor.nextBuffer(), range);
      const values = readNumbers(type, cursor.nextBuffer(), begin, end);
      return mask(values, isNull);
    }
  }
}

/** Tells which rows are null. */
type NullTest = ((row: number) => boolean) | null;

function readNulls(buffer: BufferSlice, { begin, end, hasNulls }: NodeRange): NullTest {
  if (!hasNulls || end === begin) return null;
  const first = begin >> 3;
  const bits = buffer.slice(first, (end + 7) >> 3);
  return (row) => {
    const at = begin + row;
    return (((bits[(at >> 3) - first] ?? 0) >> (at & 7)) & 1) === 0;
  };
}

function mask(values: unknown[], isNull: NullTest): unknown[] {
  if (isNull === null) return values;
  return values.map((value, row) => (isNull(row) ? null : value));
}

/** The offsets of rows [begin, end], ascending. */
function readOffsets(buffer: BufferSlice, isLarge: boolean, { begin, end }: NodeRange): number[] {
  if (begin === end) return [0];
  const width = isLarge ? 8 : 4;
  const bytes = buffer.slice(begin * width, (end + 1) * width);
  const offsets: number[] = [];
  let last = 0;
  for (let at = 0; at < bytes.length; at += width) {
    const offset = isLarge ? Number(bytes.readBigInt64LE(at)) : bytes.readInt32LE(at);
    if (offset < last) throw new Error(`offset ${offset} after ${last}`);
    offsets.push(offset);
    last = offset;
  }
  return offsets;
}

function readTexts(type: ArrowType, cursor: ColumnCursor, range: NodeRange): unknown[] {
  const isLarge = type.id === ARROW_TYPES.LargeUtf8 || type.id === ARROW_TYPES.LargeBinary;
  const isText = type.id === ARROW_TYPES.Utf8 || type.id === ARROW_TYPES.LargeUtf8;
  const isNull = readNulls(cursor.nextBuffer(), range);
  const offsets = readOffsets(cursor.nextBuffer(), isLarge, range);
  const first = offsets[0] ?? 0;
  const bytes = cursor.nextBuffer().slice(first, offsets.at(-1) ?? first);
  return Array.from({ length: range.end - range.begin }, (_, row) => {
    if (isNull?.(row) === true) return null;
    const value = bytes.subarray((offsets[row] ?? 0) - first, (offsets[row + 1] ?? 0) - first);
    return isText ? decodeText(value) : new Uint8Array(value);
  });
}

/** Bytes of a view: length, then the value itself when it has at most 12, else its place. */
const VIEW_BYTES = 16;

function readViews(type: ArrowType, cursor: ColumnCursor, range: NodeRange): unknown[] {
  const isNull = readNulls(cursor.nextBuffer(), range);
  const views = cursor.nextBuffer().slice(range.begin * VIEW_BYTES, range.end * VIEW_BYTES);
  const data = Array.from({ length: cursor.nextViewCount() }, () => cursor.nextBuffer());
  return Array.from({ length: range.end - range.begin }, (_, row) => {
    if (isNull?.(row) === true) return null;
    const value = viewedBytes(views.subarray(row * VIEW_BYTES, (row + 1) * VIEW_BYTES), data);
    return type.id === ARROW_TYPES.Utf8View ? decodeText(value) : new Uint8Array(value);
  });
}

function viewedBytes(view: Buffer, data: readonly BufferSlice[]): Buffer {
  const length = view.readInt32LE(0);
  if (length >= 0 && length <= 12) return view.subarray(4, 4 + length);
  const buffer = data[view.readInt32LE(8)];
  const begin = view.readInt32LE(12);
  if (buffer === undefined) throw new Error('a view names a buffer that is not there');
  return buffer.slice(begin, begin + length);
}

function readLists(
  field: ArrowField,
  cursor: ColumnCursor,
  dictionaries: DictionaryValues,
  range: NodeRange,
): unknown[] {
  const isNull = readNulls(cursor.nextBuffer(), range);
  const isLarge = field.type.id === ARROW_TYPES.LargeList;
  const offsets = readOffsets(cursor.nextBuffer(), isLarge, range);
  const first = offsets[0] ?? 0;
  const last = offsets.at(-1) ?? first;
  const values = readColumn(childOf(field), cursor, dictionaries, first, last);
  return Array.from({ length: range.end - range.begin }, (_, row) => {
    if (isNull?.(row) === true) return null;
    const list = values.slice((offsets[row] ?? 0) - first, (offsets[row + 1] ?? 0) - first);
    return field.type.id === ARROW_TYPES.Map ? entriesToObject(list, childOf(field)) : list;
  });
}

/** A map becomes an object, as its Parquet form does. */
function entriesToObject(entries: readonly unknown[], child: ArrowField): Record<string, unknown> {
  const [key, value] = child.children.map(({ name }) => name);
  const pairs = entries as readonly Record<string, unknown>[];
  return plainRecord(
    pairs.map((pair) => String(pair[key ?? ''])),
    pairs.map((pair) => pair[value ?? '']),
  );
}

function readFixedLists(
  field: ArrowField,
  cursor: ColumnCursor,
  dictionaries: DictionaryValues,
  range: NodeRange,
): unknown[] {
  const isNull = readNulls(cursor.nextBuffer(), range);
  const { width } = field.type;
  if (width < 0) throw new Error(`lists of ${width} elements`);
  const { begin, end } = range;
  const values = readColumn(childOf(field), cursor, dictionaries, begin * width, end * width);
  return Array.from({ length: end - begin }, (_, row) =>
    isNull?.(row) === true ? null : values.slice(row * width, (row + 1) * width),
  );
}

function readStructs(
  field: ArrowField,
  cursor: ColumnCursor,
  dictionaries: DictionaryValues,
  range: NodeRange,
): unknown[] {
  const isNull = readNulls(cursor.nextBuffer(), range);
  const names = field.children.map(({ name }) => name);
  const columns = field.children.map((child) =>
    readColumn(child, cursor, dictionaries, range.begin, range.end),
  );
  return Array.from({ length: range.end - range.begin }, (_, row) =>
    isNull?.(row) === true
      ? null
      : plainRecord(
          names,
          columns.map((column) => column[row]),
        ),
  );
}

function readEncoded(
  field: ArrowField,
  cursor: ColumnCursor,
  dictionaries: DictionaryValues,
  range: NodeRange,
): unknown[] {
  const { id, indexType } = field.dictionary as NonNullable<ArrowField['dictionary']>;
  const isNull = readNulls(cursor.nextBuffer(), range);
  const indices = readNumbers(indexType, cursor.nextBuffer(), range.begin, range.end);
  const values = dictionaries.get(id);
  return indices.map((index, row) => {
    if (isNull?.(row) === true) return null;
    const value = values?.[Number(index)];
    if (value === undefined)
      throw new Error(`column ${field.name} names value ${index} of its dictionary`);
    return value;
  });
}

function childOf(field: ArrowField): ArrowField {
  const child = field.children[0];
  if (child === undefined) throw new Error(`column ${field.name} is a list of nothing`);
  return child;
}
