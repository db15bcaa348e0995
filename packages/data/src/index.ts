export {
  checkBeforeTraining,
  checkDataset,
  type DatasetCheck,
  type PreparedSet,
  type TrainingFacts,
} from './doctor/check-dataset.js';
export { type CleanCopyReport, writeCleanCopy } from './doctor/clean-copy.js';
export {
  type DataSummary,
  type Diagnosis,
  type ExamineOptions,
  examineData,
  type RowFault,
} from './doctor/data-doctor.js';
export type { RowEncoding } from './doctor/encode-row.js';
export {
  type Finding,
  type FindingRow,
  type FindingSeverity,
  generalFinding,
  sortFindings,
} from './doctor/finding.js';
export { FINDINGS, type FindingCode } from './doctor/finding-catalog.js';
export type { LengthSummary } from './doctor/length-tally.js';
export { checkModel, type ModelFacts } from './doctor/model-checks.js';
export { likelyTemplates } from './doctor/template-checks.js';
export { type ExamineTokensOptions, examineTokens, isTokenPath } from './doctor/token-doctor.js';
export { summarizeReport } from './encode/data-report.js';
export {
  type EncodedAnswer,
  type EncodedPreference,
  encodeAnswer,
  encodePreference,
  type Preference,
  type PreferenceOptions,
} from './encode/preference.js';
export {
  type PreparedSamples,
  type PrepareOptions,
  prepareConversations,
  prepareDocuments,
} from './encode/prepare-samples.js';
export {
  chatPromptTemplate,
  chooseStopToken,
  type Dialogue,
  type OpenTemplateOptions,
  openPromptTemplate,
  type PromptTemplate,
  plainPromptTemplate,
  type TextPromptTemplate,
} from './encode/prompt-template.js';
export {
  type DocumentOptions,
  type EncodedSample,
  encodeConversation,
  encodeDocument,
  encodePrompt,
  type OverlengthPolicy,
  type SampleEncodeOptions,
} from './encode/sample-encoder.js';
export {
  countLearned,
  IGNORE_LABEL,
  type PackedRow,
  type TokenizedSample,
} from './encode/samples.js';
export type { Segment } from './encode/segments.js';
export type { LabeledIds } from './encode/slot-sample.js';
export type { SlotPromptTemplate } from './encode/slot-template.js';
export { type SampleSplit, splitSamples } from './encode/split-samples.js';
export { DATA_ERRORS } from './errors.js';
export {
  type Conversation,
  type ConversationMessage,
  isRejection,
  REJECT_BUCKETS,
  type RecordMedia,
  type RejectBucket,
  type RejectedRecord,
  Rejection,
  type RowOrigin,
  type TextDocument,
  type ToolCall,
} from './handlers/conversation.js';
export {
  type DatasetTrait,
  type ResolveOptions,
  resolveDatasets,
} from './handlers/dataset-registry.js';
export {
  type ColumnNames,
  type DatasetFormat,
  type DatasetSpec,
  describeDataFile,
  type RoleTags,
} from './handlers/dataset-spec.js';
export type { HandlerTools } from './handlers/handler-context.js';
export type { HandlerSettings, MapKeys } from './handlers/handler-settings.js';
export {
  describeHandler,
  describeHandlers,
  HANDLER_NAMES,
  type HandlerDescription,
  handlerNameFor,
} from './handlers/handler-table.js';
export { openRowHandler } from './handlers/open-row-handler.js';
export {
  type ReadDatasetOptions,
  readConversations,
  readDocuments,
} from './handlers/read-dataset.js';
export type { RecordColumns } from './handlers/record-columns.js';
export type { HandledRow, HandlerKind, RowHandler } from './handlers/row-handler.js';
export {
  type ExpandedRecord,
  expandRecordMedia,
  type RecordMediaNames,
} from './media/expand-record.js';
export {
  DEFAULT_MEDIA_LIMITS,
  type MediaLimits,
} from './media/measure/limits.js';
export {
  type CheckedMedia,
  createMediaChecker,
  type MediaChecker,
  type MediaCheckerSettings,
  type MediaConversation,
} from './media/media-checker.js';
export {
  createMediaCollector,
  type ManifestEntry,
  type ManifestUse,
  type MediaCollector,
  readMediaManifest,
  writeMediaManifest,
} from './media/media-manifest.js';
export { type KindSurvey, type MediaSurvey, surveyMedia } from './media/media-survey.js';
export {
  type AudioMeasure,
  type ImageMeasure,
  LIST_OF_KIND,
  MEDIA_KINDS,
  type MediaFormat,
  type MediaKind,
  type MediaLists,
  type MediaMeasure,
  type MediaUse,
  type SeriesMeasure,
  type VideoMeasure,
} from './media/media-types.js';
export { DEFAULT_PLACEHOLDERS, type Placeholders } from './media/placeholders.js';
export { readSeries, type Series, type SeriesExpectation } from './media/series/series.js';
export { decodeSeries, encodeSeries, type SeriesEncoding } from './media/series/series-text.js';
export { type MropeInput, type MropePositions, mropePositions } from './media/tokens/mrope.js';
export { type MediaPlugin, openMediaPlugin } from './media/tokens/open-media-plugin.js';
export {
  type ExpandedMedia,
  type ExpandedMedium,
  MEDIA_PLUGIN_NAMES,
  type MeasuredMedia,
  type MediaPluginName,
  type MediaPluginSettings,
  type PatchGrid,
} from './media/tokens/plugin.js';
export { type ProcessorConfig, readProcessorConfig } from './media/tokens/processor-config.js';
export { parseWeightedNames, type WeightedNames } from './mixing/dataset-weights.js';
export { createLegacyRandom, type LegacyRandom } from './mixing/legacy-random.js';
export {
  MIX_STRATEGIES,
  type MixOptions,
  type MixPlan,
  type MixRow,
  type MixRun,
  type MixStrategy,
  planMixing,
} from './mixing/plan-mixing.js';
export { planSplit, type SplitOptions, type SplitPlan } from './mixing/plan-split.js';
export { type RowSelection, type SelectOptions, selectRows } from './mixing/select-rows.js';
export {
  parseSplit,
  type RowRange,
  type SplitSlices,
} from './mixing/split-slices.js';
export { type DocumentBlockOptions, DocumentBlocks } from './packing/document-blocks.js';
export { buildPackedRows, buildUnpackedRows, type Packable } from './packing/pack-rows.js';
export {
  type PackedFields,
  type PackLayout,
  type PackStyle,
  packInWindows,
  packLayoutOf,
  packWindow,
  type SampleColumns,
  type WindowAccount,
  type WindowOptions,
} from './packing/pack-window.js';
export { type PackStrategy, planPacks } from './packing/plan-packs.js';
export { positionIds, segmentsOfMask } from './packing/segments.js';
export {
  type HandlingOptions,
  handlerSettingsFor,
  needsTemplate,
} from './preprocess/dataset-handlers.js';
export {
  type MediaSettings,
  readGenerationConfig,
  type TemplateSettings,
} from './preprocess/encode-settings.js';
export {
  type PreparedFiles,
  type PreparedRecord,
  type PrepareFilesOptions,
  prepareFiles,
} from './preprocess/prepared-files.js';
export {
  type MixSettings,
  type PreprocessDataset,
  type PreprocessOptions,
  type PreprocessProgress,
  type PreprocessResult,
  preprocess,
} from './preprocess/preprocess.js';
export type { WrittenTokens } from './preprocess/write-tokens.js';
export {
  formatPreview,
  type PreviewFormat,
  type PreviewToken,
  previewSamples,
  type SamplePreview,
} from './preview/preview-samples.js';
export { type CountRowsOptions, countRows } from './readers/count-rows.js';
export type { DataFile, FileCompression, FileLayout } from './readers/data-file.js';
export { type DiscoverOptions, discoverDataFiles } from './readers/discover-data-files.js';
export { type PlanUnitsOptions, planReadUnits } from './readers/plan-read-units.js';
export { type ReadItem, type ReadOptions, readRecords } from './readers/read-records.js';
export type {
  DelimitedTable,
  LineUnit,
  ReadUnit,
  RecordUnit,
  RowUnit,
} from './readers/read-unit.js';
export { type ReadUnitOptions, readUnit } from './readers/read-unit-records.js';
export type {
  CountedRows,
  DataReport,
  DroppedRow,
  DroppedRows,
  LengthBin,
  PackingSummary,
  PartialReport,
  SourceCounts,
  SplitRow,
  TruncatedRow,
} from './report/data-report.js';
export { type FinishOptions, finishReport } from './report/finish-report.js';
export { type FormatReportOptions, formatDataReport } from './report/format-report.js';
export {
  createReportAccumulator,
  type ReportAccumulator,
  type RowRejection,
  type SampleSize,
} from './report/report-accumulator.js';
export {
  deriveIterations,
  type IterationInput,
  type IterationPlan,
} from './sizing/derive-iterations.js';
export {
  type MegatronDataSettings,
  type MegatronKey,
  parseMegatronDataSettings,
  type SettingContext,
  type SettingFinding,
} from './sizing/megatron-settings.js';
export * from './templates/index.js';
export {
  type CombinedField,
  mergeTokens,
  type SplitPart,
  splitTokens,
} from './token-set/combine-tokens.js';
export {
  type FieldSummary,
  inspectTokens,
  type TokenLengths,
  type TokenSummary,
} from './token-set/inspect-tokens.js';
export type { StoredSample } from './token-set/stored-samples.js';
export {
  describeOutputs,
  findTokenFiles,
  type TokenFile,
  type TokenFileSet,
  type TokenLevel,
} from './token-set/token-files.js';
export {
  type OpenTokenSetOptions,
  openTokenSet,
  type TokenSet,
  type WriteTokenSetOptions,
  writeTokenSet,
} from './token-set/token-set.js';
export {
  readTokenSetMeta,
  type TokenOrigins,
  type TokenSetDescription,
  type TokenSetMeta,
  tokenSetFiles,
  writeTokenSetMeta,
} from './token-set/token-set-meta.js';
export {
  type FieldBatch,
  openTokenSetReader,
  TokenSetReader,
} from './token-set/token-set-reader.js';
export {
  type TokenFault,
  type TokenVerification,
  type VerifyTokensOptions,
  verifyTokens,
} from './token-set/verify-tokens.js';
export * from './tokenizer/index.js';
