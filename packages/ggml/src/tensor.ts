/** A tensor of a ggml context: shape and type on our side, the pointer hidden from the outside. */
import { defined, type GgmlTypeName, ggmlTypeFromCode, rowBytes } from '@tuneyard/core';
import { loadGgml } from './raw/load.js';

/** Four element counts, fastest axis first (ggml order). */
export type Shape4 = readonly [number, number, number, number];

const pointers = new WeakMap<Tensor, bigint>();

/** One node or leaf of a computation; created by a `TensorContext`. */
export class Tensor {
  #shape: Shape4 | undefined;
  #type: GgmlTypeName | undefined;

  /** Element counts, fastest axis first; unused axes are 1. */
  get shape(): Shape4 {
    this.#shape ??= loadGgml().tensorShape(pointerOf(this));
    return this.#shape;
  }

  get type(): GgmlTypeName {
    this.#type ??= defined(ggmlTypeFromCode(loadGgml().tensorTypeCode(pointerOf(this))), 'type');
    return this.#type;
  }

  /** Number of elements. */
  get elements(): number {
    const [a, b, c, d] = this.shape;
    return a * b * c * d;
  }

  /** Bytes of the elements when contiguous. */
  get bytes(): number {
    return rowBytes(this.type, this.shape[0]) * (this.elements / this.shape[0]);
  }
}

/** Wraps a native tensor pointer. Only this package calls it. */
export function wrapTensor(pointer: bigint): Tensor {
  const tensor = new Tensor();
  pointers.set(tensor, pointer);
  return tensor;
}

/** The native pointer of a tensor. Only this package calls it. */
export function pointerOf(tensor: Tensor): bigint {
  return defined(pointers.get(tensor), 'tensor pointer');
}
