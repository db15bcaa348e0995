/** Series of numbers, such as sensor readings, in the records of a data set. */
import { createHash } from 'node:crypto';
import { isJsonRecord } from '../../handlers/record-fields.js';
import { MediaFault } from '../measure/media-fault.js';
import type { SeriesMeasure } from '../media-types.js';

/** One series: channels of equal length. */
export interface Series {
  readonly channels: readonly Float64Array[];
  /** Readings per second; null where the record does not say. */
  readonly samplingRate: number | null;
}

/** What every series of a data set has to be; what is left out may be anything. */
export interface SeriesExpectation {
  readonly channels?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  /** Hz; a record that names another is refused, one that names none is taken to have it. */
  readonly samplingRate?: number;
}

/**
 * Reads one entry of a `series` column: a list of numbers, a list of channels that are lists of numbers, or an object
 * `{values, sampling_rate}` with either in `values`.
 *
 * Throws: {@link MediaFault} for what is no such thing, a number that is not finite, channels of different lengths,
 * or what is not expected.
 */
export function readSeries(
  value: unknown,
  maxValues: number,
  expected: SeriesExpectation = {},
): Series {
  const record = isJsonRecord(value) && !ArrayBuffer.isView(value) ? value : undefined;
  const values = listOf(record === undefined ? value : record['values']);
  if (values === undefined) throw bad('it is no list of numbers and has no list in values');
  if (values.length === 0) throw bad('it is empty');
  const lists = typeof values[0] === 'number' ? [values] : values.map(channelList);
  const total = lists.reduce((sum, list) => sum + list.length, 0);
  if (total > maxValues) throw bad(`it has ${total} numbers; the limit is ${maxValues}`);
  const channels = lists.map((list, channel) => readChannel(list, channel));
  const samplingRate = readRate(record?.['sampling_rate'], expected.samplingRate);
  checkShape(channels, expected);
  return { channels, samplingRate };
}

/** Lists of JSON, and the typed arrays that columnar files give. */
function listOf(value: unknown): (ArrayLike<unknown> & { map: unknown[]['map'] }) | undefined {
  if (Array.isArray(value)) return value;
  return value instanceof Float64Array || value instanceof Float32Array
    ? Array.from(value)
    : undefined;
}

function channelList(value: unknown, channel: number): ArrayLike<unknown> {
  const list = listOf(value);
  if (list !== undefined) return list;
  throw bad(`channel ${channel} is no list of numbers`);
}

function readChannel(list: ArrayLike<unknown>, channel: number): Float64Array {
  const numbers = new Float64Array(list.length);
  for (let i = 0; i < list.length; i++) {
    const value = list[i];
    if (typeof value !== 'number' || !Number.isFinite(value)) {
      const found = typeof value === 'number' ? String(value) : JSON.stringify(value);
      throw bad(`channel ${channel}, place ${i} is ${found}; expected a finite number`);
    }
    numbers[i] = value;
  }
  return numbers;
}

function readRate(value: unknown, expected: number | undefined): number | null {
  if (value === undefined || value === null) return expected ?? null;
  if (typeof value !== 'number' || !(value > 0) || !Number.isFinite(value)) {
    throw bad(`sampling_rate is ${JSON.stringify(value)}; expected a number of Hz`);
  }
  if (expected !== undefined && value !== expected) {
    throw bad(`sampling_rate is ${value} Hz; expected ${expected}`);
  }
  return value;
}

function checkShape(channels: readonly Float64Array[], expected: SeriesExpectation): void {
  const length = channels[0]?.length ?? 0;
  if (length === 0) throw bad('it is empty');
  const odd = channels.findIndex((channel) => channel.length !== length);
  if (odd >= 0) {
    throw bad(`channel ${odd} has ${channels[odd]?.length} numbers, channel 0 has ${length}`);
  }
  if (expected.channels !== undefined && channels.length !== expected.channels) {
    throw bad(`it has ${channels.length} channels; expected ${expected.channels}`);
  }
  const { minLength = 1, maxLength = Number.POSITIVE_INFINITY } = expected;
  if (length < minLength || length > maxLength) {
    throw bad(`it has ${length} numbers per channel; expected ${minLength} to ${maxLength}`);
  }
}

function bad(what: string): MediaFault {
  return new MediaFault('media_unreadable', what);
}

/** What a series measures. */
export function measureSeries({ channels, samplingRate }: Series): SeriesMeasure {
  return {
    kind: 'series',
    channels: channels.length,
    length: channels[0]?.length ?? 0,
    samplingRate,
  };
}

/** SHA-256 over channels, length and rate as text and the values as little-endian doubles. */
export function hashSeries(series: Series): string {
  const { channels, length, samplingRate } = measureSeries(series);
  const hash = createHash('sha256').update(`series ${channels} ${length} ${samplingRate ?? ''}\n`);
  for (const channel of series.channels) {
    const bytes = new DataView(new ArrayBuffer(8 * channel.length));
    channel.forEach((value, i) => {
      bytes.setFloat64(8 * i, value, true);
    });
    hash.update(new Uint8Array(bytes.buffer));
  }
  return hash.digest('hex');
}
