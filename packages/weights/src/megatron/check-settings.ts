/**
 * Checks Megatron settings against a model before anything is planned: every rule of conversion at once, each with what
 * was found and the nearest values that would do.
 */
import { TuneyardError } from '@tuneyard/core';
import type { LogicalModel, LogicalSizes } from '../convert/logical-model.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import { type MegatronSettings, megatronLayers, paddedVocabulary } from './settings.js';

/** A rule that settings break. */
export interface MegatronFinding {
  /** The setting to change. */
  readonly setting: keyof MegatronSettings;
  readonly found: string;
  /** What must hold, with the numbers of this model. */
  readonly rule: string;
  /** Nearest legal values, closest to the found one first; empty where the rule says it all. */
  readonly nearest: readonly (number | string)[];
}

/** A checkpoint that is read may have a vocabulary that its files pad; one that is written must divide. */
export type SettingsPurpose = 'read' | 'write';

/** All rules of conversion that the settings break; empty = legal. */
export function checkMegatronSettings(
  model: LogicalModel,
  settings: MegatronSettings,
  purpose: SettingsPurpose = 'write',
): readonly MegatronFinding[] {
  const numbers = checkNumbers(settings);
  if (numbers.length > 0) return numbers;
  return [
    ...checkTensorParallel(model, settings),
    ...(purpose === 'write' ? checkVocabulary(model.sizes, settings) : []),
    ...checkNoopLayers(model.sizes, settings),
    ...checkPipeline(model.sizes, settings),
    ...checkVirtualStages(model.sizes, settings),
    ...checkExperts(model.sizes, settings),
    ...checkSpec(settings),
  ];
}

/** Throws: `WEIGHTS_MEGATRON_SETTINGS` with every finding in one message. */
export function assertMegatronSettings(
  model: LogicalModel,
  settings: MegatronSettings,
  purpose: SettingsPurpose,
): void {
  const findings = checkMegatronSettings(model, settings, purpose);
  if (findings.length === 0) return;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_MEGATRON_SETTINGS,
    `The Megatron settings do not fit the model: ${findings.map(describeFinding).join('; ')}`,
    { details: { settings: findings.map(({ setting }) => setting) } },
  );
}

/** `tensorParallel is 3, but must divide the 8 heads (nearest: 2, 4)`. */
export function describeFinding({ setting, found, rule, nearest }: MegatronFinding): string {
  const values = nearest.length === 0 ? '' : ` (nearest: ${nearest.join(', ')})`;
  return `${setting} is ${found}, but ${rule}${values}`;
}

const COUNTS = [
  'tensorParallel',
  'pipelineParallel',
  'expertParallel',
  'vocabularyDivisibleBy',
] as const;

function checkNumbers(settings: MegatronSettings): readonly MegatronFinding[] {
  const findings: MegatronFinding[] = [];
  for (const setting of COUNTS) {
    const value = settings[setting];
    if (Number.isSafeInteger(value) && value > 0) continue;
    findings.push({
      setting,
      found: String(value),
      rule: 'must be a whole number above 0',
      nearest: [Math.max(1, Math.round(value) || 1)],
    });
  }
  const stage = settings.layersPerVirtualStage;
  if (stage !== null && !(Number.isSafeInteger(stage) && stage > 0)) {
    findings.push({
      setting: 'layersPerVirtualStage',
      found: String(stage),
      rule: 'must be a whole number above 0',
      nearest: [1],
    });
  }
  return findings;
}

function checkTensorParallel(
  model: LogicalModel,
  settings: MegatronSettings,
): readonly MegatronFinding[] {
  const found = settings.tensorParallel;
  const divided = dividedByTensorRanks(model, settings);
  const common = divided.reduce((all, { size }) => gcd(all, size), 0);
  return divided
    .filter(({ size }) => size % found !== 0)
    .map(({ size, what }) => ({
      setting: 'tensorParallel',
      found: String(found),
      rule: `must divide the ${what} (${size})`,
      nearest: nearestDivisors(common, found),
    }));
}

interface Divided {
  readonly size: number;
  readonly what: string;
}

