/** The order in which samples are written: data set after data set, or rows of several in turns. */
import { throwIfAborted } from '@tuneyard/core';
import type { MixPlan } from '../mixing/plan-mixing.js';
import type { RowSelection } from '../mixing/select-rows.js';
import { selectedRow } from './choose-rows.js';
import type { PlacedPart } from './part-survey.js';
import {
  BatchBuilder,
  type LoadedPart,
  loadPart,
  type SampleBatch,
  selectSamples,
} from './sample-batch.js';

/** An order of rows that is not simply all of them. */
export interface RowOrder {
  /** Over the rows that are selected. */
  readonly plan: MixPlan;
  /** By data set; null = all rows that were read. */
  readonly selections: readonly (RowSelection | null)[];
}

/** What is put in order. */
export interface OrderOptions {
  /** By data set. */
  readonly parts: readonly (readonly PlacedPart[])[];
  readonly fields: number;
  /** Null = data set after data set. */
  readonly mix: RowOrder | null;
  readonly signal?: AbortSignal;
}

/** Gives all samples that are not left out, in order. Memory: one part of each data set, and one batch. */
export async function* orderedBatches(
  options: OrderOptions,
): AsyncGenerator<SampleBatch, void, undefined> {
  if (options.mix !== null) {
    yield* mixedBatches(options, options.mix);
    return;
  }
  for (const part of options.parts.flat()) {
    throwIfAborted(options.signal);
    const loaded = await loadPart(part, options.fields);
    const batch = selectSamples(loaded, (i) => loaded.repeated?.[i] !== 1);
    if (batch.rows.length > 0) yield batch;
  }
}

async function* mixedBatches(
  { parts, fields, signal }: OrderOptions,
  mix: RowOrder,
): AsyncGenerator<SampleBatch, void, undefined> {
  const cursors = parts.map((ofDataset) => new RowCursor(ofDataset, fields));
  const builder = new BatchBuilder(fields);
  for (const { dataset, row } of rowsOf(mix)) {
    const cursor = cursors[dataset];
    const part = cursor?.partAt(row) ?? (await cursor?.load(row));
    if (part !== undefined) addRow(builder, part, row);
    if (!builder.isFull) continue;
    throwIfAborted(signal);
    yield builder.take();
  }
  const rest = builder.take();
  if (rest.rows.length > 0) yield rest;
}

/** Rows in order, counted from 1 as parts count them. */
function* rowsOf({
  plan,
  selections,
}: RowOrder): Generator<{ readonly dataset: number; readonly row: number }> {
  for (const { dataset, begin, end } of plan.runs()) {
    const selection = selections[dataset] ?? null;
    for (let place = begin; place < end; place++) {
      const row = selection === null ? place : selectedRow(selection, place);
      yield { dataset, row: row + 1 };
    }
  }
}

function addRow(builder: BatchBuilder, part: LoadedPart, row: number): void {
  for (let i = firstOfRow(part, row); part.rows[i] === row; i++) {
    if (part.repeated?.[i] !== 1) builder.add(part, i);
  }
}

/** Parts of one data set kept at a time: rows that are drawn jump between them. */
const PARTS_KEPT = 8;

/** Finds rows of one data set; cheap while rows ascend. */
class RowCursor {
  readonly #parts: readonly PlacedPart[];
  readonly #fields: number;
  readonly #kept = new Map<PlacedPart, LoadedPart>();
  #loaded: LoadedPart | undefined;
  /** Rows (first, last] of the part that is loaded. */
  #first = 0;
  #last = 0;

  constructor(parts: readonly PlacedPart[], fields: number) {
    this.#parts = parts;
    this.#fields = fields;
  }

  /** The loaded part when it covers the row. */
  partAt(row: number): LoadedPart | undefined {
    return row > this.#first && row <= this.#last ? this.#loaded : undefined;
  }

  async load(row: number): Promise<LoadedPart | undefined> {
    const part = this.#parts.find(
      ({ rowsBefore, account }) => row > rowsBefore && row <= rowsBefore + account.rows,
    );
    if (part === undefined) return undefined;
    this.#loaded = this.#kept.get(part) ?? (await loadPart(part, this.#fields));
    this.#kept.delete(part);
    this.#kept.set(part, this.#loaded);
    if (this.#kept.size > PARTS_KEPT) this.#kept.delete([...this.#kept.keys()][0] ?? part);
    this.#first = part.rowsBefore;
    this.#last = part.rowsBefore + part.account.rows;
    return this.#loaded;
  }
}

/** Index of the first sample at or after a row. */
function firstOfRow({ rows }: LoadedPart, row: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rows[middle] ?? 0) < row) low = middle + 1;
    else high = middle;
  }
  return low;
}
