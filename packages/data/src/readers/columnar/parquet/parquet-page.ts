/**
 * Decodes one Parquet data page after checking what it declares.
 *
 * The decoding itself (levels, encodings, conversion) is hyparquet's.
 */
import type { DecodedArray, PageHeader, SchemaTree } from 'hyparquet';
import { assembleLists } from 'hyparquet/src/assemble.js';
import { convert, convertWithDictionary } from 'hyparquet/src/convert.js';
import { readDataPage, readDataPageV2 } from 'hyparquet/src/datapage.js';
import { readRleBitPackedHybrid } from 'hyparquet/src/encoding.js';
import { readPlain } from 'hyparquet/src/plain.js';
import { areRunsSound, type HybridRuns, largestIndex } from '../../kernels/check-rle-runs.js';
import { MAX_PAGE_VALUES } from '../../limits.js';
import { checkDelta } from './check-delta.js';
import { unpackPage } from './unpack-page.js';

/** What hyparquet is told about a column. */
type ColumnDecoder = Parameters<typeof convert>[1];

/** A leaf column: its place in the schema and how its values are decoded. */
export interface LeafColumn {
  readonly decoder: ColumnDecoder;
  readonly maxDefinitionLevel: number;
  readonly maxRepetitionLevel: number;
  /** Whether a value is a row: no list, no struct. */
  readonly isFlat: boolean;
}

/** Describes a leaf column. */
export function leafColumn(
  schemaPath: SchemaTree[],
  decoder: Omit<ColumnDecoder, 'schemaPath' | 'element'>,
): LeafColumn {
  const levels = schemaPath.slice(1).map(({ element }) => element.repetition_type);
  const leaf = schemaPath.at(-1) as SchemaTree;
  return {
    decoder: { ...decoder, schemaPath, element: leaf.element },
    maxDefinitionLevel: levels.filter((level) => level !== 'REQUIRED').length,
    maxRepetitionLevel: levels.filter((level) => level === 'REPEATED').length,
    isFlat: levels.length === 1 && levels[0] !== 'REPEATED',
  };
}

/** Decodes a dictionary page. Throws: `Error` on damage. */
export function decodeDictionary(
  header: PageHeader,
  packed: Buffer,
  { decoder }: LeafColumn,
): DecodedArray {
  const declared = header.dictionary_page_header;
  if (declared === undefined) throw new Error('a dictionary page has no header of its kind');
  checkCount(declared.num_values);
  const page = unpackPage(packed, header.uncompressed_page_size, decoder.codec);
  const reader = { view: viewOf(page), offset: 0 };
  const values = readPlain(reader, decoder.type, declared.num_values, decoder.element.type_length);
  return convert(values, decoder);
}

/**
 * Decodes a data page into rows of the leaf. With lists, rows are appended to `rows`, whose last may be continued.
 *
 * Throws: `Error` on damage.
 */
export function decodeDataPage(
  header: PageHeader,
  packed: Buffer,
  leaf: LeafColumn,
  dictionary: DecodedArray | undefined,
  rows: unknown[],
): DecodedArray {
  const isV2 = header.type === 'DATA_PAGE_V2';
  const declared = isV2 ? header.data_page_header_v2 : header.data_page_header;
  if (declared === undefined) throw new Error('a data page has no header of its kind');
  const { num_values: count, encoding } = declared;
  checkCount(count);
  const { decoder } = leaf;
  const page = isV2
    ? unpackV2(header, packed, leaf)
    : unpackPage(packed, header.uncompressed_page_size, decoder.codec);
  const valuesBegin = isV2 ? checkLevelsV2(page, header, leaf) : checkLevels(page, leaf, count);
  checkValueRuns(page, valuesBegin, { encoding, count, isBoolean: decoder.type === 'BOOLEAN' });
  if (encoding.startsWith('DELTA_')) {
    const values = count - (isV2 ? levelSizes(header).nulls : countNulls(page, leaf, count));
    checkDelta(page, { begin: valuesBegin, encoding, count: values });
  }
  const isDictionary = isDictionaryEncoding(encoding);
  if (isDictionary && dictionary === undefined) throw new Error('a page lacks its dictionary');
  const { definitionLevels, repetitionLevels, dataPage } = isV2
    ? readDataPageV2(page, asUnpacked(header, page), decoder)
    : readDataPage(page, declared as DataPageHeader, decoder);
  if (isDictionary && largestIndex(dataPage as number[]) >= (dictionary?.length ?? 0)) {
    throw new Error('a page names a value beyond its dictionary');
  }
  const values = convertWithDictionary(dataPage, dictionary, encoding, decoder);
  if (repetitionLevels[0] && rows.length === 0) throw new Error('a list begins in its middle');
  return assembleLists(rows, definitionLevels, repetitionLevels, values, decoder.schemaPath);
}

