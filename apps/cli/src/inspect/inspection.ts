/** What `inspect` finds out about a path, before it is printed. */
import type { TensorLine } from './tensor-tree.js';

/** A titled block of facts for people. */
export interface FactSection {
  readonly title: string;
  readonly facts: readonly (readonly [name: string, value: string])[];
}

/** Tensors of a file or directory, with a way to read their values. */
export interface TensorTable {
  readonly lines: readonly TensorLine[];
  /** Heading of the shape column: formats differ in the order of axes. */
  readonly shapeTitle: string;
  /** Reads one tensor's values. Throws: `CLI_UNKNOWN_TENSOR` and the codes of the format. */
  readonly readValues: (name: string) => Promise<Float32Array | Float64Array>;
}

/** One inspected path. */
export interface Inspection {
  /** What it is, in words: `Hugging Face model`. */
  readonly kind: string;
  readonly sections: readonly FactSection[];
  /** The same facts for programs. */
  readonly document: { readonly [key: string]: unknown };
  readonly tensors: TensorTable | null;
  /** Things that look wrong, one sentence each. */
  readonly problems: readonly string[];
  readonly close: () => Promise<void>;
}
