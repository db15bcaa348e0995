/** The schema of an Arrow file: fields and their types. Source: Arrow's `Schema.fbs`, format version 1.5. */
import type { FlatTable } from './flat-table.js';

/** Numbers of the types in Arrow's metadata. */
export const ARROW_TYPES = {
  Null: 1,
  Int: 2,
  Float: 3,
  Binary: 4,
  Utf8: 5,
  Bool: 6,
  Decimal: 7,
  Date: 8,
  Time: 9,
  Timestamp: 10,
  Interval: 11,
  List: 12,
  Struct: 13,
  Union: 14,
  FixedBinary: 15,
  FixedList: 16,
  Map: 17,
  Duration: 18,
  LargeBinary: 19,
  LargeUtf8: 20,
  LargeList: 21,
  RunEndEncoded: 22,
  BinaryView: 23,
  Utf8View: 24,
} as const;

/** Deepest nesting and most fields of a schema; a table may be its own child. Real ones have 5 and a few hundred. */
const MAX_DEPTH = 64;
const MAX_FIELDS = 65_536;

/** A type; the numbers that do not apply are 0. */
export interface ArrowType {
  readonly id: number;
  /** Of numbers, 8 to 256. */
  readonly bitWidth: number;
  readonly isSigned: boolean;
  /** Bytes of a fixed binary value, elements of a fixed list. */
  readonly width: number;
  readonly scale: number;
  /** Of times: 0 seconds, 1 milli-, 2 micro-, 3 nanoseconds; of dates: 0 days, 1 milliseconds; of unions: 0 sparse. */
  readonly unit: number;
}

/** A column or a part of one. */
export interface ArrowField {
  readonly name: string;
  /** The type of values; of a dictionary-encoded field that of the dictionary's. */
  readonly type: ArrowType;
  readonly children: readonly ArrowField[];
  readonly dictionary: { readonly id: number; readonly indexType: ArrowType } | null;
}

/** Reads a schema. Throws: `Error` when it is damaged or big-endian. */
export function parseArrowSchema(schema: FlatTable): readonly ArrowField[] {
  if (schema.short(0, 0) !== 0) throw new Error('its numbers are big-endian');
  const budget = { fields: MAX_FIELDS };
  return schema.tables(1).map((field) => parseField(field, budget, 0));
}

function parseField(field: FlatTable, budget: { fields: number }, depth: number): ArrowField {
  budget.fields--;
  if (depth > MAX_DEPTH || budget.fields < 0) throw new Error('its schema is too large');
  const encoding = field.table(4);
  return {
    name: field.text(0),
    type: parseType(field.byte(2, 0) & 0xff, field.table(3)),
    children: field.tables(5).map((child) => parseField(child, budget, depth + 1)),
    dictionary:
      encoding === null ? null : { id: encoding.size(0), indexType: indexType(encoding.table(1)) },
  };
}

function indexType(table: FlatTable | null): ArrowType {
  if (table !== null) return parseType(ARROW_TYPES.Int, table);
  return { ...NO_NUMBERS, id: ARROW_TYPES.Int, bitWidth: 32, isSigned: true };
}

const NO_NUMBERS = { bitWidth: 0, isSigned: false, width: 0, scale: 0, unit: 0 };

function parseType(id: number, table: FlatTable | null): ArrowType {
  if (table === null) throw new Error('a field has no type');
  const type = { ...NO_NUMBERS, id };
  switch (id) {
    case ARROW_TYPES.Int:
      return { ...type, bitWidth: table.int(0, 0), isSigned: table.byte(1, 0) !== 0 };
    case ARROW_TYPES.Float:
      return { ...type, bitWidth: 16 << table.short(0, 0) };
    case ARROW_TYPES.Decimal:
      return { ...type, scale: table.int(1, 0), bitWidth: table.int(2, 128) };
    case ARROW_TYPES.Date:
      return { ...type, unit: table.short(0, 1), bitWidth: table.short(0, 1) === 0 ? 32 : 64 };
    case ARROW_TYPES.Time:
      return { ...type, unit: table.short(0, 1), bitWidth: table.int(1, 32), isSigned: true };
    case ARROW_TYPES.Timestamp:
    case ARROW_TYPES.Duration:
      return { ...type, unit: table.short(0, id === ARROW_TYPES.Timestamp ? 0 : 1), bitWidth: 64 };
    case ARROW_TYPES.Union:
      return { ...type, unit: table.short(0, 0) };
    case ARROW_TYPES.FixedBinary:
    case ARROW_TYPES.FixedList:
      return { ...type, width: table.int(0, 0) };
    default:
      return type;
  }
}
