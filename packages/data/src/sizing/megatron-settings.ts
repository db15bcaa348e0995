/**
 * Settings in the spelling of Megatron-style launch scripts (MBS, GBS, SEQ_LEN, SN, EPOCH, TP, PP, CP …): parsed, held
 * against each other and against the data, and completed.
 *
 * `SN`, the number of rows, must be edited there by hand whenever data change; here it is counted, and a given one that
 * disagrees is told. Nothing is thrown for a wrong value: every rule that is broken is a finding with legal values.
 */
import { formatCount } from '@tuneyard/core';
import { deriveIterations, type IterationPlan } from './derive-iterations.js';

/** Settings that are read: the name, and whether it is a whole number. */
const KEYS = {
  MBS: 'whole',
  GBS: 'whole',
  SEQ_LEN: 'whole',
  MAX_PE: 'whole',
  SN: 'whole',
  EPOCH: 'number',
  TRAIN_ITERS: 'whole',
  TP: 'whole',
  PP: 'whole',
  CP: 'whole',
  NNODES: 'whole',
  NPUS_PER_NODE: 'whole',
  LR: 'number',
  MIN_LR: 'number',
} as const;

/** Name of a setting. */
export type MegatronKey = keyof typeof KEYS;

/** A rule that is broken, or something to know. */
export interface SettingFinding {
  readonly key: MegatronKey;
  /** `error`: training would refuse or go wrong. `warning`: it would run, though not as said. */
  readonly severity: 'error' | 'warning';
  /** What was found, what the rule is. */
  readonly message: string;
  /** Legal values next to the given one, nearest first. */
  readonly nearest: readonly number[];
}

/** What is known of the data and the machine. */
export interface SettingContext {
  /** Samples that were kept, or rows after packing. */
  readonly samples: number;
  readonly unit?: 'samples' | 'packed rows';
  /** Tokens of the longest sample; null or left out = not known. */
  readonly longest?: number | null;
}

/** Settings with what follows from them. */
export interface MegatronDataSettings {
  readonly values: { readonly [key in MegatronKey]?: number };
  /** Samples per pass: counted. */
  readonly sampleCount: number;
  /** Data-parallel ranks; null when devices are not named or do not divide. */
  readonly dataParallelSize: number | null;
  /** Micro-batches per step and rank; null when GBS does not divide. */
  readonly microBatches: number | null;
  /** Null when GBS or EPOCH is missing or wrong. */
  readonly iterations: IterationPlan | null;
  readonly findings: readonly SettingFinding[];
}

/** Parses and checks settings. Values may be text, as an environment has them. */
export function parseMegatronDataSettings(
  settings: { readonly [name: string]: string | number | undefined },
  context: SettingContext,
): MegatronDataSettings {
  const findings: SettingFinding[] = [];
  const values = parseValues(settings, findings);
  const dataParallelSize = dataParallelOf(values, findings);
  const microBatches = microBatchesOf(values, dataParallelSize, findings);
  checkLengths(values, context, findings);
  const { LR, MIN_LR, SN } = values;
  if (LR !== undefined && MIN_LR !== undefined && MIN_LR > LR) {
    findings.push(broken('MIN_LR', `MIN_LR is ${MIN_LR}, above LR ${LR}`, [LR]));
  }
  const { samples, unit = 'samples' } = context;
  if (SN !== undefined && SN !== samples) {
    const message = `SN is ${formatCount(SN)}, but ${formatCount(samples)} ${unit} were counted; the count is used`;
    findings.push({ key: 'SN', severity: 'warning', message, nearest: [samples] });
  }
  return {
    values,
    sampleCount: samples,
    dataParallelSize,
    microBatches,
    iterations: iterationsOf(values, context, findings),
    findings,
  };
}

type Values = { [key in MegatronKey]?: number };

function parseValues(
  settings: { readonly [name: string]: string | number | undefined },
  findings: SettingFinding[],
): Values {
  const values: Values = {};
  const names = Object.keys(KEYS) as MegatronKey[];
  for (const [name, given] of Object.entries(settings)) {
    if (given === undefined || given === '') continue;
    const key = names.find((known) => known === name);
    if (key !== undefined) {
      const value = parseValue(key, given);
      if (value !== undefined) values[key] = value;
      else findings.push(broken(key, `${key} is '${given}'; expected ${EXPECTED[KEYS[key]]}`, []));
      continue;
    }
    const meant = names.find((known) => isSlip(name, known) && settings[known] === undefined);
    if (meant === undefined) continue;
    const message = `${name} is not known; did you mean ${meant}?`;
    findings.push({ key: meant, severity: 'warning', message, nearest: [] });
  }
  return values;
}

const EXPECTED = { whole: 'a whole number from 1', number: 'a number above 0' } as const;

function parseValue(key: MegatronKey, given: string | number): number | undefined {
  const value = typeof given === 'number' ? given : Number(given.trim());
  if (KEYS[key] === 'whole') return Number.isSafeInteger(value) && value >= 1 ? value : undefined;
  const isZeroFloor = key === 'MIN_LR' && value === 0;
  return (value > 0 && value < Number.POSITIVE_INFINITY) || isZeroFloor ? value : undefined;
}

