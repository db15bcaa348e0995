/** How a handler is chosen and set; plain data, so that it crosses to threads and into job records. */
import type { OverlengthPolicy } from '../encode/sample-encoder.js';
import type { RoleTags } from './dataset-spec.js';
import type { RecordColumns } from './record-columns.js';

/** A mapping in the form of `--map-keys`: meanings of columns to their names; `tags` holds role names. */
export interface MapKeys {
  readonly [meaning: string]: string | { readonly [tag: string]: string };
}

/** Settings of a handler. */
export interface HandlerSettings {
  /** A name or alias of the handler table. */
  readonly handler: string;
  /** Column names that are not the defaults. */
  readonly columns?: Partial<RecordColumns>;
  /** Role names that are not the defaults. */
  readonly tags?: Partial<RoleTags>;
  /** Columns that pre-training handlers read, one output each. Default `text`. */
  readonly jsonKeys?: readonly string[];
  /** Wins over `columns` and `tags`. */
  readonly mapKeys?: MapKeys;
  /** Appends the end-of-document token; it is learned. Default false. */
  readonly appendEod?: boolean;
  /** Most tokens of a sample; documents for pre-training are never cut here. */
  readonly cutoffLength: number;
  /** What happens to longer samples. */
  readonly overlength: OverlengthPolicy;
  /** Learn the last answer alone. Default false. */
  readonly maskHistory?: boolean;
  /** Learn questions too. Default false. */
  readonly trainOnPrompt?: boolean;
  /** The end-of-document token. Default: the EOS of the tokenizer. */
  readonly stopTokenId?: number;
  /** Handlers of prompts without answers: further columns to tokenize; `labels` means the answer. */
  readonly additionalKeys?: readonly string[];
}
