export {
  type GgufFieldsOptions,
  ggufTokenizerFields,
  planGgufTokenizerFields,
} from './gguf-fields.js';
export { planTokenizerFiles, type TokenizerFile, tokenizerFilesFromGguf } from './hf-files.js';
export {
  type GgufTokenizerPlan,
  type GgufTokenizerSettings,
  planGgufTokenizer,
  type SpecialTokenIds,
} from './plan-gguf-fields.js';
