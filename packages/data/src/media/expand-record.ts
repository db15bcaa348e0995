/**
 * Media at the level of records: what comes out is a record of text alone, which any handler takes.
 *
 * Handlers are plain functions of a record, while files have to be waited for; so media are written into a record's
 * text first.
 */
import { isRejection, type Rejection } from '../handlers/conversation.js';
import type { RoleTags } from '../handlers/dataset-spec.js';
import { detectForm } from '../handlers/dialogue-record.js';
import {
  type DialogueForm,
  type RecordColumns,
  recordColumns,
  recordTags,
} from '../handlers/record-columns.js';
import { parseExtras } from '../handlers/record-extras.js';
import { isJsonRecord, type JsonRecord } from '../handlers/record-fields.js';
import type { MediaChecker } from './media-checker.js';
import type { MediaUse } from './media-types.js';

/** Where the texts and media of records are. Plain JSON. */
export interface RecordMediaNames {
  /** Default: told from the record's fields. */
  readonly form?: DialogueForm;
  /** Column names that are not the defaults; '' = not read. */
  readonly columns?: Partial<RecordColumns>;
  /** Role names that are not the defaults. */
  readonly tags?: Partial<RoleTags>;
  /** Column of series; absent: none is read. */
  readonly seriesColumn?: string;
}

/** A record whose media are in its text. */
export interface ExpandedRecord {
  /** Without its media columns. */
  readonly record: JsonRecord;
  readonly media: readonly MediaUse[];
  /** Places that features of media take. */
  readonly extraTokens: number;
  /** A token to put in front of the sample, `count` times, masked; PaliGemma alone. */
  readonly prefix?: { readonly token: string; readonly count: number };
}

/**
 * Checks the media of a record and writes them into its text.
 *
 * Placeholders count where LLaMA-Factory counts them: in questions, answers and history, in the order in which they
 * are read; not in the system text, nor in answers to choose from.
 *
 * Throws: the signal's reason when the checker's is aborted.
 */
export async function expandRecordMedia(
  record: JsonRecord,
  checker: MediaChecker,
  names: RecordMediaNames = {},
): Promise<ExpandedRecord | Rejection> {
  const form = names.form ?? detectForm(record, names.columns) ?? 'alpaca';
  const columns = recordColumns(form, names.columns);
  const extras = parseExtras(record, columns);
  if (isRejection(extras)) return extras;
  const { seriesColumn } = names;
  const series = seriesColumn === undefined ? undefined : record[seriesColumn];
  const messages =
    form === 'alpaca'
      ? alpacaTexts(record, columns)
      : turnTexts(record, columns, recordTags(form, names.tags));
  const media = {
    ...extras.media,
    ...(series === undefined || series === null ? {} : { series: series as readonly unknown[] }),
  };
  const checked = await checker.check({ messages, media });
  if (isRejection(checked)) return checked;
  const { conversation, prefix, extraTokens } = checked;
  const written = conversation.messages.filter((message, i) => message !== messages[i]);
  const mediaColumns = [columns.images, columns.videos, columns.audios, seriesColumn ?? ''];
  return {
    record: withTexts(withoutColumns(record, mediaColumns), written),
    media: checked.media,
    extraTokens,
    ...(prefix === undefined ? {} : { prefix }),
  };
}

/** A text of a record and the way to it. */
interface PlacedText {
  readonly role: string;
  readonly content: string;
  readonly path: readonly (string | number)[];
}

function placed(role: string, content: unknown, path: PlacedText['path']): PlacedText[] {
  return typeof content === 'string' ? [{ role, content, path }] : [];
}

function alpacaTexts(record: JsonRecord, columns: RecordColumns): PlacedText[] {
  const history = record[columns.history];
  const pairs = Array.isArray(history) ? history : [];
  const earlier = pairs.flatMap((pair, i) =>
    (Array.isArray(pair) ? pair : []).flatMap((text, side) =>
      placed(side === 0 ? 'user' : 'assistant', text, [columns.history, i, side]),
    ),
  );
  return [
    ...earlier,
    ...placed('user', record[columns.prompt], [columns.prompt]),
    ...placed('user', record[columns.query], [columns.query]),
    ...placed('assistant', record[columns.response], [columns.response]),
  ];
}

function turnTexts(record: JsonRecord, columns: RecordColumns, tags: RoleTags): PlacedText[] {
  const turns = record[columns.messages];
  return (Array.isArray(turns) ? turns : []).flatMap((turn, i) => {
    if (!isJsonRecord(turn)) return [];
    // Only the data set's own name of the system role counts.
    const role = turn[tags.role_tag] === tags.system_tag ? 'system' : 'turn';
    const place = [columns.messages, i, tags.content_tag];
    const content = turn[tags.content_tag];
    if (!Array.isArray(content)) return placed(role, content, place);
    return content.flatMap((part, at) =>
      isJsonRecord(part) ? placed(role, part['text'], [...place, at, 'text']) : [],
    );
  });
}

function withoutColumns(record: JsonRecord, columns: readonly string[]): JsonRecord {
  if (!columns.some((column) => Object.hasOwn(record, column))) return record;
  return Object.fromEntries(Object.entries(record).filter(([key]) => !columns.includes(key)));
}

function withTexts(record: JsonRecord, texts: readonly PlacedText[]): JsonRecord {
  return texts.reduce((made, { path, content }) => replaceAt(made, path, content), record);
}

/** A copy with another value at the end of the path; what is not on the path is shared. */
function replaceAt<T>(value: T, [key, ...rest]: PlacedText['path'], content: string): T {
  if (key === undefined) return content as T;
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as {
    [key: string | number]: unknown;
  };
  copy[key] = replaceAt(copy[key], rest, content);
  return copy as T;
}
