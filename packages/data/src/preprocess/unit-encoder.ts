/**
 * Encodes units of reading: records in, token fields and an account of every row out.
 *
 * The result depends on the unit and the settings alone, so it is the same on any thread.
 */
import { createHash } from 'node:crypto';
import { defined, throwIfAborted } from '@tuneyard/core';
import { IGNORE_LABEL } from '../encode/samples.js';
import { isRejection, type Rejection, type RowOrigin, reject } from '../handlers/conversation.js';
import { openRowHandler } from '../handlers/open-row-handler.js';
import { isJsonRecord } from '../handlers/record-fields.js';
import type { HandledRow, RowHandler } from '../handlers/row-handler.js';
import type { ReadItem } from '../readers/read-item.js';
import type { ReadUnit } from '../readers/read-unit.js';
import { readUnitBatches } from '../readers/read-unit-records.js';
import {
  createReportAccumulator,
  type ReportAccumulator,
  type SampleSize,
} from '../report/report-accumulator.js';
import { cutDocument } from './cut-document.js';
import { type EncodeSettings, openEncoding } from './encode-settings.js';
import { Int32List } from './int32-list.js';
import { DIGEST_BYTES, type UnitTokens } from './part-file.js';

/** A unit with its place in the job. */
export interface UnitTask {
  readonly unit: ReadUnit;
  /** Index into the job's data sets. */
  readonly dataset: number;
  /** Rows of the data set before this unit, where known: errors then name the row of the data set. */
  readonly rowOffset: number;
  /** Rows to read at most; null = all. */
  readonly rowLimit: number | null;
}

/** Encodes the units of one job, one after another. */
export class UnitEncoder {
  readonly #settings: EncodeSettings;
  readonly #handlers: readonly RowHandler[];
  readonly #tokens: readonly Int32List[];
  readonly #lengths: readonly Int32List[];
  readonly #rows = new Int32List();
  readonly #learned = new Int32List();
  readonly #fullLengths = new Int32List();

  private constructor(settings: EncodeSettings, handlers: readonly RowHandler[]) {
    this.#settings = settings;
    this.#handlers = handlers;
    const fields = Math.max(...handlers.map((handler) => handler.fields.length));
    this.#tokens = Array.from({ length: fields }, () => new Int32List(1 << 20));
    this.#lengths = Array.from({ length: fields }, () => new Int32List());
  }

  /** Opens tokenizer, template and handlers. Throws: their codes. */
  static async open(settings: EncodeSettings): Promise<UnitEncoder> {
    const opened = await openEncoding(settings);
    const handlers = settings.datasets.map(({ handler }) => openRowHandler(handler, opened));
    return new UnitEncoder(settings, handlers);
  }

  /** Encodes one unit. Throws: the codes of readers and handlers; `CANCELLED`. */
  async encode(task: UnitTask, signal?: AbortSignal): Promise<UnitTokens> {
    const { unit, rowLimit } = task;
    const { columns } = defined(this.#settings.datasets[task.dataset], 'a data set of the job');
    const state: UnitState = {
      handler: defined(this.#handlers[task.dataset], 'the handler of a data set'),
      account: createReportAccumulator(),
      digests: this.#settings.digests ? [] : null,
    };
    let rows = 0;
    const options = columns === null ? {} : { columns };
    for await (const batch of readUnitBatches(unit, options)) {
      throwIfAborted(signal);
      const items = rowLimit === null ? batch : batch.slice(0, rowLimit - rows);
      for (const item of items) this.#encodeItem(item, task, state);
      rows += items.length;
      if (rows === rowLimit) break;
    }
    const fieldCount = state.handler.fields.length;
    return {
      tokens: this.#tokens.slice(0, fieldCount).map((list) => list.take()),
      lengths: this.#lengths.slice(0, fieldCount).map((list) => list.take()),
      rows: this.#rows.take(),
      learned: this.#learned.take(),
      fullLengths: this.#fullLengths.take(),
      digests: state.digests === null ? null : Buffer.concat(state.digests),
      account: { rows, report: state.account.snapshot() },
    };
  }

  #encodeItem(item: ReadItem, task: UnitTask, { handler, account, digests }: UnitState): void {
    const source = this.#settings.datasets[task.dataset]?.name ?? '';
    const handled = handleItem(item, handler, { source, row: task.rowOffset + item.row });
    const samples = isRejection(handled) ? handled : this.#samplesOf(handled, handler);
    if (isRejection(samples)) {
      account.addRejected({ source, row: item.row }, samples);
      return;
    }
    const sizes = samples.map((sample) => sizeOf(sample, handler));
    account.addRow({ source, row: item.row }, sizes);
    const digest = digests === null ? null : digestOf(samples);
    for (const [at, sample] of samples.entries()) {
      for (const [i, tokens] of sample.fields.entries()) {
        this.#tokens[i]?.append(tokens);
        this.#lengths[i]?.push(tokens.length);
      }
      this.#rows.push(item.row);
      this.#learned.push(sizes[at]?.learned ?? 0);
      this.#fullLengths.push(sample.fullLength);
      if (digest !== null) digests?.push(digest);
    }
  }

  #samplesOf(
    handled: readonly HandledRow[],
    handler: RowHandler,
  ): readonly HandledRow[] | Rejection {
    const { documentLength } = this.#settings;
    const isCut = handler.kind === 'pretrain' && documentLength !== null;
    const samples = isCut ? handled.flatMap((row) => cutDocument(row, documentLength)) : handled;
    const isEmpty = samples.every(({ fields }) => fields.every((tokens) => tokens.length === 0));
    return isEmpty ? reject('empty_text', 'the text has no tokens') : samples;
  }
}

/** What the rows of a unit are added to. */
interface UnitState {
  readonly handler: RowHandler;
  readonly account: ReportAccumulator;
  readonly digests: Buffer[] | null;
}

function handleItem(
  item: ReadItem,
  handler: RowHandler,
  origin: RowOrigin,
): readonly HandledRow[] | Rejection {
  if (item.kind === 'malformed') return reject('malformed_json', item.reason);
  if (!isJsonRecord(item.value)) return reject('not_an_object', 'the record is not a JSON object');
  return handler.handle(item.value, origin);
}

/**
 * A sample's length is that of its longest field: what has to fit. Every token but the first of a document is learned;
 * elsewhere the labels say it.
 */
function sizeOf({ fields, fullLength }: HandledRow, handler: RowHandler): SampleSize {
  const length = fields.reduce((longest, tokens) => Math.max(longest, tokens.length), 0);
  if (handler.kind === 'pretrain') return { length, learned: Math.max(0, length - 1), fullLength };
  let learned = 0;
  for (const [i, name] of handler.fields.entries()) {
    if (!name.endsWith('labels')) continue;
    for (const label of fields[i] ?? []) if (label !== IGNORE_LABEL) learned++;
  }
  return { length, learned, fullLength };
}

function digestOf(samples: readonly HandledRow[]): Buffer {
  const hash = createHash('sha256');
  for (const { fields } of samples) {
    for (const tokens of fields) {
      hash.update(Int32Array.of(tokens.length));
      hash.update(tokens);
    }
  }
  return hash.digest().subarray(0, DIGEST_BYTES);
}
