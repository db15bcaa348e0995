/** Checks where the tensors of a GGUF file lie: aligned, one after another, inside the file. */
import { TuneyardError } from '@tuneyard/core';
import { GGUF_ERRORS } from '../errors.js';
import { quoteName } from '../io/quote-name.js';
import { alignUp, type TensorSpec } from './layout.js';

/** A tensor info as stored: its offset counts from the start of the data. */
export interface TensorInfo extends TensorSpec {
  readonly offset: number;
  readonly byteLength: number;
}

/** The file around the tensors. */
export interface DataBounds {
  /** Bytes from the start of the file to the end of the last tensor info. */
  readonly headerBytes: number;
  readonly alignment: number;
  readonly fileBytes: number;
  readonly path: string;
}

/**
 * Checks every range and returns the offset of the data in the file.
 *
 * Tensors may be listed in any order, but their bytes must follow each other with padding only, as
 * llama.cpp asks. The padding after the last tensor may be missing, since some writers leave it out.
 *
 * Throws: `GGUF_OFFSET_UNALIGNED`, `GGUF_OFFSETS_OVERLAP`, `GGUF_OFFSETS_HOLE`, `GGUF_DATA_TRUNCATED`,
 * `GGUF_TRAILING_BYTES`.
 */
export function checkDataLayout(infos: readonly TensorInfo[], bounds: DataBounds): number {
  const { alignment, fileBytes, path } = bounds;
  const dataStart = alignUp(bounds.headerBytes, alignment);
  const inOrder = infos.toSorted((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  let expected = 0;
  for (const info of inOrder) {
    checkOffset(info, expected, bounds);
    const end = dataStart + info.offset + info.byteLength;
    if (end > fileBytes) {
      throw new TuneyardError(
        GGUF_ERRORS.GGUF_DATA_TRUNCATED,
        `${path}: tensor ${quoteName(info.name)} ends at byte ${end}, but the file has ${fileBytes}`,
        {
          details: { path, tensor: info.name, end, fileBytes },
          hint: 'The file was cut or its download did not finish; get it again.',
        },
      );
    }
    expected = alignUp(info.offset + info.byteLength, alignment);
  }
  if (fileBytes > dataStart + expected) {
    throw new TuneyardError(
      GGUF_ERRORS.GGUF_TRAILING_BYTES,
      `${path}: ${fileBytes - dataStart - expected} bytes follow the last tensor`,
      { details: { path, end: dataStart + expected, fileBytes } },
    );
  }
  return dataStart;
}

function checkOffset(info: TensorInfo, expected: number, { alignment, path }: DataBounds): void {
  const { name, offset } = info;
  const at = `${path}: tensor ${quoteName(name)}`;
  const details = { path, tensor: name, offset, expected, alignment };
  if (offset % alignment !== 0) {
    throw new TuneyardError(
      GGUF_ERRORS.GGUF_OFFSET_UNALIGNED,
      `${at} has offset ${offset}, not a multiple of the alignment ${alignment}`,
      { details },
    );
  }
  if (offset < expected) {
    throw new TuneyardError(
      GGUF_ERRORS.GGUF_OFFSETS_OVERLAP,
      `${at} begins at ${offset}, inside the tensor before it; expected ${expected}`,
      { details },
    );
  }
  if (offset > expected) {
    throw new TuneyardError(
      GGUF_ERRORS.GGUF_OFFSETS_HOLE,
      `${at} begins at ${offset}; the tensor before it ends at ${expected}`,
      { details },
    );
  }
}
