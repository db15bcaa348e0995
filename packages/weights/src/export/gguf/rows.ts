/** Rows between the two layouts: logical rows out of Hugging Face files, and out of GGUF files. */
import { assert, GGML_TYPES, type GgmlTypeName } from '@tuneyard/core';
import type { TensorCodec } from '../../codec/tensor-codec.js';
import type { Rectangle, StoredSpec } from '../../convert/logical-model.js';
import {
  gatherRows,
  halfSplitFromInterleaved,
  interleavedFromHalfSplit,
} from '../../kernels/row-permutation.js';
import { castTensor, narrowTensor } from '../cast-tensor.js';
import { addToAll, normalizeRows, transpose } from './kernels/rows.js';
import type { GgufPart, GgufTensorSpec, GgufValueRule } from './layout.js';
import { type RowFiles, type RowTensor, rowChunks } from './row-files.js';

/** What both directions need. */
export interface RowContext {
  readonly files: RowFiles;
  readonly tensors: ReadonlyMap<string, RowTensor>;
  readonly codec: TensorCodec;
}

interface Held<T> {
  readonly tensor: RowTensor;
  readonly part: T;
}

/** Produces GGUF tensors piece by piece from Hugging Face files. */
export class GgufRowProducer {
  readonly #context: RowContext;
  readonly #held: ReadonlyMap<string, readonly Held<Rectangle>[]>;

  constructor(stored: readonly StoredSpec[], context: RowContext) {
    this.#context = context;
    const held = new Map<string, Held<Rectangle>[]>();
    for (const { name, rectangles } of stored) {
      const tensor = context.tensors.get(name);
      if (tensor === undefined) continue;
      for (const part of rectangles) {
        assert(isWholeRows(part, tensor), `${name}: only whole rows are moved`);
        held.set(part.logical, [...(held.get(part.logical) ?? []), { tensor, part }]);
      }
    }
    this.#held = held;
  }

  /** The bytes of a tensor in the wanted type, a few rows at a time. */
  async *produce(spec: GgufTensorSpec, type: GgmlTypeName): AsyncGenerator<Uint8Array> {
    for (const part of spec.parts) {
      if (part.isTransposed) {
        const [stored, bytes] = await this.#rows(part.logical, part.logicalRow, part.rows);
        const turned = transpose(bytes, { rows: part.rows, cols: part.cols });
        yield this.#convert({ spec, type, stored, cols: part.rows, firstRow: part.row }, turned);
        continue;
      }
      const unit = part.interleavedHeadDim ?? 1;
      for (const { row, rows } of rowChunks(part.rows, { cols: part.cols, unit })) {
        const [stored, bytes] = await this.#rows(part.logical, part.logicalRow + row, rows);
        const order = part.interleavedHeadDim;
        const moved =
          order === null
            ? bytes
            : gatherRows(bytes, interleavedFromHalfSplit({ heads: rows / order, headDim: order }));
        const form = { spec, type, stored, cols: part.cols, firstRow: part.row + row };
        yield this.#convert(form, moved);
      }
    }
  }

  async #rows(
    logical: string,
    row: number,
    rows: number,
  ): Promise<readonly [GgmlTypeName, Uint8Array]> {
    const pieces: Uint8Array[] = [];
    let at = row;
    let type: GgmlTypeName | undefined;
    while (at < row + rows) {
      const held = this.#held
        .get(logical)
        ?.find(({ part }) => at >= part.logicalRow && at < part.logicalRow + part.rows);
      assert(held !== undefined, `${logical}: no stored tensor holds row ${at}`);
      const { tensor, part } = held;
      const count = Math.min(row + rows, part.logicalRow + part.rows) - at;
      const from = part.storedRow + at - part.logicalRow;
      pieces.push(await this.#context.files.read(tensor, from, count));
      assert(type === undefined || type === tensor.type, `${logical}: stored in two types`);
      type = tensor.type;
      at += count;
    }
    const [only] = pieces;
    const bytes = pieces.length === 1 && only !== undefined ? only : joined(pieces);
    return [type ?? 'f32', bytes];
  }

  #convert(
    form: {
      readonly spec: GgufTensorSpec;
      readonly type: GgmlTypeName;
      readonly stored: GgmlTypeName;
      readonly cols: number;
      readonly firstRow: number;
    },
    bytes: Uint8Array,
  ): Uint8Array {
    const { spec, type, stored, cols } = form;
    return convertRows(bytes, {
      name: spec.name,
      from: stored,
      to: type,
      cols,
      firstRow: form.firstRow,
      change: changeOf(spec.values),
      codec: this.#context.codec,
    });
  }
}

/** Produces Hugging Face tensors piece by piece from a GGUF file. */
export class HfRowProducer {
  readonly #context: RowContext;
  readonly #held: ReadonlyMap<string, readonly HeldInGguf[]>;

  constructor(specs: readonly GgufTensorSpec[], context: RowContext) {
    this.#context = context;
    const held = new Map<string, HeldInGguf[]>();
    for (const { name, parts, values } of specs) {
      const tensor = context.tensors.get(name);
      if (tensor === undefined) continue;
      for (const part of parts) {
        held.set(part.logical, [...(held.get(part.logical) ?? []), { tensor, part, values }]);
      }
    }
    this.#held = held;
  }

