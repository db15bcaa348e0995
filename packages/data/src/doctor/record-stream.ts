/** Streams the records of a data set, be it one file or many, with their places. */
import { basename } from 'node:path';
import { type Rejection, type RowOrigin, reject } from '../handlers/conversation.js';
import type { DatasetSpec } from '../handlers/dataset-spec.js';
import { isJsonRecord, type JsonRecord } from '../handlers/record-fields.js';
import { discoverDataFiles } from '../readers/discover-data-files.js';
import { readRecords } from '../readers/read-records.js';

/** A record, or why it is none. */
export interface StreamedRecord extends RowOrigin {
  /** Counted from 0 through all files of the data set. */
  readonly index: number;
  readonly record: JsonRecord | Rejection;
}

/**
 * Streams records in file order up to the data set's limit. Rows count within their file; with several files the
 * source names the file too.
 */
export async function* streamRecords(
  spec: DatasetSpec,
  signal?: AbortSignal,
): AsyncGenerator<StreamedRecord, void, undefined> {
  const options = signal === undefined ? {} : { signal };
  const files = await discoverDataFiles(spec.path, { baseDir: '.', ...options });
  let index = 0;
  for (const { path } of files) {
    const source = files.length === 1 ? spec.name : `${spec.name}/${basename(path)}`;
    for await (const item of readRecords(path, options)) {
      if (index === spec.sampleLimit) return;
      yield { source, row: item.row, index: index++, record: recordOf(item) };
    }
  }
}

function recordOf(
  item: Awaited<ReturnType<ReturnType<typeof readRecords>['next']>>['value'] & object,
) {
  if (item.kind === 'malformed') {
    return reject('malformed_json', `line ${item.line}: ${item.reason}`);
  }
  if (isJsonRecord(item.value)) return item.value;
  return reject('not_an_object', 'the record is not a JSON object');
}
