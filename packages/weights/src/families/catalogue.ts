/** The families whose files can be converted, and how a configuration says which one it is. */
import { TuneyardError } from '@tuneyard/core';
import type { FieldReader } from '../config/fields.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import { BAICHUAN_TABLE } from './baichuan.js';
import { CHATGLM_TABLE } from './chatglm.js';
import { DEEPSEEK2_TABLE, DEEPSEEK3_TABLE } from './deepseek.js';
import type { FamilyTable } from './family-table.js';
import { GEMMA_TABLE, GEMMA2_TABLE, GEMMA3_TABLE } from './gemma.js';
import { GLM_MOE_TABLE, GLM_TABLE, GLM4_TABLE } from './glm.js';
import { INTERNLM2_TABLE } from './internlm2.js';
import { LLAMA_TABLE, YI_TABLE } from './llama.js';
import { MISTRAL_TABLE } from './mistral.js';
import { MIXTRAL_TABLE } from './mixtral.js';
import { PHI3_TABLE } from './phi3.js';
import { QWEN_TABLE } from './qwen.js';
import { QWEN2_MOE_TABLE, QWEN3_MOE_TABLE } from './qwen-moe.js';
import { QWEN2_TABLE } from './qwen2.js';
import { QWEN3_TABLE } from './qwen3.js';

/** Every family, in no meaningful order. */
export const FAMILY_TABLES: readonly FamilyTable[] = [
  LLAMA_TABLE,
  YI_TABLE,
  MISTRAL_TABLE,
  INTERNLM2_TABLE,
  QWEN_TABLE,
  QWEN2_TABLE,
  QWEN3_TABLE,
  QWEN2_MOE_TABLE,
  QWEN3_MOE_TABLE,
  MIXTRAL_TABLE,
  BAICHUAN_TABLE,
  CHATGLM_TABLE,
  GLM_TABLE,
  GLM4_TABLE,
  GLM_MOE_TABLE,
  PHI3_TABLE,
  GEMMA_TABLE,
  GEMMA2_TABLE,
  GEMMA3_TABLE,
  DEEPSEEK2_TABLE,
  DEEPSEEK3_TABLE,
];

/** The table of a family by its name in Tuneyard; undefined for other names. */
export function familyTable(name: string): FamilyTable | undefined {
  return FAMILY_TABLES.find((table) => table.name === name);
}

/**
 * Finds the table that a configuration asks for: by its class name, else by its `model_type`.
 *
 * Throws: `WEIGHTS_UNKNOWN_ARCHITECTURE`.
 */
export function tableFor(fields: FieldReader): FamilyTable {
  const { table, found } = lookUp(fields);
  if (table !== undefined) return table;
  const known = FAMILY_TABLES.flatMap((family) => family.architectures);
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_UNKNOWN_ARCHITECTURE,
    `${fields.where}: architecture ${found} is not in the catalogue of convertible families; known: ${known.join(', ')}`,
    {
      details: { file: fields.where, found, known },
      ...(fields.has('text_config')
        ? { hint: 'Models that also see or hear are not converted; use a text-only checkpoint.' }
        : {}),
    },
  );
}

/** Whether the configuration is of a family that can be converted. */
export function isConvertible(fields: FieldReader): boolean {
  return lookUp(fields).table !== undefined;
}

function lookUp(fields: FieldReader): { table: FamilyTable | undefined; found: string } {
  const listed = fields.raw['architectures'];
  const first: unknown = Array.isArray(listed) ? listed[0] : undefined;
  if (typeof first === 'string') {
    const table = FAMILY_TABLES.find((family) => family.architectures.includes(first));
    return { table, found: first };
  }
  const modelType = fields.text('model_type') ?? '(none)';
  const table = FAMILY_TABLES.find((family) => family.modelTypes.includes(modelType));
  return { table, found: `model_type ${modelType}` };
}

/** The error for a configuration that is no JSON object. */
export function notAnObject(where: string): TuneyardError {
  return new TuneyardError(WEIGHTS_ERRORS.WEIGHTS_JSON_INVALID, `${where}: not a JSON object`, {
    details: { file: where },
  });
}
