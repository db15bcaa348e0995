/** Numbers of a configuration that shape no tensor but that other formats state, by a family's table. */
import type { FamilyTable } from '../families/family-table.js';
import type { FieldReader } from './fields.js';

/** Numbers beside the sizes. */
export interface ModelNumbers {
  readonly normEps: number;
  /** Base of the rotary frequencies, with the factor that ChatGLM states apart. */
  readonly ropeTheta: number;
  readonly maxPositions: number;
  /** Part of each head that is rotated, above 0 and up to 1. */
  readonly rotaryShare: number;
  /** Experts that each token is sent to; null for dense models. */
  readonly expertsPerToken: number | null;
}

/**
 * Reads the numbers, from where transformers 4 states them or from `rope_parameters` of transformers 5.
 *
 * Throws: `WEIGHTS_CONFIG_FIELD`.
 */
export function readNumbers(fields: FieldReader, table: FamilyTable): ModelNumbers {
  const { normEps, ropeTheta, maxPositions } = table.numbers;
  const { rotaryShare } = table.computes;
  const [positionsKey] = presentKey(fields, maxPositions.keys);
  return {
    normEps: positive(fields, normEps.keys) ?? normEps.absent,
    ropeTheta: readTheta(fields, ropeTheta),
    maxPositions: positionsKey === undefined ? maxPositions.absent : fields.size(positionsKey),
    rotaryShare: typeof rotaryShare === 'number' ? rotaryShare : readShare(fields, rotaryShare),
    expertsPerToken: table.experts === null ? null : readPerToken(fields, table.experts.perToken),
  };
}

function readTheta(fields: FieldReader, rule: FamilyTable['numbers']['ropeTheta']): number {
  const base =
    positive(fields, rule.keys) ??
    ropeParameters(fields)?.positiveOr('rope_theta', null) ??
    rule.absent;
  return rule.timesKey === undefined ? base : base * fields.positiveOr(rule.timesKey, 1);
}

function readShare(
  fields: FieldReader,
  { key, absent }: { readonly key: string; readonly absent: number },
): number {
  const share =
    fields.positiveOr(key, null) ?? ropeParameters(fields)?.positiveOr(key, null) ?? absent;
  if (share > 1) throw fields.invalid(key, 'at most 1');
  return share;
}

/** Gemma 3 states parameters for each kind of attention; those of full attention hold for the model. */
function ropeParameters(fields: FieldReader): FieldReader | null {
  const parameters = fields.object('rope_parameters');
  return parameters?.object('full_attention') ?? parameters;
}

function readPerToken(
  fields: FieldReader,
  rule: { readonly keys: readonly string[]; readonly absent?: unknown },
): number | null {
  const [key] = presentKey(fields, rule.keys);
  if (key !== undefined) return fields.size(key);
  return typeof rule.absent === 'number' ? rule.absent : null;
}

function positive(fields: FieldReader, keys: readonly string[]): number | null {
  const [key] = presentKey(fields, keys);
  return key === undefined ? null : fields.positive(key);
}

function presentKey(fields: FieldReader, keys: readonly string[]): readonly string[] {
  return keys.filter((key) => fields.has(key));
}
