import type { ConvertedDtype } from '../logical-model.js';

/** Bytes per element. */
export const ELEMENT_BYTES: Readonly<Record<ConvertedDtype, number>> = {
  F64: 8,
  I64: 8,
  F32: 4,
  I32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
};
