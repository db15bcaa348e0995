/** Reads rows of a Parquet file: the columns asked for, some pages at a time. */
import { closeSync, openSync } from 'node:fs';
import { defined, throwIfAborted } from '@tuneyard/core';
import type { SchemaTree } from 'hyparquet';
import { assembleNested } from 'hyparquet/src/assemble.js';
import { getTreePath } from 'hyparquet/src/schema.js';
import type { DecodedArray } from 'hyparquet/src/types.js';
import { chooseColumns } from '../choose-columns.js';
import { hasBadText, jsonValue } from '../column-values.js';
import { ROW_BATCH } from '../limits.js';
import type { LinePosition } from '../parse-lines.js';
import { plainRecord } from '../plain-record.js';
import type { ReadItem } from '../read-item.js';
import type { RowUnit } from '../read-unit.js';
import { ColumnPages } from './column-pages.js';
import {
  badParquet,
  chunkRange,
  guardParquet,
  openParquet,
  type ParquetFile,
} from './parquet-file.js';
import { leafColumn } from './parquet-page.js';
import { parquetParsers } from './parquet-parsers.js';

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
      const reader = new GroupReader(file, descriptor, group, columns);
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
    }
  } finally {
    closeSync(descriptor);
  }
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

/** A top-level column and the leaves under it. */
interface TopColumn {
  readonly tree: SchemaTree;
  readonly leaves: readonly ColumnPages[];
}

/** Reads rows of one row group, all columns in step. */
class GroupReader {
  readonly #columns: readonly TopColumn[];
  readonly #names: readonly string[];

  constructor(
    file: ParquetFile,
    descriptor: number,
    group: GroupRows,
    columns: readonly SchemaTree[],
  ) {
    this.#names = columns.map(({ element }) => element.name);
    const chunks = defined(file.metadata.row_groups[group.index], 'a row group').columns;
    this.#columns = guardParquet(file.path, () =>
      columns.map((tree) => {
        const own = chunks.filter(
          (chunk) => chunk.meta_data?.path_in_schema[0] === tree.element.name,
        );
        if (own.length === 0)
          throw badParquet(file.path, `row group ${group.index + 1} lacks a column`);
        return { tree, leaves: own.map((chunk) => openLeaf(file, descriptor, chunk)) };
      }),
    );
    if (group.begin === 0) return;
    guardParquet(file.path, () => {
      for (const { leaves } of this.#columns) for (const leaf of leaves) leaf.skip(group.begin);
    });
  }

  /** Reads at least one and at most `limit` rows. */
  read(limit: number): readonly Record<string, unknown>[] {
    let count = limit;
    for (const { leaves } of this.#columns) {
      for (const leaf of leaves) {
        leaf.fill();
        count = Math.min(count, leaf.available);
      }
    }
    const values = this.#columns.map((column) => topValues(column, count));
    const names = this.#names;
    return Array.from({ length: count }, (_, row) =>
      plainRecord(
        names,
        values.map((column) => column[row]),
      ),
    );
  }
}

function openLeaf(
  file: ParquetFile,
  descriptor: number,
  chunk: ParquetFile['metadata']['row_groups'][number]['columns'][number],
): ColumnPages {
  const range = chunkRange(file, chunk);
  const meta = defined(chunk.meta_data, 'the metadata of a column chunk');
  const pathInSchema = meta.path_in_schema;
  const schemaPath = getTreePath(file.schema, pathInSchema);
  const leaf = leafColumn(schemaPath, {
    pathInSchema,
    type: meta.type,
    codec: meta.codec,
    parsers: parquetParsers,
    utf8: !isWrittenByArrow(file),
  });
  const values = Number(meta.num_values);
  return new ColumnPages(leaf, { file: descriptor, path: file.path, range, values });
}

/** Arrow marks all its texts as such; some older writers do not, so that theirs are told from bytes by this alone. */
function isWrittenByArrow({ metadata }: ParquetFile): boolean {
  return metadata.key_value_metadata?.some(({ key }) => key === 'ARROW:schema') === true;
}

/** The values of a top-level column in the next rows. */
function topValues({ tree, leaves }: TopColumn, count: number): readonly unknown[] {
  const isNested = tree.children.length > 0;
  const parts = new Map<string, DecodedArray>();
  for (const leaf of leaves) {
    parts.set(leaf.leaf.decoder.pathInSchema.join('.'), leaf.take(count) as DecodedArray);
  }
  if (isNested) assembleNested(parts, tree, parquetParsers);
  const values = parts.get(tree.element.name);
  if (values === undefined) throw new Error(`column ${tree.element.name} cannot be put together`);
  return Array.from(values as ArrayLike<unknown>, jsonValue);
}
