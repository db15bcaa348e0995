/** Reads the rows of one row group. */
import { defined } from '@tuneyard/core';
import type { DecodedArray, SchemaTree } from 'hyparquet';
import { assembleNested } from 'hyparquet/src/assemble.js';
import { getTreePath } from 'hyparquet/src/schema.js';
import { plainRecord } from '../../plain-record.js';
import { jsonValue } from '../column-values.js';
import { ColumnPages, type PageSource } from './column-pages.js';
import { badParquet, chunkRange, guardParquet, type ParquetFile } from './parquet-file.js';
import { leafColumn } from './parquet-page.js';
import { parquetParsers } from './parquet-parsers.js';

/** A top-level column and the leaves under it. */
interface TopColumn {
  readonly tree: SchemaTree;
  readonly leaves: readonly ColumnPages[];
}

/** Reads rows of one row group from its first to its last, all columns in step. */
export class GroupReader {
  readonly #open: { descriptor: number } = { descriptor: -1 };
  readonly #columns: readonly TopColumn[];
  readonly #names: readonly string[];
  #position = 0;

  constructor(file: ParquetFile, index: number, columns: readonly SchemaTree[]) {
    this.#names = columns.map(({ element }) => element.name);
    const chunks = defined(file.metadata.row_groups[index], 'a row group').columns;
    this.#columns = guardParquet(file.path, () =>
      columns.map((tree) => {
        const name = tree.element.name;
        const own = chunks.filter((chunk) => chunk.meta_data?.path_in_schema[0] === name);
        if (own.length === 0) throw badParquet(file.path, `row group ${index + 1} lacks ${name}`);
        return { tree, leaves: own.map((chunk) => openLeaf(file, this.#open, chunk)) };
      }),
    );
  }

  /** Rows of the group that were read or passed over. */
  get position(): number {
    return this.#position;
  }

  /** Goes on with another descriptor of the file, at a row that is not behind. */
  moveTo(descriptor: number, row: number): void {
    this.#open.descriptor = descriptor;
    const count = row - this.#position;
    for (const { leaves } of this.#columns) for (const leaf of leaves) leaf.skip(count);
    this.#position = row;
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
    this.#position += count;
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
  open: PageSource['open'],
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
  return new ColumnPages(leaf, { open, path: file.path, range, values });
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
