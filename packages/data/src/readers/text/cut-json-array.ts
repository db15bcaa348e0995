/** Cuts a stream that is one JSON array into units of one element per line. */

import { joinElementLines } from '../kernels/scan-json-array.js';
import type { RecordUnit } from '../read-unit.js';
import { JsonArrayScanner, type RawRecord } from './json-array-scanner.js';
import { UnitBuilder } from './unit-builder.js';

const LINE_FEED = 0x0a;
/** Stands for an element that is missing between two commas: a comma, which is not JSON either. */
const MISSING = Buffer.from(',');

/**
 * Yields units of about `unitBytes`.
 *
 * Throws: `DATA_BAD_JSON` (array not closed, text after it), `DATA_RECORD_TOO_LARGE` (size or depth of an element).
 */
export async function* cutJsonArray(
  chunks: AsyncIterable<Buffer>,
  path: string,
  unitBytes: number,
): AsyncGenerator<RecordUnit, void, undefined> {
  const scanner = new JsonArrayScanner(path);
  const builder = new UnitBuilder({ path, layout: 'json-lines', table: null }, unitBytes);
  for await (const chunk of chunks) {
    for (const record of scanner.push(chunk)) {
      builder.add(elementLine(record), record.line);
      if (!builder.isFull) continue;
      const unit = builder.take();
      if (unit !== null) yield unit;
    }
  }
  scanner.finish();
  const last = builder.take();
  if (last !== null) yield last;
}

function elementLine({ bytes }: RawRecord): Buffer {
  if (bytes.every((byte) => byte <= 0x20 && byte !== 0)) return MISSING;
  if (bytes.includes(LINE_FEED)) joinElementLines(bytes);
  return bytes;
}
