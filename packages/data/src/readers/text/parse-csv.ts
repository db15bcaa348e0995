/** Parses the CSV records of a unit into items. */
import { isUtf8 } from 'node:buffer';
import { createCsvScan, scanCsvRecord, splitCsvFields } from '../kernels/scan-csv.js';
import { LINE_WINDOW_BYTES } from '../limits.js';
import { plainRecord } from '../plain-record.js';
import type { ReadItem } from '../read-item.js';
import type { DelimitedTable } from '../read-unit.js';
import type { LinePosition } from './parse-lines.js';

/**
 * Yields the records of `bytes` in batches: an object with a text per column, or a malformed item where the number of
 * fields differs from the header's.
 *
 * Mutates: `position`.
 */
export function* parseCsv(
  bytes: Buffer,
  table: DelimitedTable,
  position: LinePosition,
): Generator<readonly ReadItem[], void, undefined> {
  const scan = createCsvScan(table.delimiter, position.lines + 1);
  let items: ReadItem[] = [];
  let batchBegin = 0;
  for (let begin = 0; begin < bytes.length; ) {
    const line = scan.line;
    const found = scanCsvRecord(scan, bytes, begin);
    const end = found < 0 ? bytes.length : found;
    const isBlank = found >= 0 && scan.isBlank;
    if (!isBlank) items.push(parseRecord(bytes.subarray(begin, end), table, ++position.rows, line));
    begin = end;
    if (end - batchBegin < LINE_WINDOW_BYTES) continue;
    yield items;
    items = [];
    batchBegin = end;
  }
  position.lines = scan.line - 1;
  if (items.length > 0) yield items;
}

function parseRecord(record: Buffer, table: DelimitedTable, row: number, line: number): ReadItem {
  const malformed = (reason: string): ReadItem => ({ kind: 'malformed', row, line, reason });
  if (!isUtf8(record)) return malformed('bytes that are not UTF-8');
  if (record.includes(0)) return malformed('a NUL byte');
  const fields = splitCsvFields(record, table.delimiter.charCodeAt(0));
  const { columns } = table;
  if (fields.length === columns.length) {
    return { kind: 'record', row, value: plainRecord(columns, fields) };
  }
  return malformed(`${fields.length} fields where the header has ${columns.length}`);
}
