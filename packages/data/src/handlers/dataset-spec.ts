/**
 * What a data set is: its file, its form, and the names of its columns and roles.
 *
 * The names and defaults are those of LLaMA-Factory's `dataset_info.json`.
 */
import { basename, extname } from 'node:path';

/** Record forms that can be read; `openai` is `sharegpt` with `messages`, `role` and `content`. */
export type DatasetFormat = 'auto' | 'alpaca' | 'sharegpt' | 'openai' | 'text';

/** Column names of a data set. */
export interface ColumnNames {
  readonly prompt: string;
  readonly query: string;
  readonly response: string;
  readonly history: string;
  readonly messages: string;
  readonly system: string;
  readonly tools: string;
}

/** Field and role names inside a `sharegpt` dialogue. */
export interface RoleTags {
  readonly role_tag: string;
  readonly content_tag: string;
  readonly user_tag: string;
  readonly assistant_tag: string;
  readonly observation_tag: string;
  readonly function_tag: string;
  readonly system_tag: string;
}

/** Column names where a data set does not say otherwise. */
export const DEFAULT_COLUMNS: ColumnNames = {
  prompt: 'instruction',
  query: 'input',
  response: 'output',
  history: 'history',
  messages: 'conversations',
  system: 'system',
  tools: 'tools',
};

/** Role names where a data set does not say otherwise. */
export const DEFAULT_TAGS: RoleTags = {
  role_tag: 'from',
  content_tag: 'value',
  user_tag: 'human',
  assistant_tag: 'gpt',
  observation_tag: 'observation',
  function_tag: 'function_call',
  system_tag: 'system',
};

/** Role names of the OpenAI chat form. */
export const OPENAI_TAGS: RoleTags = {
  role_tag: 'role',
  content_tag: 'content',
  user_tag: 'user',
  assistant_tag: 'assistant',
  observation_tag: 'tool',
  function_tag: 'function_call',
  system_tag: 'system',
};

/** A data set ready to be read. */
export interface DatasetSpec {
  readonly name: string;
  /** Path of its one file. */
  readonly path: string;
  readonly format: DatasetFormat;
  /** Only what was named: defaults are filled in by {@link columnsOf}. */
  readonly columns: Partial<ColumnNames>;
  readonly tags: Partial<RoleTags>;
  /** Read at most this many records, from the beginning; null = all. */
  readonly sampleLimit: number | null;
}

/** Describes a data file that is not registered; its name is the file name without extension. */
export function describeDataFile(path: string, format: DatasetFormat = 'auto'): DatasetSpec {
  return {
    name: basename(path, extname(path)),
    path,
    format,
    columns: {},
    tags: {},
    sampleLimit: null,
  };
}

/** Column names with defaults filled in; the OpenAI form calls its dialogue `messages`. */
export function columnsOf(spec: DatasetSpec, format: DatasetFormat): ColumnNames {
  const messages = format === 'openai' ? 'messages' : DEFAULT_COLUMNS.messages;
  return { ...DEFAULT_COLUMNS, messages, ...spec.columns };
}

/** Role names with defaults filled in. */
export function tagsOf(spec: DatasetSpec, format: DatasetFormat): RoleTags {
  return { ...(format === 'openai' ? OPENAI_TAGS : DEFAULT_TAGS), ...spec.tags };
}
