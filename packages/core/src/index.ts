export {
  GGML_TYPES,
  type GgmlTypeName,
  ggmlTypeFromCode,
  isGgmlTypeName,
  isQuantizedType,
  rowBytes,
} from './dtypes.js';
export {
  assert,
  CORE_ERRORS,
  defined,
  type ErrorCategory,
  type ErrorOptions,
  EXIT_CODE_BY_CATEGORY,
  HTTP_STATUS_BY_CATEGORY,
  type JsonValue,
  TuneyardError,
  throwIfAborted,
} from './errors.js';
export { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from './kernels/half.js';
export { createRng, type Rng, type RngState, restoreRng } from './rng.js';
export {
  asTuneyardError,
  reviveError,
  type SerializedError,
  serializeError,
} from './serialized-error.js';
export { formatBytes, formatCount, formatDuration } from './units.js';
