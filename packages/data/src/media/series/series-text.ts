/**
 * Series as text that a language model reads, and back.
 *
 * One line per channel. Three ways:
 *
 * - `decimal`: the values themselves with a fixed number of digits after the point.
 * - `scaled`: whole numbers. A channel is divided by a quantile of its magnitudes and multiplied by 10^digits; the line
 *   begins with that scale. Short where magnitudes differ between channels. After LLMTime's basic scaling.
 * - `bins`: numbers of equal bins. A channel is divided by the mean of its magnitudes and cut at ±limit; the line begins
 *   with the scale. Written as numbers, or as tokens `<ts_17>` for a vocabulary that has them. After Chronos.
 *
 * The same series gives the same text on every machine; reading it back is off by half a step at most, cut values aside.
 */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../../errors.js';
import type { Series } from './series.js';

/** How series are written. Plain JSON, so it can go to a worker. */
export type SeriesEncoding =
  | {
      readonly method: 'decimal';
      /** After the point, 0 to 12; default 3. */
      readonly digits?: number;
    }
  | {
      readonly method: 'scaled';
      /** Of a value as large as the scale, 1 to 9; default 3. */
      readonly digits?: number;
      /** Part of the magnitudes that lie under the scale, over 0 to 1; default 0.95. */
      readonly quantile?: number;
    }
  | {
      readonly method: 'bins';
      /** Centres of bins, at least 2; default 1,000. Chronos has 4,093. */
      readonly bins?: number;
      /** Times the scale; default 15. */
      readonly limit?: number;
      /** Default `numbers`. */
      readonly style?: 'numbers' | 'tokens';
    };

const SEPARATOR = ', ';
/** A shift of the decimal point keeps every digit of a double below this. */
const MAX_MAGNITUDE = 1e15;

/**
 * Writes a series.
 *
 * Throws: `DATA_BAD_SERIES` for a value too large for the digits; `DATA_BAD_OPTION` for an encoding out of range.
 */
export function encodeSeries({ channels }: Series, encoding: SeriesEncoding): string {
  checkEncoding(encoding);
  return channels.map((channel) => encodeChannel(channel, encoding)).join('\n');
}

/**
 * Reads what {@link encodeSeries} wrote.
 *
 * Throws: `DATA_BAD_SERIES` for a text that it cannot have written.
 */
export function decodeSeries(text: string, encoding: SeriesEncoding): Float64Array[] {
  checkEncoding(encoding);
  return text.split('\n').map((line, channel) => decodeLine(line, channel, encoding));
}

function encodeChannel(channel: Float64Array, encoding: SeriesEncoding): string {
  switch (encoding.method) {
    case 'decimal':
      return encodeDecimal(channel, encoding.digits ?? 3);
    case 'scaled':
      return encodeScaled(channel, encoding.digits ?? 3, encoding.quantile ?? 0.95);
    case 'bins':
      return encodeBins(channel, encoding);
  }
}

function encodeDecimal(channel: Float64Array, digits: number): string {
  return Array.from(channel, (value) => fixed(value, digits)).join(SEPARATOR);
}

function fixed(value: number, digits: number): string {
  checkMagnitude(value);
  const text = value.toFixed(digits);
  // A small negative number rounds to "-0.000", which reads as another zero.
  return Number(text) === 0 ? (0).toFixed(digits) : text;
}

function encodeScaled(channel: Float64Array, digits: number, part: number): string {
  const scale = exactScale(magnitudeQuantile(channel, part));
  const factor = 10 ** digits / scale.value;
  const numbers = Array.from(channel, (value) => {
    checkMagnitude(value * factor);
    // Adding zero makes −0 plain.
    return Math.round(value * factor) + 0;
  });
  return `${scale.text}: ${numbers.join(SEPARATOR)}`;
}

function encodeBins(
  channel: Float64Array,
  encoding: SeriesEncoding & { readonly method: 'bins' },
): string {
  const { style = 'numbers' } = encoding;
  const scale = exactScale(meanMagnitude(channel));
  const numbers = Array.from(binNumbers(channel, { ...binsOf(encoding), scale: scale.value }));
  const text =
    style === 'tokens' ? numbers.map((n) => `<ts_${n}>`).join('') : numbers.join(SEPARATOR);
  return `${scale.text}: ${text}`;
}

/** The scale as it will be read back, so that both directions compute with the same number. */
function exactScale(value: number): { readonly value: number; readonly text: string } {
  const text = (value > 0 && Number.isFinite(value) ? value : 1).toExponential(6);
  return { value: Number(text), text };
}