/** A script has many other variables; only what differs in case, signs or an S is taken for a slip. */
function isSlip(name: string, key: string): boolean {
  const bare = (text: string): string => text.toUpperCase().replace(/[^A-Z]/g, '');
  return bare(name) === bare(key) || bare(name) === `${bare(key)}S`;
}

function dataParallelOf(values: Values, findings: SettingFinding[]): number | null {
  const { NNODES = 1, NPUS_PER_NODE, TP = 1, PP = 1, CP = 1 } = values;
  if (NPUS_PER_NODE === undefined) return null;
  const world = NNODES * NPUS_PER_NODE;
  const model = TP * PP * CP;
  if (world % model === 0) return world / model;
  const message = `TP · PP · CP = ${TP} · ${PP} · ${CP} = ${model} does not divide the ${world} devices`;
  const others = PP * CP;
  const nearest = world % others === 0 ? nearestDivisors(world / others, TP) : [];
  findings.push(broken('TP', message, nearest));
  return null;
}

function microBatchesOf(
  values: Values,
  dataParallelSize: number | null,
  findings: SettingFinding[],
): number | null {
  const { GBS, MBS = 1 } = values;
  if (GBS === undefined) return null;
  const unit = MBS * (dataParallelSize ?? 1);
  if (GBS % unit === 0) return dataParallelSize === null ? null : GBS / unit;
  const what =
    dataParallelSize === null
      ? `MBS ${MBS}`
      : `MBS ${MBS} · ${dataParallelSize} data-parallel ranks = ${unit}`;
  findings.push(
    broken('GBS', `GBS ${GBS} is not a multiple of ${what}`, nearestMultiples(unit, GBS)),
  );
  return null;
}

function checkLengths(values: Values, context: SettingContext, findings: SettingFinding[]): void {
  const { SEQ_LEN, MAX_PE, CP = 1 } = values;
  if (SEQ_LEN === undefined) return;
  if (CP > 1 && SEQ_LEN % (2 * CP) !== 0) {
    const message = `SEQ_LEN ${SEQ_LEN} is not a multiple of 2 · CP = ${2 * CP}`;
    findings.push(broken('SEQ_LEN', message, nearestMultiples(2 * CP, SEQ_LEN)));
  }
  if (MAX_PE !== undefined && MAX_PE < SEQ_LEN) {
    findings.push(broken('MAX_PE', `MAX_PE ${MAX_PE} is below SEQ_LEN ${SEQ_LEN}`, [SEQ_LEN]));
  }
  const { longest = null } = context;
  if (longest === null || longest <= SEQ_LEN) return;
  const message = `the longest sample has ${formatCount(longest)} tokens, more than SEQ_LEN ${formatCount(SEQ_LEN)}; preprocess with the same SEQ_LEN`;
  findings.push({ key: 'SEQ_LEN', severity: 'error', message, nearest: [longest] });
}

function iterationsOf(
  values: Values,
  context: SettingContext,
  findings: SettingFinding[],
): IterationPlan | null {
  const { GBS, EPOCH = 1, TRAIN_ITERS } = values;
  const { samples, unit = 'samples' } = context;
  if (GBS === undefined) return null;
  if (Math.floor(Math.floor(samples / GBS) * EPOCH) < 1) {
    const message = `${formatCount(samples)} ${unit} give no whole batch of GBS ${formatCount(GBS)}`;
    const unitSize = values.MBS ?? 1;
    const largest = Math.floor(samples / unitSize) * unitSize;
    findings.push(broken('GBS', message, largest > 0 ? [largest] : []));
    return null;
  }
  const plan = deriveIterations({ samples, unit, globalBatchSize: GBS, epochs: EPOCH });
  if (TRAIN_ITERS !== undefined && TRAIN_ITERS !== plan.trainIters) {
    const passes = Number(((TRAIN_ITERS * GBS) / samples).toPrecision(3));
    const message = `TRAIN_ITERS is ${formatCount(TRAIN_ITERS)}, ${passes} passes over the data; SN / GBS · EPOCH is ${formatCount(plan.trainIters)}`;
    findings.push({ key: 'TRAIN_ITERS', severity: 'warning', message, nearest: [plan.trainIters] });
  }
  return plan;
}

/** Multiples of `unit` from `unit` on, on both sides of `value`, nearest first. */
function nearestMultiples(unit: number, value: number): number[] {
  const below = Math.floor(value / unit) * unit;
  return byDistance(
    [below, below + unit].filter((multiple) => multiple > 0),
    value,
  );
}

/** The divisors of `total` next to `value`, below and above. */
function nearestDivisors(total: number, value: number): number[] {
  const divides = (divisor: number): boolean => total % divisor === 0;
  let below = Math.min(value, total);
  while (!divides(below)) below--;
  let above = value;
  while (above <= total && !divides(above)) above++;
  return byDistance([below, ...(above <= total ? [above] : [])], value);
}

function byDistance(values: readonly number[], value: number): number[] {
  return [...values].sort((a, b) => Math.abs(a - value) - Math.abs(b - value) || a - b);
}

function broken(key: MegatronKey, message: string, nearest: readonly number[]): SettingFinding {
  const values = nearest
    .map((value) => (Number.isInteger(value) ? formatCount(value) : String(value)))
    .join(' or ');
  const tail = nearest.length === 0 ? '' : `; nearest ${values}`;
  return { key, severity: 'error', message: message + tail, nearest };
}
