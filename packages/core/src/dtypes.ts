/**
 * Element types by their ggml names, and what a block of each holds.
 *
 * These names (`f32`, `bf16`, `q8_0`, `q4_K`) are used everywhere inside Tuneyard; safetensors and torch
 * spellings are translated at the edge. Source: ggml 0.23.0, `enum ggml_type` and its type traits.
 */

/** Code, elements per block and bytes per block of one ggml type. Pure data table. */
export const GGML_TYPES = {
  f32: { code: 0, blockElements: 1, blockBytes: 4 },
  f16: { code: 1, blockElements: 1, blockBytes: 2 },
  q4_0: { code: 2, blockElements: 32, blockBytes: 18 },
  q4_1: { code: 3, blockElements: 32, blockBytes: 20 },
  q5_0: { code: 6, blockElements: 32, blockBytes: 22 },
  q5_1: { code: 7, blockElements: 32, blockBytes: 24 },
  q8_0: { code: 8, blockElements: 32, blockBytes: 34 },
  q8_1: { code: 9, blockElements: 32, blockBytes: 36 },
  q2_K: { code: 10, blockElements: 256, blockBytes: 84 },
  q3_K: { code: 11, blockElements: 256, blockBytes: 110 },
  q4_K: { code: 12, blockElements: 256, blockBytes: 144 },
  q5_K: { code: 13, blockElements: 256, blockBytes: 176 },
  q6_K: { code: 14, blockElements: 256, blockBytes: 210 },
  q8_K: { code: 15, blockElements: 256, blockBytes: 292 },
  iq2_xxs: { code: 16, blockElements: 256, blockBytes: 66 },
  iq2_xs: { code: 17, blockElements: 256, blockBytes: 74 },
  iq3_xxs: { code: 18, blockElements: 256, blockBytes: 98 },
  iq1_s: { code: 19, blockElements: 256, blockBytes: 50 },
  iq4_nl: { code: 20, blockElements: 32, blockBytes: 18 },
  iq3_s: { code: 21, blockElements: 256, blockBytes: 110 },
  iq2_s: { code: 22, blockElements: 256, blockBytes: 82 },
  iq4_xs: { code: 23, blockElements: 256, blockBytes: 136 },
  i8: { code: 24, blockElements: 1, blockBytes: 1 },
  i16: { code: 25, blockElements: 1, blockBytes: 2 },
  i32: { code: 26, blockElements: 1, blockBytes: 4 },
  i64: { code: 27, blockElements: 1, blockBytes: 8 },
  f64: { code: 28, blockElements: 1, blockBytes: 8 },
  iq1_m: { code: 29, blockElements: 256, blockBytes: 56 },
  bf16: { code: 30, blockElements: 1, blockBytes: 2 },
  tq1_0: { code: 34, blockElements: 256, blockBytes: 54 },
  tq2_0: { code: 35, blockElements: 256, blockBytes: 66 },
  mxfp4: { code: 39, blockElements: 32, blockBytes: 17 },
} as const;

/** Name of a ggml element type. */
export type GgmlTypeName = keyof typeof GGML_TYPES;

const NAME_BY_CODE = new Map<number, GgmlTypeName>(
  Object.entries(GGML_TYPES).map(([name, t]) => [t.code, name as GgmlTypeName]),
);

/** Looks a type up by the code that GGUF files store; undefined when the code is unknown. */
export function ggmlTypeFromCode(code: number): GgmlTypeName | undefined {
  return NAME_BY_CODE.get(code);
}

/** True when the string names a ggml type. */
export function isGgmlTypeName(name: string): name is GgmlTypeName {
  return Object.hasOwn(GGML_TYPES, name);
}

/** True for types that store more than one element per block. */
export function isQuantizedType(type: GgmlTypeName): boolean {
  return GGML_TYPES[type].blockElements > 1;
}

/**
 * Bytes of one row of `elements` values.
 *
 * Units: elements, must be a multiple of the block's elements (else NaN is impossible: the result is
 * fractional and the caller's assert fails).
 */
export function rowBytes(type: GgmlTypeName, elements: number): number {
  const { blockElements, blockBytes } = GGML_TYPES[type];
  return (elements / blockElements) * blockBytes;
}