  /** The bytes of a stored tensor in the wanted type, a few rows at a time. */
  async *produce(spec: StoredSpec, type: 'f32' | 'f16' | 'bf16'): AsyncGenerator<Uint8Array> {
    const inOrder = spec.rectangles.toSorted((a, b) => a.storedRow - b.storedRow);
    for (const rectangle of inOrder) {
      assert(!rectangle.transpose && rectangle.storedCol === 0, `${spec.name}: not whole rows`);
      const end = rectangle.logicalRow + rectangle.rows;
      let at = rectangle.logicalRow;
      while (at < end) {
        const held = this.#held
          .get(rectangle.logical)
          ?.find(({ part }) => at >= part.logicalRow && at < part.logicalRow + part.rows);
        assert(held !== undefined, `${rectangle.logical}: no GGUF tensor holds row ${at}`);
        const count = Math.min(end, held.part.logicalRow + held.part.rows) - at;
        yield* this.#run(held, { at: at - held.part.logicalRow, rows: count, type, spec });
        at += count;
      }
    }
  }

  async *#run(held: HeldInGguf, run: HfRun): AsyncGenerator<Uint8Array> {
    const { part } = held;
    if (part.isTransposed) {
      yield await this.#turnedRows(held, run);
      return;
    }
    const unit = part.interleavedHeadDim ?? 1;
    for (const { row, rows } of rowChunks(run.rows, { cols: part.cols, unit })) {
      const from = part.row + run.at + row;
      const bytes = await this.#context.files.read(held.tensor, from, rows);
      const order = part.interleavedHeadDim;
      const moved =
        order === null
          ? bytes
          : gatherRows(bytes, halfSplitFromInterleaved({ heads: rows / order, headDim: order }));
      yield this.#convert(held, { ...run, at: run.at + row }, moved);
    }
  }

  /** Rows that the file holds as columns; all of a head are read, which is small. */
  async #turnedRows(held: HeldInGguf, run: HfRun): Promise<Uint8Array> {
    const { part, tensor } = held;
    const { codec, files } = this.#context;
    const bytes = await files.read(tensor, part.row, part.cols);
    const values = codec.toF32(tensor.type, bytes, part.cols * part.rows);
    const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const turned = transpose(raw, { rows: part.cols, cols: part.rows });
    const first = run.at * part.cols * 4;
    const wanted = turned.slice(first, first + run.rows * part.cols * 4);
    return this.#convert({ ...held, tensor: { ...tensor, type: 'f32' } }, run, wanted);
  }

  #convert({ tensor, part, values }: HeldInGguf, run: HfRun, bytes: Uint8Array): Uint8Array {
    return convertRows(bytes, {
      name: run.spec.name,
      from: tensor.type,
      to: run.type,
      cols: part.cols,
      firstRow: part.logicalRow + run.at,
      change: values === 'add-one' ? addTo(-1) : null,
      codec: this.#context.codec,
    });
  }
}

interface HeldInGguf extends Held<GgufPart> {
  readonly values: GgufValueRule;
}

interface HfRun {
  /** First row, counted from the part's first. */
  readonly at: number;
  readonly rows: number;
  readonly type: 'f32' | 'f16' | 'bf16';
  readonly spec: StoredSpec;
}

type ValueChange = (values: Float32Array, cols: number) => void;

interface RowConversion {
  readonly name: string;
  readonly from: GgmlTypeName;
  readonly to: GgmlTypeName;
  readonly cols: number;
  /** Row of the tensor that the first row here is; for messages. */
  readonly firstRow: number;
  readonly change: ValueChange | null;
  readonly codec: TensorCodec;
}

function convertRows(bytes: Uint8Array, form: RowConversion): Uint8Array {
  const { name, from, to, cols, change, codec } = form;
  const elements = elementsIn(bytes, from);
  const tensor = { name, shape: [elements / cols, cols], firstElement: form.firstRow * cols };
  if (change === null) return castTensor({ ...tensor, type: from, bytes }, to, codec);
  const values = codec.toF32(from, bytes, elements);
  change(values, cols);
  return narrowTensor({ ...tensor, values }, to, codec);
}

function changeOf(rule: GgufValueRule): ValueChange | null {
  if (rule === 'add-one') return addTo(1);
  return rule === 'normalize-rows' ? normalizeRows : null;
}

function addTo(summand: number): ValueChange {
  return (values) => addToAll(values, summand);
}

/** A Buffer would do, but for its slice(), which shares memory. */
function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.byteLength;
  }
  return out;
}

function elementsIn(bytes: Uint8Array, type: GgmlTypeName): number {
  const { blockElements, blockBytes } = GGML_TYPES[type];
  return (bytes.byteLength / blockBytes) * blockElements;
}

function isWholeRows(part: Rectangle, tensor: RowTensor): boolean {
  return !part.transpose && part.storedCol === 0 && part.cols === tensor.cols;
}