function dividedByTensorRanks(
  { sizes, tensors }: LogicalModel,
  settings: MegatronSettings,
): readonly Divided[] {
  const has = (role: string): boolean => tensors.some((tensor) => tensor.role === role);
  const divided: Divided[] = [{ size: sizes.heads, what: 'attention heads' }];
  if (has('k')) divided.push({ size: sizes.groups, what: 'key and value groups' });
  if (has('gate')) divided.push({ size: sizes.ffn, what: 'feed-forward size' });
  if (has('expert_gate') && !settings.expertsOverTensorRanks) {
    divided.push({ size: sizes.expertFfn, what: 'feed-forward size of experts' });
  }
  if (has('shared_gate')) {
    divided.push({ size: sizes.sharedFfn, what: 'feed-forward size of shared experts' });
  }
  return divided;
}

function checkVocabulary(
  { vocab }: LogicalSizes,
  settings: MegatronSettings,
): readonly MegatronFinding[] {
  const { tensorParallel: ranks, vocabularyPadding: padding } = settings;
  if (padding === 'none' && vocab % ranks !== 0) {
    return [
      {
        setting: 'vocabularyPadding',
        found: 'none',
        rule: `the vocabulary (${vocab}) is not divisible by tensorParallel (${ranks})`,
        nearest: ['last_row', 'tail_rows'],
      },
    ];
  }
  const padded = paddedVocabulary(vocab, settings);
  if (padding !== 'tail_rows' || padded <= 2 * vocab) return [];
  return [
    {
      setting: 'vocabularyPadding',
      found: padding,
      rule: `${padded - vocab} rows of padding are more than the ${vocab} rows there are`,
      nearest: ['last_row'],
    },
  ];
}

function checkNoopLayers(
  { layers }: LogicalSizes,
  settings: MegatronSettings,
): readonly MegatronFinding[] {
  const { noopLayers } = settings;
  const total = megatronLayers(layers, settings);
  const legal = noopLayers.every(
    (layer) => Number.isSafeInteger(layer) && layer >= 0 && layer < total,
  );
  if (legal && new Set(noopLayers).size === noopLayers.length) return [];
  return [
    {
      setting: 'noopLayers',
      found: noopLayers.join(','),
      rule: `must be different positions from 0 to ${total - 1} (${layers} layers and ${noopLayers.length} without weights)`,
      nearest: [],
    },
  ];
}

function checkPipeline(
  { layers }: LogicalSizes,
  settings: MegatronSettings,
): readonly MegatronFinding[] {
  const { numLayerList, pipelineParallel: stages, schedule } = settings;
  if (numLayerList !== null) return checkLayerList(numLayerList, layers, settings);
  const total = megatronLayers(layers, settings);
  const parts = schedule === 'dualpipev' ? 2 * stages : stages;
  if (total % parts === 0) return [];
  const twice = schedule === 'dualpipev' ? 'twice ' : '';
  const legal = schedule === 'dualpipev' && total % 2 === 0 ? total / 2 : total;
  return [
    {
      setting: 'pipelineParallel',
      found: String(stages),
      rule: `the number of layers (${total}) must be divisible by ${twice}the number of stages`,
      nearest: schedule === 'dualpipev' && total % 2 !== 0 ? [] : nearestDivisors(legal, stages),
    },
  ];
}

function checkLayerList(
  list: readonly number[],
  layers: number,
  settings: MegatronSettings,
): readonly MegatronFinding[] {
  const findings: MegatronFinding[] = [];
  const add = (rule: string, nearest: readonly (number | string)[] = []): void => {
    findings.push({ setting: 'numLayerList', found: list.join(','), rule, nearest });
  };
  const sum = list.reduce((total, count) => total + count, 0);
  const stages = settings.pipelineParallel;
  if (list.some((count) => !Number.isSafeInteger(count) || count < 0)) {
    add('must hold whole numbers');
  }
  if (list.length !== stages) add(`must have one count for each of the ${stages} stages`);
  if (sum !== layers) {
    const last = (list.at(-1) ?? 0) + layers - sum;
    add(
      `its sum (${sum}) must be the number of layers (${layers})`,
      last >= 0 ? [[...list.slice(0, -1), last].join(',')] : [],
    );
  }
  if (settings.layersPerVirtualStage !== null) add('cannot be used with layersPerVirtualStage');
  if (settings.noopLayers.length > 0) add('cannot be used with noopLayers');
  if (settings.schedule === 'dualpipev') add("cannot be used with the schedule 'dualpipev'");
  return findings;
}

