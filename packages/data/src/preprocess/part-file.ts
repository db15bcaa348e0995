/**
 * A part: what one unit of reading became, committed by renaming its file into place.
 *
 * `tokens.<i>` I32 [N] and `lengths.<i>` I32 [n] for each field; `rows`, `learned` and `full_lengths` I32 [n]; with
 * duplicate detection `digests` U8 [n, 16]; where there are media, `media` U8: their entries as JSON; the account of
 * its rows is in the metadata.
 */
import { TuneyardError } from '@tuneyard/core';
import { type SafetensorsEntry, SafetensorsReader, writeSafetensors } from '@tuneyard/formats';
import { DATA_ERRORS } from '../errors.js';
import type { ManifestEntry } from '../media/media-manifest.js';
import type { PartialReport } from '../report/data-report.js';

const FORMAT = 'tuneyard-part-1';

/** Bytes of a digest. */
export const DIGEST_BYTES = 16;

/** What became of the rows of a unit. */
export interface UnitAccount {
  /** Records read, good and bad. */
  readonly rows: number;
  /** Row numbers count within the unit. */
  readonly report: PartialReport;
}

/** What is known of the samples of a unit besides their tokens. */
export interface UnitSamples {
  /** Tokens of each sample, by field. */
  readonly lengths: readonly Int32Array[];
  /** 1-based row within the unit of each sample, ascending; several samples may share one. */
  readonly rows: Int32Array;
  /** Learned tokens of each sample. */
  readonly learned: Int32Array;
  /** Tokens of each sample before it was cut. */
  readonly fullLengths: Int32Array;
  /** {@link DIGEST_BYTES} a sample: a hash of all samples of its row. Null when repeated rows are kept. */
  readonly digests: Uint8Array | null;
}

/** What a unit became. */
export interface UnitTokens extends UnitSamples {
  /** Token streams by field: the samples of a unit end to end. */
  readonly tokens: readonly Int32Array[];
  /** Media of dialogues that were kept; rows count within the unit. */
  readonly media: readonly ManifestEntry[];
  readonly account: UnitAccount;
}

/** What the planner needs of a finished part. */
export interface PartSummary {
  readonly account: UnitAccount;
  readonly samples: number;
}

/** Writes a part; it exists under its name only when it is whole. */
export async function writePart(path: string, unit: UnitTokens): Promise<PartSummary> {
  const entries: SafetensorsEntry[] = [
    ...unit.tokens.map((values, i) => int32Entry(`tokens.${i}`, values)),
    ...unit.lengths.map((values, i) => int32Entry(`lengths.${i}`, values)),
    int32Entry('rows', unit.rows),
    int32Entry('learned', unit.learned),
    int32Entry('full_lengths', unit.fullLengths),
  ];
  if (unit.digests !== null) {
    const shape = [unit.rows.length, DIGEST_BYTES];
    entries.push({ name: 'digests', dtype: 'U8', shape, data: unit.digests });
  }
  if (unit.media.length > 0) {
    const data = Buffer.from(JSON.stringify(unit.media));
    entries.push({ name: 'media', dtype: 'U8', shape: [data.length], data });
  }
  await writeSafetensors(path, entries, {
    metadata: { format: FORMAT, account: JSON.stringify(unit.account) },
  });
  return { account: unit.account, samples: unit.rows.length };
}

/** The account of a committed part without its tokens; null when there is no whole part of that name. */
export async function readPartSummary(path: string): Promise<PartSummary | null> {
  try {
    const reader = await SafetensorsReader.open(path);
    try {
      if (reader.metadata['format'] !== FORMAT) return null;
      const account = JSON.parse(reader.metadata['account'] ?? '') as UnitAccount;
      return { account, samples: reader.tensors.get('rows')?.shape[0] ?? 0 };
    } finally {
      await reader.close();
    }
  } catch (error) {
    // Missing, cut off by a crash, or of another version: the unit is encoded again.
    if (error instanceof TuneyardError || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Reads all but the tokens of a committed part. Throws: as {@link readPart}. */
export function readPartSamples(path: string, fields: number): Promise<UnitSamples> {
  return withPart(path, (reader) => samplesOf(reader, fields));
}

/** Reads the media of a committed part. Throws: as {@link readPart}. */
export function readPartMedia(path: string): Promise<readonly ManifestEntry[]> {
  return withPart(path, async (reader) => {
    if (!reader.tensors.has('media')) return [];
    const text = Buffer.from(await reader.read('media')).toString('utf8');
    return JSON.parse(text) as ManifestEntry[];
  });
}

/** Reads a committed part. Throws: `DATA_PART_DAMAGED` when it changed since it was committed. */
export function readPart(
  path: string,
  fields: number,
): Promise<UnitSamples & Pick<UnitTokens, 'tokens'>> {
  return withPart(path, async (reader) => {
    const tokens: Int32Array[] = [];
    for (let i = 0; i < fields; i++) tokens.push(await readInt32(reader, `tokens.${i}`));
    return { tokens, ...(await samplesOf(reader, fields)) };
  });
}

async function samplesOf(reader: SafetensorsReader, fields: number): Promise<UnitSamples> {
  const lengths: Int32Array[] = [];
  for (let i = 0; i < fields; i++) lengths.push(await readInt32(reader, `lengths.${i}`));
  return {
    lengths,
    rows: await readInt32(reader, 'rows'),
    learned: await readInt32(reader, 'learned'),
    fullLengths: await readInt32(reader, 'full_lengths'),
    digests: reader.tensors.has('digests') ? await reader.read('digests') : null,
  };
}

async function withPart<T>(
  path: string,
  read: (reader: SafetensorsReader) => Promise<T>,
): Promise<T> {
  const reader = await SafetensorsReader.open(path);
  try {
    return await read(reader);
  } finally {
    await reader.close();
  }
}

async function readInt32(reader: SafetensorsReader, name: string): Promise<Int32Array> {
  if (reader.tensors.get(name)?.dtype !== 'I32') throw damaged(reader, `${name} is missing`);
  const bytes = await reader.read(name);
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

function int32Entry(name: string, values: Int32Array): SafetensorsEntry {
  const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return { name, dtype: 'I32', shape: [values.length], data };
}

function damaged(reader: SafetensorsReader, what: string): TuneyardError {
  const file = reader.files[0] ?? '';
  return new TuneyardError(DATA_ERRORS.DATA_PART_DAMAGED, `${file}: ${what}`, {
    details: { file },
    hint: 'Remove the working directory of the preprocessing and run it again.',
  });
}
