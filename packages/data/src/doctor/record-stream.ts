/** Streams the records of a data set, be it one file or many, with their places. */
import { basename } from 'node:path';
import { type Rejection, type RowOrigin, reject } from '../handlers/conversation.js';
import type { DatasetSpec } from '../handlers/dataset-spec.js';
import { isJsonRecord, type JsonRecord } from '../handlers/record-fields.js';
import { parseSplit, rangesOfSlices } from '../mixing/split-slices.js';
import { countRows } from '../readers/count-rows.js';
import { discoverDataFiles } from '../readers/discover-data-files.js';
import { readRecords } from '../readers/read-records.js';

/** A record, or why it is none. */
export interface StreamedRecord extends RowOrigin {
  /** Counted from 0 through all files of the data set. */
  readonly index: number;
  readonly record: JsonRecord | Rejection;
}

/**
 * Streams the records of a data set's split in file order. Rows count within their file; with several files the source
 * names the file too. Where training draws `num_samples` rows at random, all rows are given: any may be drawn.
 */
export async function* streamRecords(
  spec: DatasetSpec,
  signal?: AbortSignal,
): AsyncGenerator<StreamedRecord, void, undefined> {
  const options = signal === undefined ? {} : { signal };
  const split = parseSplit(spec.split);
  const files = await discoverDataFiles(spec.path, { baseDir: '.', split: split.name, ...options });
  const isSliced = split.slices.some(({ from, to }) => from !== null || to !== null);
  const ranges = isSliced ? rangesOfSlices(split, await countRows(files, options)) : null;
  const limit = spec.numSamples === null ? (spec.maxSamples ?? spec.sampleLimit) : null;
  let index = 0;
  let position = 0;
  for (const { path } of files) {
    const source = files.length === 1 ? spec.name : `${spec.name}/${basename(path)}`;
    for await (const item of readRecords(path, options)) {
      if (index === limit) return;
      const at = position++;
      if (ranges?.some(({ begin, end }) => at >= begin && at < end) === false) continue;
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
