/** What metadata is made from, and short ways to write its values. */
import type { GgufValue } from '@tuneyard/formats';
import type { FieldReader } from '../../config/fields.js';
import type { LogicalModel } from '../../convert/logical-model.js';
import type { FamilyTable } from '../../families/family-table.js';

/** A key and its value. */
export type MetadataField = readonly [key: string, value: GgufValue];

/** What the fields are made from. */
export interface HparamInput {
  readonly fields: FieldReader;
  readonly model: LogicalModel;
  readonly table: FamilyTable;
  /** `general.architecture`. */
  readonly architecture: string;
}

/** A text. */
export function text(value: string): GgufValue {
  return { type: 'string', value };
}

/** An unsigned number of 32 bits. */
export function u32(value: number): GgufValue {
  return { type: 'u32', value };
}

/** A number narrowed to f32. */
export function f32(value: number): GgufValue {
  return { type: 'f32', value };
}

/** True or false. */
export function bool(value: boolean): GgufValue {
  return { type: 'bool', value };
}
