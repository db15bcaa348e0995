/**
 * A file whose size and places are known before its tensor bytes are: whoever moves the bytes may write them in any
 * order and by position, and puts the fixed parts in last.
 */

/** A range of bytes of a file. */
export interface ByteRange {
  readonly begin: number;
  readonly byteLength: number;
}

/** Bytes that the format needs at a position. */
export interface FixedBytes {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Plan of one file. */
export interface FileSkeleton {
  /** Bytes of the whole file. */
  readonly size: number;
  /** Where each tensor goes; the ranges do not overlap, and the caller fills every one. */
  readonly tensors: ReadonlyMap<string, ByteRange>;
  /** True when {@link fixed} needs the checksum of each range. */
  readonly needsCrc: boolean;
  /**
   * Everything else of the file: headers, padding that is not zero, the list of entries. Bytes that neither a tensor
   * nor a fixed part covers are zero.
   *
   * `crcs` has the CRC-32 of the bytes of each of {@link tensors}, by name; may be left out where not needed.
   */
  fixed(crcs?: ReadonlyMap<string, number>): FixedBytes[];
}
