/** Reads a data set as conversations (fine-tuning) or documents (pre-training). */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import { type ReadItem, readRecords } from '../readers/read-records.js';
import {
  type Conversation,
  isRejection,
  type RejectedRecord,
  type Rejection,
  type RowOrigin,
  reject,
  rejectedAt,
  type TextDocument,
} from './conversation.js';
import type { DatasetSpec } from './dataset-spec.js';
import { type DialogueParser, detectForm, dialogueParser } from './dialogue-record.js';
import type { DialogueForm } from './record-columns.js';
import { isJsonRecord, type JsonRecord, requiredText } from './record-fields.js';

/** Options of {@link readConversations} and {@link readDocuments}. */
export interface ReadDatasetOptions {
  readonly signal?: AbortSignal;
}

/**
 * Streams a data set's records as conversations and rejections, in file order.
 *
 * With format `auto` the first record decides; the form is the same for the whole file.
 * Throws: the reader's codes; `DATA_UNKNOWN_FORMAT` when no form fits the first record.
 */
export async function* readConversations(
  spec: DatasetSpec,
  options: ReadDatasetOptions = {},
): AsyncGenerator<Conversation | RejectedRecord, void, undefined> {
  const { format } = spec;
  let parse: DialogueParser | undefined;
  for await (const item of limited(spec, options)) {
    const origin: RowOrigin = { source: spec.name, row: item.row };
    const record = recordOf(item);
    if (isRejection(record)) {
      yield rejectedAt(origin, record);
      continue;
    }
    if (parse === undefined) {
      const form = format === 'auto' ? detectFormat(record, spec) : format;
      parse = dialogueParser(form === 'text' ? 'alpaca' : form, spec);
    }
    const dialogue = parse(record);
    if (isRejection(dialogue)) yield rejectedAt(origin, dialogue);
    else yield { kind: 'conversation', ...origin, ...dialogue };
  }
}

/**
 * Streams a data set's raw texts and rejections, in file order. The column is the one mapped as `prompt`,
 * else `text`.
 */
export async function* readDocuments(
  spec: DatasetSpec,
  options: ReadDatasetOptions = {},
): AsyncGenerator<TextDocument | RejectedRecord, void, undefined> {
  const column = spec.columns.prompt ?? 'text';
  for await (const item of limited(spec, options)) {
    const origin: RowOrigin = { source: spec.name, row: item.row };
    const record = recordOf(item);
    const text = isRejection(record) ? record : documentText(record, column);
    if (isRejection(text)) yield rejectedAt(origin, text);
    else yield { kind: 'document', ...origin, text };
  }
}

/**
 * Tells the form of a record from its fields.
 *
 * Throws: `DATA_UNKNOWN_FORMAT` with the fields found and the forms known.
 */
export function detectFormat(record: JsonRecord, spec: DatasetSpec): DialogueForm {
  const form = detectForm(record, spec.columns);
  if (form !== undefined) return form;
  const found = Object.keys(record).slice(0, 12).join(', ') || 'none';
  throw new TuneyardError(
    DATA_ERRORS.DATA_UNKNOWN_FORMAT,
    `${spec.path}: the form of its records is not known; fields found: ${found}. Known forms: ` +
      'instruction/input/output (alpaca), conversations[from, value] (sharegpt), ' +
      'messages[role, content] (openai)',
    {
      details: { file: spec.path, fields: Object.keys(record).slice(0, 12) },
      hint: Object.hasOwn(record, 'text')
        ? 'Raw text is for pre-training: set stage: pt.'
        : 'Map its columns in a dataset_info.json entry.',
    },
  );
}

async function* limited(
  spec: DatasetSpec,
  options: ReadDatasetOptions,
): AsyncGenerator<ReadItem, void, undefined> {
  let count = 0;
  if (spec.sampleLimit === 0) return;
  for await (const item of readRecords(spec.path, options)) {
    yield item;
    if (++count === spec.sampleLimit) return;
  }
}

function recordOf(item: ReadItem): JsonRecord | Rejection {
  if (item.kind === 'malformed') {
    return reject('malformed_json', `line ${item.line}: ${item.reason}`);
  }
  if (isJsonRecord(item.value)) return item.value;
  return reject('not_an_object', 'the record is not a JSON object');
}

function documentText(record: JsonRecord, column: string): string | Rejection {
  const text = requiredText(record, column);
  if (isRejection(text) || text.trim() !== '') return text;
  return reject('empty_text', `'${column}' is empty`);
}
