export { createTokenizer } from './bpe-tokenizer.js';
export type { TokenizerDefinition } from './definition.js';
export { TOKENIZER_ERRORS } from './errors.js';
export {
  type GgufFieldsOptions,
  type GgufTokenizerPlan,
  type GgufTokenizerSettings,
  ggufTokenizerFields,
  planGgufTokenizer,
  planGgufTokenizerFields,
  planTokenizerFiles,
  type SpecialTokenIds,
  type TokenizerFile,
  tokenizerFilesFromGguf,
} from './export/index.js';
export { type GgufMetadata, readGgufTokenizer } from './gguf-tokenizer.js';
export {
  type Gpt2Files,
  type HfTokenizerFiles,
  readGpt2Files,
  readHfTokenizer,
} from './hf-tokenizer.js';
export { loadTokenizer, loadTokenizerDefinition } from './load-tokenizer.js';
export { readSentencePiece } from './sentencepiece.js';
export {
  createStreamDecoder,
  type DecodeOptions,
  type EncodeOptions,
  type StreamDecoder,
  type Tokenizer,
} from './tokenizer.js';
