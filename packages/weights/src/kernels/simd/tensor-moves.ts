/**
 * Casts, strided copies and transposes inside one block of memory, which is also the buffer of reads and writes:
 * bytes of a file are read to an address, moved, and written from another, with no copy between JavaScript and the
 * kernels.
 *
 * Two implementations that agree bit for bit: WebAssembly SIMD, and plain TypeScript where that is not available.
 */

/** A matrix in one place of the memory and its copy in another. */
export interface StridedMove {
  /** Address of element [0, 0]: a multiple of the element size, at least {@link FIRST_ADDRESS}. */
  readonly src: number;
  /** Bytes from one row to the next. */
  readonly srcStride: number;
  readonly dst: number;
  readonly dstStride: number;
  /** Above zero; of the source. */
  readonly rows: number;
  /** Elements per row, above zero; of the source. */
  readonly cols: number;
}

/** Addresses below belong to the kernels. */
export const FIRST_ADDRESS = 64;

/** Casts that exist, in the order of the kernels' table; sizes in bytes per element. */
export const CASTS = [
  { from: 'F32', to: 'BF16', srcSize: 4, dstSize: 2 },
  { from: 'F32', to: 'F16', srcSize: 4, dstSize: 2 },
  { from: 'BF16', to: 'F32', srcSize: 2, dstSize: 4 },
  { from: 'F16', to: 'F32', srcSize: 2, dstSize: 4 },
  { from: 'BF16', to: 'F16', srcSize: 2, dstSize: 2 },
  { from: 'F16', to: 'BF16', srcSize: 2, dstSize: 2 },
] as const;

/** Place in {@link CASTS}. */
export type CastKind = number;

/** Finds the cast between two element types; null when there is none, as between equal types. */
export function castKind(from: string, to: string): CastKind | null {
  const kind = CASTS.findIndex((cast) => cast.from === from && cast.to === to);
  return kind < 0 ? null : kind;
}

/** The memory with its kernels. Nothing checks that moves stay inside of the memory or apart from each other. */
export interface TensorMoves {
  readonly name: 'simd' | 'plain';
  /** The whole memory. Another array after {@link reserve}. */
  readonly bytes: Uint8Array;
  /** Makes the memory at least this large; its contents may be lost. */
  reserve(byteLength: number): void;
  /**
   * Converts elements, rounding to nearest even. Returns how many finite values became infinite.
   * NaN stays NaN; towards f16 it becomes 0x7e00 with its sign, elsewhere its upper payload is kept.
   */
  castRows(kind: CastKind, move: StridedMove): number;
  /** Copies rows of `cols` elements of `size` bytes. */
  copyRows(size: number, move: StridedMove): void;
  /** Turns a matrix of elements of 1, 2, 4 or 8 bytes: `dst` has `cols` rows of `rows` elements. */
  transposeRows(size: number, move: StridedMove): void;
  /** True when all bytes of the range are zero. */
  isZero(at: number, byteLength: number): boolean;
}
