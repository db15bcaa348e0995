/**
 * `split` of a registered data set: the name of a split, or slices of it, as Hugging Face `datasets` writes them:
 * `train`, `train[:1000]`, `train[10%:20%]`, `train[:5%]+train[-5%:]`.
 *
 * Checked against: `ReadInstruction` of datasets 3.6.0 and 5.2.0.
 */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';

/** A place in a split: a row, or a percentage of its rows. Negative ones count from the end. */
interface SliceBound {
  readonly value: number;
  readonly isPercent: boolean;
}

/** A part of a split; null = from its beginning, to its end. */
interface SplitSlice {
  readonly from: SliceBound | null;
  readonly to: SliceBound | null;
}

/** A split and the parts of it that are read, in order; a part may repeat another. */
export interface SplitSlices {
  /** Name of the split: `train`, `validation`, … */
  readonly name: string;
  readonly slices: readonly SplitSlice[];
}

/** Rows [begin, end), 0-based. */
export interface RowRange {
  readonly begin: number;
  readonly end: number;
}

const SLICE =
  /^(?<name>\w+(?:\.\w+)*)(?:\[(?:(?<from>-?\d[\d_]*)(?<fromUnit>%?))?:(?:(?<to>-?\d[\d_]*)(?<toUnit>%?))?\])?$/;

/**
 * Parses a split.
 *
 * Throws: `DATA_BAD_OPTION` for another spelling, mixed units, a percentage above 100, or parts of several splits.
 */
export function parseSplit(text: string): SplitSlices {
  const parts = text.split('+').map((part) => parseSlice(part.trim(), text));
  const name = parts[0]?.name ?? 'train';
  const other = parts.find((part) => part.name !== name);
  if (other !== undefined) {
    const hint = 'Register each split as a data set of its own and name both.';
    throw badSplit(text, `parts of '${name}' and '${other.name}' are not read as one`, hint);
  }
  return { name, slices: parts };
}

/** The rows that slices mean in a split of `count` rows; never beyond it. */
export function rangesOfSlices({ slices }: SplitSlices, count: number): RowRange[] {
  return slices.map(({ from, to }) => {
    const begin = from === null ? 0 : boundOf(from, count);
    return { begin, end: Math.max(begin, to === null ? count : boundOf(to, count)) };
  });
}

function parseSlice(part: string, text: string): SplitSlice & { readonly name: string } {
  const groups = SLICE.exec(part)?.groups;
  if (groups === undefined) throw badSplit(text, 'expected a form like train or train[10%:20%]');
  const from = boundIn(groups['from'], groups['fromUnit']);
  const to = boundIn(groups['to'], groups['toUnit']);
  if (from !== null && to !== null && from.isPercent !== to.isPercent) {
    throw badSplit(text, 'one end is a row and the other a percentage');
  }
  for (const bound of [from, to]) {
    if (bound?.isPercent !== true || Math.abs(bound.value) <= 100) continue;
    throw badSplit(text, `${bound.value}% is beyond 100%`);
  }
  return { name: groups['name'] as string, from, to };
}

function boundIn(digits: string | undefined, unit: string | undefined): SliceBound | null {
  if (digits === undefined) return null;
  return { value: Number(digits.replaceAll('_', '')), isPercent: unit === '%' };
}

function boundOf({ value, isPercent }: SliceBound, count: number): number {
  const row = isPercent ? roundHalfEven((value * count) / 100) : value;
  return Math.min(count, row < 0 ? Math.max(0, count + row) : row);
}

/** Rounds as Python does: a half goes to the even neighbour. */
function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

function badSplit(text: string, what: string, hint?: string): TuneyardError {
  return new TuneyardError(DATA_ERRORS.DATA_BAD_OPTION, `split '${text}': ${what}`, {
    details: { split: text },
    ...(hint === undefined ? {} : { hint }),
  });
}
