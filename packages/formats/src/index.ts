export {
  DCP_ERRORS,
  FILE_ERRORS,
  GGUF_ERRORS,
  INDEXED_DATASET_ERRORS,
  SAFETENSORS_ERRORS,
  TORCH_ERRORS,
} from './errors.js';
export type { GgufTensor } from './gguf/header.js';
export type { GgufFixedType } from './gguf/layout.js';
export { GgufReader } from './gguf/reader.js';
export type { GgufArray, GgufNumericArray, GgufScalar, GgufValue } from './gguf/value.js';
export { type GgufEntry, type WriteGgufOptions, writeGguf } from './gguf/writer.js';
export {
  type IndexedDtype,
  type IndexedValues,
  indexedDatasetPaths,
} from './indexed-dataset/layout.js';
export { mergeIndexedDatasets, splitIndexedDataset } from './indexed-dataset/merge.js';
export {
  type DocumentSplit,
  planDocumentSplit,
  type SplitSizes,
} from './indexed-dataset/plan-split.js';
export {
  type BlockOptions,
  IndexedDatasetReader,
  type OpenIndexedDatasetOptions,
  type SequenceBlock,
} from './indexed-dataset/reader.js';
export {
  type IndexedDatasetReport,
  type ValueFault,
  type VerifyIndexedDatasetOptions,
  verifyIndexedDataset,
} from './indexed-dataset/verify.js';
export {
  IndexedDatasetWriter,
  type IndexedDatasetWriterOptions,
  type WrittenDtype,
  type WrittenIndexedDataset,
} from './indexed-dataset/writer.js';
export type { EntryData } from './io/entry-data.js';
export type { ByteRange, FileSkeleton, FixedBytes } from './io/file-skeleton.js';
export { type ByteSink, writeFileAtomically } from './io/staged-file.js';
export type { SafetensorsDtype } from './safetensors/layout.js';
export type { SafetensorsEntry } from './safetensors/plan.js';
export { SafetensorsReader, type SafetensorsTensor } from './safetensors/reader.js';
export { planSafetensorsSkeleton, type SafetensorsSkeletonEntry } from './safetensors/skeleton.js';
export {
  type WriteSafetensorsOptions,
  type WriteShardedSafetensorsOptions,
  writeSafetensors,
  writeShardedSafetensors,
} from './safetensors/writer.js';
export type {
  DcpChunk,
  DcpItem,
  DcpObject,
  DcpTensor,
  LocatedChunk,
  LocatedTensor,
} from './torch-dcp/checkpoint.js';
export type { DcpBackend } from './torch-dcp/find-checkpoint.js';
export { locateTensors } from './torch-dcp/locate.js';
export { type DistributedCheckpoint, openDistributedCheckpoint } from './torch-dcp/open.js';
export { readDistributedObject, readDistributedTensor } from './torch-dcp/read-entry.js';
export { TORCH_DTYPES, type TorchDtypeFacts } from './torch-pt/dtypes.js';
export { crc32, crc32Combine } from './torch-pt/kernels/crc32.js';
export {
  torchDict,
  torchDtype,
  torchFloat,
  torchList,
  torchNamespace,
  torchTensor,
  torchTuple,
} from './torch-pt/make-value.js';
export {
  type ParsedPickle,
  type ParsePickleOptions,
  parsePickle,
} from './torch-pt/pickle/pickle-reader.js';
export {
  type PlanTorchArchiveOptions,
  planTorchArchive,
  type TorchArchivePlan,
} from './torch-pt/plan-archive.js';
export { KEY_SEPARATOR } from './torch-pt/read/flatten-tensors.js';
export { torchEntries, torchGet, torchNumber, torchToJson } from './torch-pt/read-value.js';
export { TorchArchiveReader, type TorchTensor } from './torch-pt/reader.js';
export type {
  TorchBytes,
  TorchDict,
  TorchEntry,
  TorchFloat,
  TorchGlobal,
  TorchList,
  TorchNamespace,
  TorchNode,
  TorchObject,
  TorchParameter,
  TorchSet,
  TorchStorage,
  TorchTensorValue,
  TorchTuple,
  TorchValue,
} from './torch-pt/value.js';
export {
  type StorageData,
  type WriteTorchArchiveOptions,
  writeTorchArchive,
} from './torch-pt/writer.js';
