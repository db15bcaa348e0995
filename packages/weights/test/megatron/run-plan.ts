/** The plainest interpreter of conversions: one number at a time, in memory. */
import { storedView } from '../../src/convert/compose-plan.js';
import type {
  LogicalModel,
  Piece,
  SourceTensor,
  StoredSpec,
  TargetTensor,
} from '../../src/convert/logical-model.js';

/** A stored tensor's numbers, row by row. */
export interface Stored {
  readonly rows: number;
  readonly cols: number;
  readonly numbers: Float64Array;
}

/** Numbers of logical tensors: every element of the model has one of its own. */
export function numberedTensors(model: LogicalModel): Map<string, Stored> {
  const tensors = new Map<string, Stored>();
  let next = 1;
  for (const { id, shape } of model.tensors) {
    const [rows = 1, cols = 1] = shape;
    const numbers = Float64Array.from({ length: rows * cols }, () => next++);
    tensors.set(id, { rows, cols, numbers });
  }
  return tensors;
}

/** What a checkpoint of the layout holds. Elements that no rectangle fills are NaN. */
export function storeBySpecs(
  specs: readonly StoredSpec[],
  logicals: ReadonlyMap<string, Stored>,
): Stored[] {
  return specs.map((spec) => {
    const { rows, cols } = storedView(spec);
    const numbers = new Float64Array(rows * cols).fill(Number.NaN);
    for (const r of spec.rectangles) {
      const logical = logicals.get(r.logical)!;
      for (let i = 0; i < r.rows; i++) {
        for (let j = 0; j < r.cols; j++) {
          const value = logical.numbers[(r.logicalRow + i) * logical.cols + r.logicalCol + j]!;
          const [row, col] = r.transpose ? [j, i] : [i, j];
          numbers[(r.storedRow + row) * cols + r.storedCol + col] = value;
        }
      }
    }
    return { rows, cols, numbers };
  });
}

/** A source tensor for each spec, one file per shard; offsets are of no use here. */
export function sourceOf(spec: StoredSpec): SourceTensor {
  return { name: spec.name, file: spec.shard, begin: 0, dtype: 'BF16', ...storedView(spec) };
}

/** Runs the pieces of one target tensor. */
export function runPieces(target: TargetTensor, sources: readonly Stored[]): Stored {
  const numbers = new Float64Array(target.rows * target.cols).fill(Number.NaN);
  for (const piece of target.pieces) runPiece(piece, sources[piece.source]!, numbers, target.cols);
  return { rows: target.rows, cols: target.cols, numbers };
}

function runPiece(piece: Piece, source: Stored, numbers: Float64Array, cols: number): void {
  for (let i = 0; i < piece.rows; i++) {
    for (let j = 0; j < piece.cols; j++) {
      const [row, col] = piece.transpose ? [j, i] : [i, j];
      const at = (piece.sourceRow + row) * source.cols + piece.sourceCol + col;
      numbers[(piece.targetRow + i) * cols + piece.targetCol + j] = source.numbers[at]!;
    }
  }
}
