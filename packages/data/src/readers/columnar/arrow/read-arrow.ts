/** Reads rows of an Arrow file: the columns asked for, some rows at a time. */
import { closeSync, openSync } from 'node:fs';
import { throwIfAborted } from '@tuneyard/core';
import { emptyFile } from '../../file-errors.js';
import { ROW_BATCH } from '../../limits.js';
import { plainRecord } from '../../plain-record.js';
import type { ReadItem } from '../../read-item.js';
import type { RowUnit } from '../../read-unit.js';
import type { LinePosition } from '../../text/parse-lines.js';
import { chooseColumns } from '../choose-columns.js';
import { hasBadText } from '../column-values.js';
import { rowUnits } from '../row-units.js';
import { type ArrowBatch, type ArrowFile, guardArrow, openArrow } from './arrow-file.js';
import type { ArrowField } from './arrow-schema.js';
import { ColumnCursor } from './column-cursor.js';
import { type DictionaryValues, readColumn } from './read-column.js';

/**
 * Yields units of about `unitBytes` of the wanted columns: several record batches, or a part of one.
 *
 * Throws: `DATA_FILE_EMPTY` when there is no row, `DATA_BAD_ARROW`, `DATA_NO_SUCH_COLUMN`.
 */
export function* arrowUnits(
  path: string,
  unitBytes: number,
  wanted: readonly string[] | undefined,
): Generator<RowUnit, void, undefined> {
  const file = openArrow(path);
  if (file.rows === 0) throw emptyFile(path, 'it has no rows');
  const names = file.fields.map(({ name }) => name);
  const chosen = new Set(chooseColumns(path, names, wanted));
  const groups = guardArrow(path, () =>
    file.batches.map((batch) => ({ rows: batch.rows, bytes: wantedBytes(file, batch, chosen) })),
  );
  yield* rowUnits({ path, layout: 'arrow' }, groups, { unitBytes, partBytes: unitBytes });
}

function wantedBytes(file: ArrowFile, batch: ArrowBatch, chosen: ReadonlySet<string>): number {
  const cursor = new ColumnCursor(-1, file, batch);
  let bytes = 0;
  for (const field of file.fields) {
    const own = cursor.skip(field);
    if (chosen.has(field.name)) bytes += own;
  }
  return bytes;
}

/**
 * Yields the rows of a unit in batches.
 *
 * Mutates: `position`. Throws: `DATA_BAD_ARROW`, `DATA_NO_SUCH_COLUMN`, `DATA_RECORD_TOO_LARGE`.
 */
export function* arrowBatches(
  unit: RowUnit,
  options: { readonly columns?: readonly string[]; readonly signal?: AbortSignal },
  position: LinePosition,
): Generator<readonly ReadItem[], void, undefined> {
  const file = openArrow(unit.path);
  const names = file.fields.map(({ name }) => name);
  const chosen = new Set(chooseColumns(unit.path, names, options.columns));
  const descriptor = openSync(unit.path, 'r');
  try {
    const reader = new RowReader(descriptor, file, chosen);
    let first = 0;
    for (const [index, batch] of file.batches.entries()) {
      const end = Math.min(unit.end - first, batch.rows);
      for (let row = Math.max(unit.begin - first, 0); row < end; row += ROW_BATCH) {
        throwIfAborted(options.signal);
        const to = Math.min(row + ROW_BATCH, end);
        const where = `batch ${index + 1}: `;
        const records = guardArrow(unit.path, () => reader.read(index, row, to), where);
        yield records.map((value) => itemOf(value, position));
      }
      first += batch.rows;
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

/** Reads rows of any batch, keeping the dictionaries of the last. */
class RowReader {
  readonly #descriptor: number;
  readonly #file: ArrowFile;
  readonly #chosen: ReadonlySet<string>;
  readonly #names: readonly string[];
  readonly #dictionaries = new Map<number, readonly unknown[]>();
  #applied = 0;

  constructor(descriptor: number, file: ArrowFile, chosen: ReadonlySet<string>) {
    this.#descriptor = descriptor;
    this.#file = file;
    this.#chosen = chosen;
    this.#names = file.fields.map(({ name }) => name).filter((name) => chosen.has(name));
  }

  /** Reads the rows [begin, end) of a batch. */
  read(index: number, begin: number, end: number): readonly Record<string, unknown>[] {
    const batch = this.#file.batches[index] as ArrowBatch;
    const dictionaries = this.#dictionariesFor(index);
    const cursor = new ColumnCursor(this.#descriptor, this.#file, batch);
    const columns: unknown[][] = [];
    for (const field of this.#file.fields) {
      if (this.#chosen.has(field.name)) {
        columns.push(readColumn(field, cursor, dictionaries, begin, end));
      } else cursor.skip(field);
    }
    return Array.from({ length: end - begin }, (_, row) =>
      plainRecord(
        this.#names,
        columns.map((column) => column[row]),
      ),
    );
  }

  /** Applies the dictionary messages before a batch; batches are read in order. */
  #dictionariesFor(index: number): DictionaryValues {
    const { dictionaries } = this.#file;
    for (; this.#applied < dictionaries.length; this.#applied++) {
      const dictionary = dictionaries[this.#applied];
      if (dictionary === undefined || dictionary.batchesBefore > index) break;
      const field = fieldOfDictionary(this.#file.fields, dictionary.id);
      if (field === undefined) throw new Error(`no column has the dictionary ${dictionary.id}`);
      const { batch } = dictionary;
      const cursor = new ColumnCursor(this.#descriptor, this.#file, batch);
      const plain = { ...field, dictionary: null };
      const values = readColumn(plain, cursor, this.#dictionaries, 0, batch.rows);
      const before = dictionary.isDelta ? (this.#dictionaries.get(dictionary.id) ?? []) : [];
      this.#dictionaries.set(dictionary.id, [...before, ...values]);
    }
    return this.#dictionaries;
  }
}

function fieldOfDictionary(fields: readonly ArrowField[], id: number): ArrowField | undefined {
  for (const field of fields) {
    if (field.dictionary?.id === id) return field;
    const inner = fieldOfDictionary(field.children, id);
    if (inner !== undefined) return inner;
  }
  return undefined;
}
