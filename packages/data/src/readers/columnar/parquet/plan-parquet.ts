/** Cuts a Parquet file into units of rows. */
import type { SchemaTree } from 'hyparquet';
import { emptyFile } from '../../file-errors.js';
import { MIN_LIST_PART_BYTES } from '../../limits.js';
import type { RowUnit } from '../../read-unit.js';
import { chooseColumns } from '../choose-columns.js';
import { rowUnits } from '../row-units.js';
import { chunkRange, openParquet, type ParquetFile } from './parquet-file.js';

type RowGroup = ParquetFile['metadata']['row_groups'][number];

/**
 * Yields units of about `unitBytes` of the wanted columns, unpacked: several row groups, or a part of one.
 *
 * Rows of plain columns are found by the headers of pages, those of lists only by unpacking all before them, so that
 * row groups with lists are cut into parts of at least 16 MiB.
 * Throws: `DATA_FILE_EMPTY` when there is no row, `DATA_BAD_PARQUET`, `DATA_NO_SUCH_COLUMN`.
 */
export function* parquetUnits(
  path: string,
  unitBytes: number,
  wanted: readonly string[] | undefined,
): Generator<RowUnit, void, undefined> {
  const file = openParquet(path);
  if (file.rows === 0) throw emptyFile(path, 'it has no rows');
  const names = file.schema.children.map(({ element }) => element.name);
  const chosen = new Set(chooseColumns(path, names, wanted));
  const isPlain = file.schema.children.every(
    (tree) => !chosen.has(tree.element.name) || isFlat(tree),
  );
  const partBytes = isPlain ? unitBytes : Math.max(unitBytes, MIN_LIST_PART_BYTES);
  const groups = file.metadata.row_groups.map((group) => ({
    rows: Number(group.num_rows),
    bytes: wantedBytes(file, group, chosen),
  }));
  yield* rowUnits({ path, layout: 'parquet' }, groups, { unitBytes, partBytes });
}

function isFlat(tree: SchemaTree): boolean {
  return tree.children.length === 0 && tree.element.repetition_type !== 'REPEATED';
}

/** Unpacked bytes of the wanted columns, which must lie in the file. */
function wantedBytes(file: ParquetFile, group: RowGroup, chosen: ReadonlySet<string>): number {
  let bytes = 0;
  for (const chunk of group.columns) {
    chunkRange(file, chunk);
    const isWanted = chosen.has(chunk.meta_data?.path_in_schema[0] ?? '');
    if (isWanted) bytes += Math.max(Number(chunk.meta_data?.total_uncompressed_size ?? 0), 0);
  }
  return bytes;
}
