/** What the parts of a job hold together: the account of every row, and which samples repeat earlier ones. */

import { createMediaCollector, type ManifestEntry } from '../media/media-manifest.js';
import type { PartialReport } from '../report/data-report.js';
import { createReportAccumulator, type ReportAccumulator } from '../report/report-accumulator.js';
import { DigestTable } from './digest-table.js';
import type { Part } from './encode-parts.js';
import { DIGEST_BYTES, readPartMedia, readPartSamples, type UnitSamples } from './part-file.js';

/** A part in its place. */
export interface PlacedPart extends Part {
  readonly dataset: number;
  /** Rows of the data set before this part. */
  readonly rowsBefore: number;
  /** 1 for samples that repeat an earlier one and are left out; null = none. */
  readonly repeated: Uint8Array | null;
}

/** The parts of a job, in order. */
export interface PartSurvey {
  /** By data set. */
  readonly parts: readonly (readonly PlacedPart[])[];
  readonly report: PartialReport;
  /** Samples that are not left out. */
  readonly samples: number;
  /** Media of all rows, repeated ones included. */
  readonly media: readonly ManifestEntry[];
}

/** What {@link surveyParts} needs to know of a job. */
export interface SurveyOptions {
  /** Names of the data sets, for reasons. */
  readonly sources: readonly string[];
  /** Fields of a sample, by data set. */
  readonly fields: number;
  /** Leave out rows whose samples equal those of an earlier row, over all data sets. */
  readonly dropDuplicates: boolean;
  /** Rows may have media. */
  readonly hasMedia: boolean;
}

/** Adds the parts up. Cost: with duplicate detection 24 bytes a row; without it, nothing but the accounts is read. */
export async function surveyParts(
  parts: readonly (readonly Part[])[],
  options: SurveyOptions,
): Promise<PartSurvey> {
  const account = createReportAccumulator();
  const table = options.dropDuplicates ? new DigestTable() : null;
  const media = createMediaCollector();
  const placed: PlacedPart[][] = [];
  let samples = 0;
  for (const [dataset, ofDataset] of parts.entries()) {
    const inOrder: PlacedPart[] = [];
    let rowsBefore = 0;
    for (const part of ofDataset) {
      account.merge(part.account.report, rowsBefore);
      samples += part.samples;
      if (options.hasMedia) media.merge(movedRows(await readPartMedia(part.path), rowsBefore));
      let repeated: Uint8Array | null = null;
      if (table !== null) {
        const content = await readPartSamples(part.path, options.fields);
        const place = { dataset, rowsBefore };
        repeated = findRepeated(content, { place, table, account, sources: options.sources });
        samples -= repeated?.reduce((sum, flag) => sum + flag, 0) ?? 0;
      }
      inOrder.push({ ...part, dataset, rowsBefore, repeated });
      rowsBefore += part.account.rows;
    }
    placed.push(inOrder);
  }
  return { parts: placed, report: account.snapshot(), samples, media: media.entries() };
}

/** Entries with rows that count over the whole data set. */
function movedRows(entries: readonly ManifestEntry[], rowsBefore: number): ManifestEntry[] {
  return entries.map((entry) => ({
    ...entry,
    uses: entry.uses.map((use) => ({ ...use, row: use.row + rowsBefore })),
  }));
}

interface RepeatSearch {
  readonly place: { readonly dataset: number; readonly rowsBefore: number };
  readonly table: DigestTable;
  readonly account: ReportAccumulator;
  readonly sources: readonly string[];
}

/** Marks the samples of rows that were seen before, and moves the rows to their bucket of the account. */
function findRepeated(content: UnitSamples, search: RepeatSearch): Uint8Array | null {
  const { place, table, account, sources } = search;
  const { rows, digests } = content;
  if (digests === null) return null;
  let repeated: Uint8Array | null = null;
  for (let begin = 0; begin < rows.length; ) {
    let end = begin + 1;
    while (end < rows.length && rows[end] === rows[begin]) end++;
    const row = place.rowsBefore + (rows[begin] ?? 0);
    const digest = digests.subarray(begin * DIGEST_BYTES, (begin + 1) * DIGEST_BYTES);
    const first = table.addOrFind(digest, { dataset: place.dataset, row });
    if (first !== null) {
      repeated ??= new Uint8Array(rows.length);
      repeated.fill(1, begin, end);
      const reason = `the same tokens as ${sources[first.dataset] ?? ''}, row ${first.row}`;
      const sizes = sizesOf(content, begin, end);
      const source = sources[place.dataset] ?? '';
      account.rejectAdded({ source, row }, sizes, { bucket: 'duplicate', reason });
    }
    begin = end;
  }
  return repeated;
}

function sizesOf(content: UnitSamples, begin: number, end: number) {
  const { lengths, learned, fullLengths } = content;
  return Array.from({ length: end - begin }, (_, i) => ({
    length: lengths.reduce((longest, field) => Math.max(longest, field[begin + i] ?? 0), 0),
    learned: learned[begin + i] ?? 0,
    fullLength: fullLengths[begin + i] ?? 0,
  }));
}
