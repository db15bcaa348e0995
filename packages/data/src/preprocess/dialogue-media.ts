/** The media of dialogues: measured, and written into the text of a record before a handler reads it. */
import { TuneyardError } from '@tuneyard/core';
import { IGNORE_LABEL } from '../encode/samples.js';
import { DATA_ERRORS } from '../errors.js';
import { isRejection, type Rejection, type RowOrigin, reject } from '../handlers/conversation.js';
import type { HandlerSettings } from '../handlers/handler-settings.js';
import type { JsonRecord } from '../handlers/record-fields.js';
import type { HandledRow, RowHandler } from '../handlers/row-handler.js';
import { expandRecordMedia, type RecordMediaNames } from '../media/expand-record.js';
import { createMediaChecker, type MediaChecker } from '../media/media-checker.js';
import type { MediaUse } from '../media/media-types.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import type { MediaSettings } from './encode-settings.js';

/** Rows with the media that they show. */
export interface MediaRows {
  readonly rows: readonly HandledRow[];
  readonly uses: readonly MediaUse[];
}

/** The media of one data set. */
export class DialogueMedia {
  readonly #checker: MediaChecker;
  readonly #names: RecordMediaNames;
  readonly #tokenizer: Tokenizer;

  /** Throws: `DATA_UNKNOWN_MEDIA_PLUGIN`, `DATA_BAD_MEDIA_CONFIG`. */
  constructor(
    { mediaDirs, seriesColumn, ...settings }: MediaSettings,
    dataset: { readonly index: number; readonly handler: HandlerSettings },
    tokenizer: Tokenizer,
  ) {
    const { columns, tags } = dataset.handler;
    this.#checker = createMediaChecker({ ...settings, mediaDir: mediaDirs[dataset.index] ?? '.' });
    this.#names = {
      ...(columns === undefined ? {} : { columns }),
      ...(tags === undefined ? {} : { tags }),
      ...(seriesColumn === undefined ? {} : { seriesColumn }),
    };
    this.#tokenizer = tokenizer;
  }

  /** Writes a record with its media. */
  async handle(
    record: JsonRecord,
    handler: RowHandler,
    origin: RowOrigin,
  ): Promise<MediaRows | Rejection> {
    const expanded = await expandRecordMedia(record, this.#checker, this.#names);
    if (isRejection(expanded)) return expanded;
    const rows = handler.handle(expanded.record, origin);
    if (isRejection(rows)) return rows;
    const { media: uses, prefix } = expanded;
    const isCut = rows.some(({ fields, fullLength }) => fullLength > (fields[0]?.length ?? 0));
    // Half of a picture's places would go to a model that expects them all.
    if (isCut && uses.length > 0) return reject('over_length', 'a row with media cannot be cut');
    if (prefix === undefined) return { rows, uses };
    const { token, count } = prefix;
    return { rows: rows.map((row) => this.#withPrefix(row, token, count)), uses };
  }

  /** Puts a masked token in front of ids and labels, as often as its pictures need. */
  #withPrefix({ fields, fullLength }: HandledRow, token: string, count: number): HandledRow {
    const id = this.#tokenizer.tokenToId(token);
    if (id === undefined) {
      throw new TuneyardError(
        DATA_ERRORS.DATA_TEMPLATE_MISMATCH,
        `${this.#tokenizer.origin} has no token ${token}, which stands for pictures`,
        { hint: 'Choose the template that fits the model.' },
      );
    }
    const [ids = new Int32Array(), labels = new Int32Array()] = fields;
    return {
      fields: [prepend(ids, id, count), prepend(labels, IGNORE_LABEL, count)],
      fullLength: fullLength + count,
    };
  }
}

function prepend(values: Int32Array, value: number, count: number): Int32Array {
  const all = new Int32Array(values.length + count).fill(value, 0, count);
  all.set(values, count);
  return all;
}