type DataPageHeader = NonNullable<PageHeader['data_page_header']>;

function isDictionaryEncoding(encoding: string): boolean {
  return encoding === 'RLE_DICTIONARY' || encoding === 'PLAIN_DICTIONARY';
}

function checkCount(count: number): void {
  if (!(count >= 0) || count > MAX_PAGE_VALUES) throw new Error(`a page declares ${count} values`);
}

/** Checks the levels at the beginning of a page, each with its length before it; returns where the values begin. */
function checkLevels(page: Buffer, leaf: LeafColumn, count: number): number {
  let at = 0;
  for (const level of [leaf.maxRepetitionLevel, leaf.maxDefinitionLevel]) {
    if (level === 0) continue;
    const begin = at + 4;
    at = begin + page.readUInt32LE(at);
    checkRuns(page, { begin, end: at, width: bitWidth(level), count });
  }
  return at;
}

/** As {@link checkLevels}, with the lengths in the header. */
function checkLevelsV2(page: Buffer, header: PageHeader, leaf: LeafColumn): number {
  const { repetition, definition, count } = levelSizes(header);
  const width = bitWidth(leaf.maxRepetitionLevel);
  if (leaf.maxRepetitionLevel > 0) checkRuns(page, { begin: 0, end: repetition, width, count });
  const begin = repetition;
  const end = repetition + definition;
  if (leaf.maxDefinitionLevel > 0) {
    checkRuns(page, { begin, end, width: bitWidth(leaf.maxDefinitionLevel), count });
  }
  return end;
}

/** Checks the runs of dictionary indices and of run-length coded booleans. */
function checkValueRuns(
  page: Buffer,
  begin: number,
  values: { readonly encoding: string; readonly count: number; readonly isBoolean: boolean },
): void {
  const { encoding, count, isBoolean } = values;
  const end = page.length;
  if (isDictionaryEncoding(encoding) && !isBoolean && begin < end) {
    const width = page.readUInt8(begin);
    // Indices of no bits are all the first value; some writers leave the runs out.
    if (width > 0) checkRuns(page, { begin: begin + 1, end, width, count });
  } else if (encoding === 'RLE' && isBoolean && begin + 4 <= end) {
    checkRuns(page, { begin: begin + 4, end, width: 1, count });
  }
}

/** Counts the values of a page that are null or belong to a missing list. */
function countNulls(page: Buffer, leaf: LeafColumn, count: number): number {
  if (leaf.maxDefinitionLevel === 0) return 0;
  const begin = leaf.maxRepetitionLevel > 0 ? 4 + page.readUInt32LE(0) : 0;
  const levels = new Array<number>(count);
  const width = bitWidth(leaf.maxDefinitionLevel);
  readRleBitPackedHybrid({ view: viewOf(page), offset: begin }, width, levels);
  return levels.filter((level) => level !== leaf.maxDefinitionLevel).length;
}

function checkRuns(page: Buffer, runs: HybridRuns): void {
  if (!areRunsSound(page, runs)) throw new Error('a run in a page is longer than the page');
}

/** Levels are never packed in pages of version 2; the result is those levels and the unpacked values. */
function unpackV2(header: PageHeader, packed: Buffer, leaf: LeafColumn): Buffer {
  const { repetition, definition } = levelSizes(header);
  const levelBytes = repetition + definition;
  if (levelBytes > packed.length) throw new Error(`a page declares ${levelBytes} bytes of levels`);
  if (header.data_page_header_v2?.is_compressed === false) return packed;
  const length = header.uncompressed_page_size - levelBytes;
  const values = unpackPage(packed.subarray(levelBytes), length, leaf.decoder.codec);
  return Buffer.concat([packed.subarray(0, levelBytes), values]);
}

function levelSizes(header: PageHeader) {
  const declared = header.data_page_header_v2;
  const repetition = declared?.repetition_levels_byte_length ?? 0;
  const definition = declared?.definition_levels_byte_length ?? 0;
  const count = declared?.num_values ?? 0;
  const nulls = declared?.num_nulls ?? 0;
  if (repetition < 0 || definition < 0 || nulls < 0 || nulls > count) {
    throw new Error('a page declares sizes that cannot be');
  }
  return { repetition, definition, count, nulls };
}

function asUnpacked(header: PageHeader, page: Buffer): PageHeader {
  const declared = header.data_page_header_v2;
  if (declared === undefined) return header;
  return {
    ...header,
    uncompressed_page_size: page.length,
    data_page_header_v2: { ...declared, is_compressed: false },
  };
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function bitWidth(value: number): number {
  return 32 - Math.clz32(value);
}
