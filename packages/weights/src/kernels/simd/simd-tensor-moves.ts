/**
 * The WebAssembly kernels of tensor-moves.wat as a {@link TensorMoves}.
 *
 * Bounds: addresses are those of the caller; one outside of the memory traps.
 */

import { CASTS, type CastKind, type StridedMove, type TensorMoves } from './tensor-moves.js';
import { TENSOR_MOVES_WASM } from './tensor-moves-wasm.js';
import { transposeElements } from './transpose-elements.js';

/** What tensor-moves.wat exports. */
interface WasmExports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  cast_rows(
    kind: number,
    src: number,
    srcStride: number,
    dst: number,
    dstStride: number,
    rows: number,
    cols: number,
    srcSize: number,
    dstSize: number,
  ): number;
  copy_rows(
    src: number,
    srcStride: number,
    dst: number,
    dstStride: number,
    rows: number,
    bytes: number,
  ): void;
  transpose16(...args: TransposeArgs): void;
  transpose32(...args: TransposeArgs): void;
  is_zero(at: number, bytes: number): number;
}

type TransposeArgs = [number, number, number, number, number, number];

/** As much of the global as is used: Node's types do not describe it. */
interface WasmGlobal {
  validate(bytes: Uint8Array): boolean;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: object };
}

const PAGE_BYTES = 65_536;
/** A square of tiles that fits the first-level cache on both sides: 64 × 64 elements of 4 bytes are 16 KiB. */
const TILE = 64;

/** {@link TensorMoves} in WebAssembly SIMD. */
export class SimdTensorMoves implements TensorMoves {
  readonly name = 'simd';
  bytes: Uint8Array;
  readonly #wasm: WasmExports;

  private constructor(wasm: WasmExports) {
    this.#wasm = wasm;
    this.bytes = new Uint8Array(wasm.memory.buffer);
  }

  /** Null where WebAssembly or its 128-bit instructions are missing. */
  static open(): SimdTensorMoves | null {
    const { WebAssembly } = globalThis as { WebAssembly?: WasmGlobal };
    const code = Buffer.from(TENSOR_MOVES_WASM, 'base64');
    if (!WebAssembly?.validate(code)) return null;
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code));
    return new SimdTensorMoves(exports as WasmExports);
  }

  reserve(byteLength: number): void {
    const missing = byteLength - this.bytes.length;
    if (missing <= 0) return;
    this.#wasm.memory.grow(Math.ceil(missing / PAGE_BYTES));
    this.bytes = new Uint8Array(this.#wasm.memory.buffer);
  }

  castRows(kind: CastKind, move: StridedMove): number {
    const { src, srcStride, dst, dstStride } = move;
    const { srcSize, dstSize } = CASTS[kind]!;
    let { rows, cols } = move;
    if (srcStride === cols * srcSize && dstStride === cols * dstSize) {
      cols *= rows;
      rows = 1;
    }
    return this.#wasm.cast_rows(kind, src, srcStride, dst, dstStride, rows, cols, srcSize, dstSize);
  }

  copyRows(size: number, move: StridedMove): void {
    const { src, srcStride, dst, dstStride, rows, cols } = move;
    const bytes = cols * size;
    if (srcStride === bytes && dstStride === bytes) {
      this.#wasm.copy_rows(src, 0, dst, 0, 1, bytes * rows);
    } else this.#wasm.copy_rows(src, srcStride, dst, dstStride, rows, bytes);
  }

  transposeRows(size: number, move: StridedMove): void {
    const { rows, cols } = move;
    for (let row = 0; row < rows; row += TILE) {
      for (let col = 0; col < cols; col += TILE) {
        this.#transposeTile(size, {
          ...move,
          src: move.src + row * move.srcStride + col * size,
          dst: move.dst + col * move.dstStride + row * size,
          rows: Math.min(TILE, rows - row),
          cols: Math.min(TILE, cols - col),
        });
      }
    }
  }

  isZero(at: number, byteLength: number): boolean {
    const whole = byteLength - (byteLength % 16);
    if (whole > 0 && this.#wasm.is_zero(at, whole) === 0) return false;
    for (let i = at + whole; i < at + byteLength; i++) if (this.bytes[i] !== 0) return false;
    return true;
  }

  /** The part that whole vectors cover in WebAssembly, the right and lower edges element by element. */
  #transposeTile(size: number, tile: StridedMove): void {
    const { src, srcStride, dst, dstStride, rows, cols } = tile;
    const step = size === 2 ? 8 : 4;
    const isVector = size === 2 || size === 4;
    const rowsWhole = isVector ? rows - (rows % step) : 0;
    const colsWhole = isVector ? cols - (cols % step) : 0;
    if (rowsWhole > 0 && colsWhole > 0) {
      const args: TransposeArgs = [src, srcStride, dst, dstStride, rowsWhole, colsWhole];
      if (size === 2) this.#wasm.transpose16(...args);
      else this.#wasm.transpose32(...args);
    }
    if (colsWhole < cols && rowsWhole > 0) {
      transposeElements(this.bytes, size, {
        ...tile,
        src: src + colsWhole * size,
        dst: dst + colsWhole * dstStride,
        rows: rowsWhole,
        cols: cols - colsWhole,
      });
    }
    if (rowsWhole < rows) {
      transposeElements(this.bytes, size, {
        ...tile,
        src: src + rowsWhole * srcStride,
        dst: dst + rowsWhole * size,
        rows: rows - rowsWhole,
      });
    }
  }
}
