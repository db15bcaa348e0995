export {
  CpuBackend,
  Graph,
  GraphAllocator,
  measureGraph,
  readTensor,
  repackableTypes,
  TensorBuffer,
  writeTensor,
  zeroTensor,
} from './backend.js';
export { type GgmlCodec, ggmlCodec } from './codec.js';
export { GGML_ERRORS } from './errors.js';
export { liveHandleCount } from './handle.js';
export { LlamaModel } from './llama.js';
export { type BackendFacts, probeBackends } from './probe-backends.js';
export { type Shape4, Tensor } from './tensor.js';
export { type RopeOptions, TensorContext } from './tensor-context.js';