function checkVirtualStages(
  { layers }: LogicalSizes,
  settings: MegatronSettings,
): readonly MegatronFinding[] {
  const { layersPerVirtualStage: found, pipelineParallel: stages } = settings;
  if (found === null) return [];
  const add = (rule: string, nearest: readonly (number | string)[]): MegatronFinding => ({
    setting: 'layersPerVirtualStage',
    found: String(found),
    rule,
    nearest,
  });
  if (settings.schedule === 'dualpipev') {
    return [add("cannot be used with the schedule 'dualpipev', which decides it", [])];
  }
  if (stages === 1) return [add('virtual stages need more than one pipeline stage', [])];
  const perStage = megatronLayers(layers, settings) / stages;
  if (settings.numLayerList !== null || !Number.isInteger(perStage)) return [];
  const nearest = nearestDivisors(perStage, found).filter((value) => value < perStage);
  const findings: MegatronFinding[] = [];
  if (perStage % found !== 0) {
    findings.push(add(`must divide the ${perStage} layers of a stage`, nearest));
  }
  if (found >= perStage) {
    findings.push(add(`must be below the ${perStage} layers of a stage`, nearest));
  }
  return findings;
}

function checkExperts(
  { experts }: LogicalSizes,
  settings: MegatronSettings,
): readonly MegatronFinding[] {
  const { expertParallel: found, expertsOverTensorRanks, tensorParallel } = settings;
  if (experts === 0) {
    if (found === 1) return [];
    return [
      {
        setting: 'expertParallel',
        found: String(found),
        rule: 'the model has no experts',
        nearest: [1],
      },
    ];
  }
  const ranks = expertsOverTensorRanks ? found * tensorParallel : found;
  if (experts % ranks === 0) return [];
  const per = expertsOverTensorRanks ? experts / tensorParallel : experts;
  const times = expertsOverTensorRanks ? ` times tensorParallel (${tensorParallel})` : '';
  return [
    {
      setting: 'expertParallel',
      found: String(found),
      rule: `the ${experts} experts must be divisible by it${times}`,
      nearest: Number.isInteger(per) ? nearestDivisors(per, found) : [],
    },
  ];
}

function checkSpec(settings: MegatronSettings): readonly MegatronFinding[] {
  const findings: MegatronFinding[] = [];
  const isOld = settings.spec === 'legacy' || settings.spec === 'ascendspeed';
  if (isOld && settings.expertParallel > 1) {
    findings.push({
      setting: 'spec',
      found: settings.spec,
      rule: 'the layout has no experts',
      nearest: ['local', 'transformer_engine'],
    });
  }
  if (settings.separateGate && settings.spec !== 'ascendspeed') {
    findings.push({
      setting: 'separateGate',
      found: 'true',
      rule: `gate and up are always one tensor in the layout '${settings.spec}'`,
      nearest: ['false'],
    });
  }
  if (settings.schedule === 'dualpipev' && settings.pipelineParallel === 1) {
    findings.push({
      setting: 'schedule',
      found: settings.schedule,
      rule: 'needs more than one pipeline stage',
      nearest: ['standard'],
    });
  }
  return findings;
}

/** Divisors of `size` next to `found`: the largest not above, the smallest not below; closest first. */
function nearestDivisors(size: number, found: number): readonly number[] {
  let [below, above] = [1, size];
  for (let divisor = 1; divisor * divisor <= size; divisor++) {
    if (size % divisor !== 0) continue;
    for (const candidate of [divisor, size / divisor]) {
      if (candidate <= found) below = Math.max(below, candidate);
      if (candidate >= found) above = Math.min(above, candidate);
    }
  }
  const both = above === below || above < found ? [below] : [below, above];
  return both.sort((a, b) => Math.abs(a - found) - Math.abs(b - found));
}

function gcd(a: number, b: number): number {
  let [high, low] = [a, b];
  while (low !== 0) [high, low] = [low, high % low];
  return high;
}
