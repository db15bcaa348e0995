/**
 * Checks delta-encoded values before hyparquet decodes them: block sizes that lead its loops backwards, and prefixes
 * that are longer than the value before them.
 *
 * Source: Apache Parquet, "Encodings", delta encodings.
 */
import { deltaBinaryUnpack } from 'hyparquet/src/delta.js';
import { readVarInt } from 'hyparquet/src/thrift.js';
import { MAX_EXPANSION, PAGE_EXPANSION_FLOOR_BYTES } from '../../limits.js';

/** Where values begin, how they are encoded and how many there are, nulls left out. */
export interface DeltaValues {
  readonly begin: number;
  readonly encoding: string;
  readonly count: number;
}

/** Blocks of all known writers have 128 values in 4 parts. */
const MAX_BLOCK_VALUES = 1 << 20;

interface PageReader {
  readonly view: DataView;
  offset: number;
}

/** Throws: `Error` when the values cannot be decoded in time and memory of the order of the page. */
export function checkDelta(page: Buffer, { begin, encoding, count }: DeltaValues): void {
  if (begin >= page.length) return;
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const reader: PageReader = { view, offset: begin };
  checkBlockSizes(reader);
  if (encoding !== 'DELTA_BYTE_ARRAY') return;
  const prefixes = new Int32Array(count);
  deltaBinaryUnpack(reader, count, prefixes);
  checkBlockSizes(reader);
  const suffixes = new Int32Array(count);
  deltaBinaryUnpack(reader, count, suffixes);
  checkLengths(prefixes, suffixes, page.length);
}

/** Looks at the header of a run of deltas; leaves the reader before it. */
function checkBlockSizes(reader: PageReader): void {
  const header = { view: reader.view, offset: reader.offset };
  const blockValues = readVarInt(header);
  const parts = readVarInt(header);
  const isSound =
    blockValues > 0 && blockValues <= MAX_BLOCK_VALUES && parts > 0 && blockValues % parts === 0;
  if (!isSound)
    throw new Error(`a page declares blocks of ${blockValues} values in ${parts} parts`);
}

function checkLengths(prefixes: Int32Array, suffixes: Int32Array, pageBytes: number): void {
  const limit = Math.max(PAGE_EXPANSION_FLOOR_BYTES, pageBytes * MAX_EXPANSION);
  let last = 0;
  let total = 0;
  for (const [i, prefix] of prefixes.entries()) {
    const suffix = suffixes[i] ?? 0;
    if (prefix < 0 || suffix < 0 || prefix > last) {
      throw new Error(`a text shares ${prefix} bytes with one of ${last}`);
    }
    last = prefix + suffix;
    total += last;
    if (total > limit) throw new Error(`a page of ${pageBytes} bytes holds more than ${limit}`);
  }
}
