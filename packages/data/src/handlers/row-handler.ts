/**
 * What a handler is: a function from one record to token fields, chosen by name.
 *
 * A handler is made once per process from plain settings and is called once per record, so it can run on any
 * worker; it keeps no state between records.
 */
import type { Rejection, RowOrigin } from './conversation.js';
import type { JsonRecord } from './record-fields.js';

/** What is written for a record; it decides the names of the output files. */
export type HandlerKind = 'pretrain' | 'instruction' | 'pairwise' | 'kto';

/** One output sequence. */
export interface HandledRow {
  /**
   * Token arrays in the order of {@link RowHandler.fields}. Fields of one sample have the same length, but for
   * `pretrain` (every field is a data set of its own, an empty array adds nothing to it), the two sides of
   * `pairwise`, and the one-token `kto_tags`.
   */
  readonly fields: readonly Int32Array[];
  /** Tokens before cutting; equals the length of the longest field when nothing was cut. */
  readonly fullLength: number;
}

/** Turns records into token fields. */
export interface RowHandler {
  /** Canonical name, for reports. */
  readonly name: string;
  readonly kind: HandlerKind;
  /**
   * `pretrain`: the JSON keys. `instruction`: input_ids, labels. `pairwise`: chosen_input_ids, chosen_labels,
   * rejected_input_ids, rejected_labels. `kto`: input_ids, labels, kto_tags. Labels are −100 where masked.
   */
  readonly fields: readonly string[];
  /** Encodes one record; several rows where a record gives several samples. */
  handle(record: JsonRecord, origin: RowOrigin): readonly HandledRow[] | Rejection;
}