/** Linear between neighbours, as NumPy's default. */
export function magnitudeQuantile(channel: Float64Array, part: number): number {
  const sorted = channel.map(Math.abs).sort();
  const at = part * (sorted.length - 1);
  const low = sorted[Math.floor(at)] ?? 0;
  const high = sorted[Math.ceil(at)] ?? low;
  return low + (high - low) * (at - Math.floor(at));
}

/** Mean of the magnitudes; 0 for a channel of zeros. */
export function meanMagnitude(channel: Float64Array): number {
  let sum = 0;
  for (const value of channel) sum += Math.abs(value);
  return sum / channel.length;
}

/** Equal bins on both sides of zero. */
export interface BinScale {
  readonly bins: number;
  /** Outermost centres, in scales. */
  readonly limit: number;
  readonly scale: number;
}

/** The bin of each value, 0 to bins − 1; a value between two centres goes to the nearer, of equals the upper one. */
export function binNumbers(channel: Float64Array, { bins, limit, scale }: BinScale): Int32Array {
  const step = (2 * limit) / (bins - 1);
  return Int32Array.from(channel, (value) => {
    const place = Math.floor((value / scale + limit) / step + 0.5);
    return Math.min(bins - 1, Math.max(0, place));
  });
}

/** The centres of bins. */
export function binCentres(numbers: Int32Array, { bins, limit, scale }: BinScale): Float64Array {
  const step = (2 * limit) / (bins - 1);
  return Float64Array.from(numbers, (number) => (number * step - limit) * scale);
}

function binsOf({ bins = 1000, limit = 15 }: SeriesEncoding & { readonly method: 'bins' }) {
  return { bins, limit };
}

function decodeLine(line: string, channel: number, encoding: SeriesEncoding): Float64Array {
  if (encoding.method === 'decimal') {
    return readNumbers(line.split(SEPARATOR), channel, /^-?\d+(\.\d+)?$/);
  }
  const cut = line.indexOf(': ');
  const [scale = 1] = readNumbers([line.slice(0, Math.max(0, cut))], channel, /^\d\.\d+e[+-]\d+$/);
  const rest = line.slice(cut + 2);
  if (encoding.method === 'scaled') {
    const factor = scale / 10 ** (encoding.digits ?? 3);
    return readNumbers(rest.split(SEPARATOR), channel, /^-?\d+$/).map((value) => value * factor);
  }
  const isTokens = encoding.style === 'tokens';
  const words = isTokens ? rest.split(/(?<=>)/) : rest.split(SEPARATOR);
  const plain = isTokens ? words.map((word) => word.replace(/^<ts_(\d+)>$/, '$1')) : words;
  const numbers = readNumbers(plain, channel, /^\d+$/);
  return binCentres(Int32Array.from(numbers), { ...binsOf(encoding), scale });
}

function readNumbers(words: readonly string[], channel: number, form: RegExp): Float64Array {
  return Float64Array.from(words, (word, i) => {
    if (form.test(word)) return Number(word);
    const found = `channel ${channel}, place ${i} reads ${JSON.stringify(word.slice(0, 40))}`;
    throw new TuneyardError(DATA_ERRORS.DATA_BAD_SERIES, `${found}; expected a number`);
  });
}

function checkMagnitude(value: number): void {
  if (Math.abs(value) < MAX_MAGNITUDE) return;
  const found = `the value ${value} is too large to write with this encoding`;
  throw new TuneyardError(DATA_ERRORS.DATA_BAD_SERIES, found);
}

function checkEncoding(encoding: SeriesEncoding): void {
  switch (encoding.method) {
    case 'decimal':
      checkRange('digits', encoding.digits ?? 3, { min: 0, max: 12, whole: true });
      return;
    case 'scaled':
      checkRange('digits', encoding.digits ?? 3, { min: 1, max: 9, whole: true });
      checkRange('quantile', encoding.quantile ?? 0.95, { min: Number.MIN_VALUE, max: 1 });
      return;
    case 'bins':
      checkRange('bins', encoding.bins ?? 1000, { min: 2, max: 1_000_000, whole: true });
      checkRange('limit', encoding.limit ?? 15, { min: Number.MIN_VALUE, max: 1e6 });
      return;
  }
}

function checkRange(
  name: string,
  value: number,
  { min, max, whole = false }: { min: number; max: number; whole?: boolean },
): void {
  if (value >= min && value <= max && (!whole || Number.isInteger(value))) return;
  const expected = `${whole ? 'a whole number ' : ''}from ${min} to ${max}`;
  throw new TuneyardError(
    DATA_ERRORS.DATA_BAD_OPTION,
    `'${name}' of the series encoding is ${value}; expected ${expected}`,
  );
}
