/** What a distributed checkpoint says about itself: tensors in pieces, objects, and where each lies. */

/** A range of a file that holds one saved tensor or object. */
export interface DcpItem {
  /** Path of the file. */
  readonly file: string;
  /** First byte of the item, which is an archive or a file of its own. */
  readonly offset: number;
  readonly byteLength: number;
  /** What the range holds: an archive of `torch.save`, or the raw bytes of the numbers. */
  readonly form: 'archive' | 'raw';
}

/** One piece of a tensor: a box of it. Offsets and sizes are in elements, as many as the tensor has dimensions. */
export interface DcpChunk {
  readonly offsets: readonly number[];
  readonly sizes: readonly number[];
  readonly item: DcpItem;
}

/** A tensor of the checkpoint; its chunks cover it, each element once. Chunks without elements are left out. */
export interface DcpTensor {
  readonly name: string;
  /** Element type as torch spells it, without `torch.`. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly chunks: readonly DcpChunk[];
}

/** An entry that is no tensor: a number, a string, a state of a random generator, saved by `torch.save`. */
export interface DcpObject {
  readonly name: string;
  readonly item: DcpItem;
}

/** A chunk whose numbers have been found. */
export interface LocatedChunk {
  readonly offsets: readonly number[];
  readonly sizes: readonly number[];
  readonly file: string;
  /** Byte in the file of the element at `offsets`. */
  readonly begin: number;
  /** Steps between elements, in elements, outermost dimension first. */
  readonly strides: readonly number[];
  /** True when the chunk is row-major without gaps, so that its bytes are one range. */
  readonly isContiguous: boolean;
}

/** A tensor with all its chunks found. */
export interface LocatedTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly chunks: readonly LocatedChunk[];
}
