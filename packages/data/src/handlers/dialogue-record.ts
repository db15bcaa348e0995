/** A record that tells a dialogue, in any of the forms. */
import { type ParsedDialogue, parseAlpaca } from './alpaca.js';
import { type Rejection, reject } from './conversation.js';
import type { RoleTags } from './dataset-spec.js';
import {
  DEFAULT_RECORD_COLUMNS,
  type DialogueForm,
  type RecordColumns,
  recordColumns,
  recordTags,
} from './record-columns.js';
import type { JsonRecord } from './record-fields.js';
import { parseShareGpt } from './sharegpt.js';

/** Names of columns and roles that are not the defaults. */
export interface RecordNames {
  readonly columns?: Partial<RecordColumns>;
  readonly tags?: Partial<RoleTags>;
}

/** A parser with its names filled in. */
export type DialogueParser = (record: JsonRecord) => ParsedDialogue | Rejection;

/** Parses records of a known form into dialogues that end with an answer. */
export function dialogueParser(form: DialogueForm, names: RecordNames): DialogueParser {
  const columns = recordColumns(form, names.columns);
  if (form === 'alpaca') return (record) => parseAlpaca(record, columns);
  const tags = recordTags(form, names.tags);
  return (record) => parseShareGpt(record, columns, tags);
}

/** Parses records whose forms show in their fields, each by itself. */
export function anyDialogueParser(names: RecordNames): DialogueParser {
  const parsers: { readonly [form in DialogueForm]: DialogueParser } = {
    alpaca: dialogueParser('alpaca', names),
    sharegpt: dialogueParser('sharegpt', names),
    openai: dialogueParser('openai', names),
  };
  return (record) => {
    const form = detectForm(record, names.columns);
    return form === undefined ? unknownForm(record) : parsers[form](record);
  };
}

/** Refuses a record whose fields are those of no form. */
export function unknownForm(record: JsonRecord): Rejection {
  const found = Object.keys(record).slice(0, 12).join(', ') || 'none';
  return reject(
    'missing_field',
    `expected ${DEFAULT_RECORD_COLUMNS.prompt}, ${DEFAULT_RECORD_COLUMNS.messages} or messages; fields found: ${found}`,
  );
}

/** Tells the form of a record from its fields; undefined when it has those of none. */
export function detectForm(
  record: JsonRecord,
  named: Partial<RecordColumns> = {},
): DialogueForm | undefined {
  const has = (name: string): boolean => Object.hasOwn(record, name);
  if (has(named.messages ?? DEFAULT_RECORD_COLUMNS.messages)) return 'sharegpt';
  if (has('messages')) return 'openai';
  const { prompt, response } = { ...DEFAULT_RECORD_COLUMNS, ...named };
  return has(prompt) || has(response) ? 'alpaca' : undefined;
}
