/** Reads rows of a Parquet file: the columns asked for, some pages at a time. */
import { closeSync, openSync } from 'node:fs';
import { throwIfAborted } from '@tuneyard/core';
import type { SchemaTree } from 'hyparquet';
import { ROW_BATCH } from '../../limits.js';
import type { ReadItem } from '../../read-item.js';
import type { RowUnit } from '../../read-unit.js';
import type { LinePosition } from '../../text/parse-lines.js';
import { chooseColumns } from '../choose-columns.js';
import { hasBadText } from '../column-values.js';
import { GroupReader } from './group-reader.js';
import { guardParquet, openParquet, type ParquetFile } from './parquet-file.js';

/** Options of reading rows. */
export interface ReadRowsOptions {
  readonly columns?: readonly string[];
  readonly signal?: AbortSignal;
}

/** A row group and the rows of it that are wanted, counted from its first. */
interface GroupRows {
  readonly index: number;
  readonly begin: number;
  readonly end: number;
}

/**
 * Yields the rows of a unit in batches.
 *
 * Mutates: `position`. Throws: `DATA_BAD_PARQUET`, `DATA_NO_SUCH_COLUMN`, `DATA_RECORD_TOO_LARGE`.
 */
export function* parquetBatches(
  unit: RowUnit,
  options: ReadRowsOptions,
  position: LinePosition,
): Generator<readonly ReadItem[], void, undefined> {
  const file = openParquet(unit.path);
  const names = file.schema.children.map(({ element }) => element.name);
  const chosen = chooseColumns(unit.path, names, options.columns);
  const columns = file.schema.children.filter(({ element }) => chosen.includes(element.name));
  const descriptor = openSync(unit.path, 'r');
  try {
    for (const group of groupsOf(file, unit)) {
      const reader = readerAt(file, descriptor, group, columns);
      for (let left = group.end - group.begin; left > 0; ) {
        throwIfAborted(options.signal);
        const where = `row group ${group.index + 1}: `;
        const records = guardParquet(
          unit.path,
          () => reader.read(Math.min(left, ROW_BATCH)),
          where,
        );
        left -= records.length;
        yield records.map((value) => itemOf(value, position));
      }
      kept = { file, index: group.index, columns: chosen.join(), reader };
    }
  } finally {
    closeSync(descriptor);
  }
}

/** The reader used last by this thread: the next unit is often of the same row group, further on. */
let kept: {
  readonly file: ParquetFile;
  readonly index: number;
  readonly columns: string;
  readonly reader: GroupReader;
} | null = null;

/** A reader that stands at the first row of the group that is wanted; an earlier one goes on, if there is one. */
function readerAt(
  file: ParquetFile,
  descriptor: number,
  group: GroupRows,
  columns: readonly SchemaTree[],
): GroupReader {
  const last = kept;
  // Nobody else may move it while this unit does.
  kept = null;
  const names = columns.map(({ element }) => element.name).join();
  const isSame = last?.file === file && last.index === group.index && last.columns === names;
  const reader =
    isSame && last.reader.position <= group.begin
      ? last.reader
      : new GroupReader(file, group.index, columns);
  guardParquet(file.path, () => reader.moveTo(descriptor, group.begin));
  return reader;
}

function itemOf(value: Record<string, unknown>, position: LinePosition): ReadItem {
  const row = ++position.rows;
  position.lines++;
  if (!hasBadText(value)) return { kind: 'record', row, value };
  return { kind: 'malformed', row, line: row, reason: 'bytes that are not UTF-8' };
}

function groupsOf(file: ParquetFile, { begin, end }: RowUnit): readonly GroupRows[] {
  const groups: GroupRows[] = [];
  let first = 0;
  for (const [index, group] of file.metadata.row_groups.entries()) {
    const rows = Number(group.num_rows);
    const from = Math.max(begin - first, 0);
    const to = Math.min(end - first, rows);
    if (from < to) groups.push({ index, begin: from, end: to });
    first += rows;
  }
  return groups;
}
