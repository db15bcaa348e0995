export type {
  AdapterAdditions,
  AdapterConfig,
  LoraAdapter,
  LoraPair,
  PeftAdapter,
} from './adapter/adapter.js';
export { type AdapterBase, matchAdapter } from './adapter/match-adapter.js';
export { moduleRank, moduleScale } from './adapter/module-pattern.js';
export { readAdapter, readPeftAdapter } from './adapter/read-peft.js';
export { type WritePeftOptions, writePeftAdapter } from './adapter/write-peft.js';
export { isPlainType, plainCodec, type TensorCodec } from './codec/tensor-codec.js';
export { modelConfigToHf } from './config/config-to-hf.js';
export type { FamilyName, ModelConfig, RopeScaling } from './config/model-config.js';
export type { ModelNumbers } from './config/model-numbers.js';
export {
  type ParameterRole,
  type ParameterSpec,
  parameterTable,
} from './config/parameter-table.js';
export { parseModelConfig } from './config/parse-config.js';
export { isMegatronDirectory, openMegatronFiles } from './conversion/open-megatron.js';
export {
  type CarriedFile,
  type CastDtype,
  type ConversionRequest,
  type PlannedConversion,
  planConversion,
} from './conversion/plan-checkpoint.js';
export { runConversion } from './conversion/run-conversion.js';
export type {
  ConversionOverflow,
  ConversionProgress,
  ConversionResult,
  ExecuteOptions,
} from './convert/execute/execute-conversion.js';
export { verifyConversion } from './convert/execute/verify-conversion.js';
export { type ReplicatedSources, verifyReplicas } from './convert/execute/verify-replicas.js';
export {
  type HfLayoutOptions,
  type HfStyle,
  hfLayout,
  hfStyleOf,
} from './convert/hf-layout.js';
export {
  checkStoredTensors,
  ignorableTensors,
  requireStoredTensors,
  type ShapeDifference,
  type StoredShapes,
  type StoredTensorCheck,
} from './convert/hf-tensor-check.js';
export { logicalModel, modelNumbers } from './convert/logical-config.js';
export { WEIGHTS_ERRORS } from './errors.js';
export { exportGguf, type GgufExportOptions, type GgufExportReport } from './export/export-gguf.js';
export { exportHf } from './export/export-hf.js';
export {
  GGUF_EXPORT_TYPES,
  type GgufExportType,
  type TypeFallback,
} from './export/gguf/element-types.js';
export { convertGgufToHf } from './export/gguf/gguf-to-hf.js';
export {
  convertHfToGguf,
  type HfToGgufOptions,
  type HfToGgufReport,
} from './export/gguf/hf-to-gguf.js';
export type { GgufTokenizerFields } from './export/gguf/metadata.js';
export type {
  ExtraFile,
  HfWriteOptions,
  HfWriteReport,
  WriteProgress,
} from './export/write-hf-model.js';
export { KNOWN_ARCHITECTURES, KNOWN_GGUF_ARCHITECTURES } from './families/known-families.js';
export type { CheckpointPlan } from './megatron/plan-conversion.js';
export type { MegatronSettings, MegatronSpec, VocabularyPadding } from './megatron/settings.js';
export {
  type AdapterConversionReport,
  type AdapterConversionRequest,
  convertAdapterFiles,
} from './megatron-lora/convert-adapter-files.js';
export {
  type MergeMegatronOptions,
  type MergeMegatronReport,
  mergeMegatronCheckpoint,
} from './megatron-lora/merge-checkpoint.js';
export {
  type MergedTensor,
  type MergeReport,
  mergeAdapter,
  mergeAdapters,
} from './merge/merge-adapter.js';
export { type MergeHfOptions, mergeHfDirectory } from './merge/merge-hf-directory.js';
export type { MergeableAdapter } from './merge/plan-merge.js';
export { type RopeConfig, type RopeFrequencies, ropeFrequencies } from './rope/frequencies.js';
export {
  type DistributedSources,
  type DistributedSourcesOptions,
  distributedSources,
} from './source/distributed/distributed-sources.js';
export { hfDirectorySources } from './source/hf-sources.js';
export { type HfTensor, type HfTensors, openHfTensors } from './source/hf-tensors.js';
export type { ModelSource, StoredParameter } from './source/model-source.js';
export { openModel } from './source/open-model.js';
