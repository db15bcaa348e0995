/** The columns of a record by their meaning, with defaults. */
import type { ColumnNames, DatasetFormat, RoleTags } from './dataset-spec.js';
import { DEFAULT_COLUMNS, DEFAULT_TAGS, OPENAI_TAGS } from './dataset-spec.js';

/** Column names of every kind of record; the names of the members are those of `dataset_info.json`. */
export interface RecordColumns extends ColumnNames {
  readonly chosen: string;
  readonly rejected: string;
  readonly kto_tag: string;
  readonly images: string;
  readonly videos: string;
  readonly audios: string;
  /** Time series; read only where it is named, because the word has other uses. */
  readonly series: string;
}

/** Column names where nothing else is said. */
export const DEFAULT_RECORD_COLUMNS: RecordColumns = {
  ...DEFAULT_COLUMNS,
  chosen: 'chosen',
  rejected: 'rejected',
  kto_tag: 'kto_tag',
  images: 'images',
  videos: 'videos',
  audios: 'audios',
  series: '',
};

/** Forms in which a record tells a dialogue. */
export type DialogueForm = Exclude<DatasetFormat, 'auto' | 'text'>;

/** Column names with defaults filled in; the OpenAI form calls its dialogue `messages`. */
export function recordColumns(
  form: DialogueForm,
  named: Partial<RecordColumns> = {},
): RecordColumns {
  const messages = form === 'openai' ? 'messages' : DEFAULT_RECORD_COLUMNS.messages;
  return { ...DEFAULT_RECORD_COLUMNS, messages, ...named };
}

/** Role names with defaults filled in. */
export function recordTags(form: DialogueForm, named: Partial<RoleTags> = {}): RoleTags {
  return { ...(form === 'openai' ? OPENAI_TAGS : DEFAULT_TAGS), ...named };
}
