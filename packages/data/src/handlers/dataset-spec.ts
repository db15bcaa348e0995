/**
 * What a data set is: its files, its form, which of its rows are read, and the names of its columns and roles.
 *
 * The names and defaults are those of LLaMA-Factory's `dataset_info.json`.
 */
import { basename } from 'node:path';
import { kindOfName } from '../readers/data-file.js';
import type { RecordColumns } from './record-columns.js';

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

/** A data set ready to be read. Plain JSON. */
export interface DatasetSpec {
  readonly name: string;
  /** A file, a folder of files, a Hugging Face data set folder, or a glob. */
  readonly path: string;
  readonly format: DatasetFormat;
  /**
   * Only what was named: defaults are filled in where records are read. '' = not read, although there is a default;
   * LLaMA-Factory reads optional columns of a registered set only when its entry names them.
   */
  readonly columns: Partial<RecordColumns>;
  readonly tags: Partial<RoleTags>;
  /**
   * Where rows are read from the beginning and not selected: read at most this many, the smaller of `numSamples` and
   * `maxSamples`; null = all.
   */
  readonly sampleLimit: number | null;
  /** A split or slices of it, as `parseSplit` reads them; `train` unless said otherwise. */
  readonly split: string;
  /** Draw this many rows at random, with repeats when there are fewer; null = all, in order. See `selectRows`. */
  readonly numSamples: number | null;
  /** Keep the first so many of what is drawn; null = all. */
  readonly maxSamples: number | null;
  /** Records hold a chosen and a rejected answer. */
  readonly ranking: boolean;
  /** Records hold one answer and whether it is wanted. */
  readonly kto: boolean;
}

/** Describes data that is not registered; its name is the file or folder name without extension. */
export function describeDataFile(path: string, format: DatasetFormat = 'auto'): DatasetSpec {
  const extension = kindOfName(path)?.extension ?? '';
  const name = basename(path);
  return {
    name: extension === '' ? name : name.slice(0, -extension.length),
    path,
    format,
    columns: {},
    tags: {},
    sampleLimit: null,
    split: 'train',
    numSamples: null,
    maxSamples: null,
    ranking: false,
    kto: false,
  };
}
