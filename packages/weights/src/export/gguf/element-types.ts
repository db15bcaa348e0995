/**
 * Which element type each tensor of a GGUF file gets.
 *
 * Source: llama.cpp `conversion/base.py` (`prepare_tensors`: what stays f32) and `llama-quant.cpp`
 * (`tensor_type_fallback`: what follows when a row does not divide into blocks).
 */
import { GGML_TYPES, type GgmlTypeName, TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../../errors.js';

/**
 * Types that a GGUF export may ask for, with the file type code that llama.cpp gives them. Not here: iq1_s, iq2_xxs and
 * iq2_xs, whose quantizers need an importance matrix.
 */
export const GGUF_EXPORT_TYPES = {
  f32: 0,
  f16: 1,
  q4_0: 2,
  q4_1: 3,
  q8_0: 7,
  q5_0: 8,
  q5_1: 9,
  q2_K: 10,
  q3_K: 11,
  q4_K: 14,
  q5_K: 16,
  q6_K: 18,
  iq3_xxs: 23,
  iq4_nl: 25,
  iq3_s: 26,
  iq2_s: 28,
  iq4_xs: 30,
  iq1_m: 31,
  bf16: 32,
  tq1_0: 36,
  tq2_0: 37,
  mxfp4: 38,
} as const satisfies { readonly [T in GgmlTypeName]?: number };

/** A type that a GGUF export may ask for. */
export type GgufExportType = keyof typeof GGUF_EXPORT_TYPES;

/** A matrix that could not have the asked type. */
export interface TypeFallback {
  /** GGUF tensor name. */
  readonly tensor: string;
  readonly rowElements: number;
  readonly asked: GgmlTypeName;
  readonly used: GgmlTypeName;
}

/** The next type to try when a row does not divide into blocks; f16 ends every chain. */
const FALLBACKS: { readonly [T in GgufExportType]?: GgmlTypeName } = {
  q2_K: 'iq4_nl',
  q3_K: 'iq4_nl',
  q4_K: 'q5_0',
  q5_K: 'q5_1',
  q6_K: 'q8_0',
  iq3_xxs: 'iq4_nl',
  iq3_s: 'iq4_nl',
  iq2_s: 'iq4_nl',
  iq1_m: 'iq4_nl',
  iq4_xs: 'iq4_nl',
  tq1_0: 'q4_0',
  tq2_0: 'q4_0',
};

/** Tensors that llama.cpp keeps in f32 although they are matrices. */
const ALWAYS_F32 = /\.(ffn_gate_inp|ffn_gate_inp_shexp)\.weight$|_norm\.weight$/;

/** Checks a type that comes from outside. Throws: `WEIGHTS_EXPORT_UNSUPPORTED` with the types that are written. */
export function requireExportType(type: string): asserts type is GgufExportType {
  if (Object.hasOwn(GGUF_EXPORT_TYPES, type)) return;
  const allowed = Object.keys(GGUF_EXPORT_TYPES);
  const needsImportance = ['iq1_s', 'iq2_xxs', 'iq2_xs'].includes(type);
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_EXPORT_UNSUPPORTED,
    `Matrices of a GGUF file cannot be written as ${type}${needsImportance ? ', which needs an importance matrix' : ''}; allowed: ${allowed.join(', ')}`,
    { details: { found: type, allowed } },
  );
}

/** A tensor whose type is chosen. */
interface TypedTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/** The type of a tensor, and the fallback that it is, if it is one. */
export function chooseType(
  asked: GgufExportType,
  tensor: TypedTensor,
): { readonly used: GgmlTypeName; readonly fallback: TypeFallback | null } {
  const { name, shape } = tensor;
  const used = ggufTensorType(asked, tensor);
  // What the type would be if every row divided: the rest are rules, not fallbacks.
  const wished = ggufTensorType(asked, { name, shape: [...shape.slice(0, -1), 256] });
  if (used === wished) return { used, fallback: null };
  const rowElements = shape.at(-1) ?? 1;
  return { used, fallback: { tensor: name, rowElements, asked: wished, used } };
}

/** The type of one tensor. `shape` is the Hugging Face order: the last number is the length of a row. */
function ggufTensorType(asked: GgufExportType, tensor: TypedTensor): GgmlTypeName {
  const { name, shape } = tensor;
  const isMatrix = shape.length > 1 && name.endsWith('.weight') && !ALWAYS_F32.test(name);
  if (!isMatrix) return 'f32';
  // Three values per weight say too little of a token: llama.cpp keeps embedding and head wider.
  const isTernary = asked === 'tq1_0' || asked === 'tq2_0';
  if (isTernary && /^(token_embd|output)\.weight$/.test(name)) return 'f16';
  return typeForRow(asked, shape.at(-1) ?? 1);
}

function typeForRow(asked: GgufExportType, rowElements: number): GgmlTypeName {
  const divides = (type: GgmlTypeName): boolean =>
    rowElements % GGML_TYPES[type].blockElements === 0;
  if (divides(asked)) return asked;
  const next = FALLBACKS[asked];
  return next !== undefined && divides(next) ? next : 'f16';
}
