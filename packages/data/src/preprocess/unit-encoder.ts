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
import { isJsonRecord, type JsonRecord } from '../handlers/record-fields.js';
import type { HandledRow, RowHandler } from '../handlers/row-handler.js';
import { createMediaCollector, type MediaCollector } from '../media/media-manifest.js';
import type { MediaUse } from '../media/media-types.js';
import type { ReadItem } from '../readers/read-item.js';
import type { ReadUnit } from '../readers/read-unit.js';
import { readUnitBatches } from '../readers/read-unit-records.js';
import {
  createReportAccumulator,
  type ReportAccumulator,
  type SampleSize,
} from '../report/report-accumulator.js';
import { cutDocument } from './cut-document.js';
import { DialogueMedia, type MediaRows } from './dialogue-media.js';
import { type EncodeSettings, openEncoding } from './encode-settings.js';
import { Int32List } from './int32-list.js';
import { type OpenedFacts, openedFacts } from './opened-facts.js';
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
  readonly facts: OpenedFacts;
  readonly #settings: EncodeSettings;
  readonly #handlers: readonly RowHandler[];
  readonly #tokens: readonly Int32List[];
  readonly #lengths: readonly Int32List[];
  readonly #rows = new Int32List();
  readonly #learned = new Int32List();
  readonly #fullLengths = new Int32List();

  /** By data set; empty where records with media are refused. */
  readonly #media: readonly DialogueMedia[];

  private constructor(
    settings: EncodeSettings,
    {
      handlers,
      media,
      facts,
    }: {
      readonly handlers: readonly RowHandler[];
      readonly media: readonly DialogueMedia[];
      readonly facts: OpenedFacts;
    },
  ) {
    this.facts = facts;
    this.#settings = settings;
    this.#handlers = handlers;
    this.#media = media;
    const fields = Math.max(...handlers.map((handler) => handler.fields.length));
    this.#tokens = Array.from({ length: fields }, () => new Int32List(1 << 20));
    this.#lengths = Array.from({ length: fields }, () => new Int32List());
  }

  /** Opens tokenizer, template and handlers. Throws: their codes. */
  static async open(settings: EncodeSettings): Promise<UnitEncoder> {
    const begin = performance.now();
    const encoding = await openEncoding(settings);
    const handlers = settings.datasets.map(({ handler }) => openRowHandler(handler, encoding));
    const { media } = settings;
    const opened =
      media === null
        ? []
        : settings.datasets.map(
            ({ handler }, index) =>
              new DialogueMedia(media, { index, handler }, encoding.tokenizer),
          );
    const datasets = settings.datasets.map(({ name }, i) => ({
      name,
      handler: defined(handlers[i], 'the handler of a data set'),
    }));
    const facts = openedFacts(encoding, datasets, performance.now() - begin);
    return new UnitEncoder(settings, { handlers, media: opened, facts });
  }

  /** Encodes one unit. Throws: the codes of readers and handlers; `CANCELLED`. */
  async encode(task: UnitTask, signal?: AbortSignal): Promise<UnitTokens> {
    const { unit, rowLimit } = task;
    const { columns } = defined(this.#settings.datasets[task.dataset], 'a data set of the job');
    const state: UnitState = {
      handler: defined(this.#handlers[task.dataset], 'the handler of a data set'),
      account: createReportAccumulator(),
      digests: this.#settings.digests ? [] : null,
      media: createMediaCollector(),
    };
    // A unit that failed leaves its tokens behind.
    for (const list of this.#lists()) list.clear();
    let rows = 0;
    const options = columns === null ? {} : { columns };
    for await (const batch of readUnitBatches(unit, options)) {
      throwIfAborted(signal);
      const items = rowLimit === null ? batch : batch.slice(0, rowLimit - rows);
      for (const item of items) {
        const media = this.#media[task.dataset];
        const handled =
          media === undefined
            ? this.#handle(item, task, state)
            : await this.#handleMedia(media, { item, task, state });
        this.#keep(item.row, handled, { task, state });
      }
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
      media: state.media.entries(),
      account: { rows, report: state.account.snapshot() },
    };
  }

  #lists(): Int32List[] {
    return [...this.#tokens, ...this.#lengths, this.#rows, this.#learned, this.#fullLengths];
  }

  #originOf(item: ReadItem, { dataset, rowOffset }: UnitTask): RowOrigin {
    const source = this.#settings.datasets[dataset]?.name ?? '';
    return { source, row: rowOffset + item.row };
  }

  #handle(item: ReadItem, task: UnitTask, { handler }: UnitState): MediaRows | Rejection {
    const record = recordOf(item);
    if (isRejection(record)) return record;
    const rows = handler.handle(record, this.#originOf(item, task));
    return isRejection(rows) ? rows : { rows, uses: [] };
  }

  async #handleMedia(
    media: DialogueMedia,
    { item, task, state }: { item: ReadItem; task: UnitTask; state: UnitState },
  ): Promise<MediaRows | Rejection> {
    const record = recordOf(item);
    if (isRejection(record)) return record;
    const origin = this.#originOf(item, task);
    const written = await media.handle(record, state.handler, origin);
    if (isRejection(written)) return written;
    state.media.add({ source: origin.source, row: item.row }, written.uses);
    return written;
  }

  #keep(
    row: number,
    handled: MediaRows | Rejection,
    { task, state }: { readonly task: UnitTask; readonly state: UnitState },
  ): void {
    const { handler, account, digests } = state;
    const source = this.#settings.datasets[task.dataset]?.name ?? '';
    if (isRejection(handled)) {
      account.addRejected({ source, row }, handled);
      return;
    }
    const samples = this.#samplesOf(handled.rows, handler);
    if (isRejection(samples)) {
      account.addRejected({ source, row }, samples);
      return;
    }
    const sizes = samples.map((sample) => sizeOf(sample, handler));
    account.addRow({ source, row }, sizes);
    const digest = digests === null ? null : digestOf(samples, handled.uses);
    for (const [at, sample] of samples.entries()) {
      for (const [i, tokens] of sample.fields.entries()) {
        this.#tokens[i]?.append(tokens);
        this.#lengths[i]?.push(tokens.length);
      }
      this.#rows.push(row);
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
  readonly media: MediaCollector;
}

function recordOf(item: ReadItem): JsonRecord | Rejection {
  if (item.kind === 'malformed') return reject('malformed_json', item.reason);
  if (isJsonRecord(item.value)) return item.value;
  return reject('not_an_object', 'the record is not a JSON object');
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

/** The same text about other pictures is another row. */
function digestOf(samples: readonly HandledRow[], uses: readonly MediaUse[]): Buffer {
  const hash = createHash('sha256');
  for (const use of uses) hash.update(use.hash);
  for (const { fields } of samples) {
    for (const tokens of fields) {
      hash.update(Int32Array.of(tokens.length));
      hash.update(tokens);
    }
  }
  return hash.digest().subarray(0, DIGEST_BYTES);
}
