/** The meaning of a conversion plan, element by element, and random plans: what the streaming executor must agree with. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bf16ToF32, createRng, f16ToF32, f32ToBf16, f32ToF16, type Rng } from '@tuneyard/core';
import type { TorchValue } from '@tuneyard/formats';
import type {
  ConversionPlan,
  ConvertedDtype,
  Piece,
  SourceTensor,
  TargetFile,
  TargetTensor,
} from '../src/convert/logical-model.js';

/** Bytes per element of the types that random plans use. */
const SIZES: Partial<Record<ConvertedDtype, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I8: 1,
};

/** Runs a plan in memory, one element at a time. Keys are `path` and tensor name, joined by a line feed. */
export function interpretPlan(
  plan: ConversionPlan,
  bytesOf: (file: string) => Uint8Array,
): Map<string, Uint8Array> {
  const out = new Map<string, Uint8Array>();
  for (const file of plan.files) {
    for (const tensor of file.tensors) {
      const size = SIZES[tensor.dtype]!;
      const bytes = new Uint8Array(tensor.rows * tensor.cols * size);
      for (const piece of tensor.pieces) {
        const source = plan.sources[piece.source]!;
        copyPiece({ source, tensor, piece }, bytesOf(source.file), bytes);
      }
      out.set(`${file.path}\n${tensor.name}`, bytes);
    }
  }
  return out;
}

function copyPiece(
  { source, tensor, piece }: { source: SourceTensor; tensor: TargetTensor; piece: Piece },
  from: Uint8Array,
  to: Uint8Array,
): void {
  const fromSize = SIZES[source.dtype]!;
  const toSize = SIZES[tensor.dtype]!;
  for (let r = 0; r < piece.rows; r++) {
    for (let c = 0; c < piece.cols; c++) {
      const [down, right] = piece.transpose ? [c, r] : [r, c];
      const element = (piece.sourceRow + down) * source.cols + piece.sourceCol + right;
      const begin = source.begin + element * fromSize;
      const value = convert(from.subarray(begin, begin + fromSize), source.dtype, tensor.dtype);
      to.set(value, ((piece.targetRow + r) * tensor.cols + piece.targetCol + c) * toSize);
    }
  }
}

function convert(bytes: Uint8Array, from: ConvertedDtype, to: ConvertedDtype): Uint8Array {
  if (from === to) return bytes;
  const copy = bytes.slice().buffer;
  const wide = new Float32Array(1);
  if (from === 'F32') wide.set(new Float32Array(copy));
  else if (from === 'BF16') bf16ToF32(new Uint16Array(copy), wide);
  else {
    const [half] = new Uint16Array(copy);
    f16ToF32(Uint16Array.of(half!), wide);
    // JavaScript knows one NaN; the executor keeps sign and payload.
    const nan = ((half! & 0x8000) << 16) | 0x7fc00000 | ((half! & 0x3ff) << 13);
    if ((half! & 0x7fff) > 0x7c00) new Int32Array(wide.buffer)[0] = nan;
  }
  if (to === 'F32') return new Uint8Array(wide.buffer);
  const half = new Uint16Array(1);
  if (to === 'BF16') f32ToBf16(wide, half);
  else f32ToF16(wide, half);
  return new Uint8Array(half.buffer);
}

/** A plan with its source files in a directory of its own. */
export interface PlanOnDisk {
  readonly plan: ConversionPlan;
  readonly dir: string;
  readonly sourceBytes: ReadonlyMap<string, Uint8Array>;
  remove(): void;
}

/** Writes random sources and plans random tilings of targets over them; the same seed gives the same plan. */
export function randomPlan(seed: number, sizeMax = 40): PlanOnDisk {
  const rng = createRng(seed);
  const upTo = (n: number): number => 1 + Math.floor(rng.next() * n);
  const pick = <T>(items: readonly T[]): T => items[upTo(items.length) - 1]!;
  const dir = mkdtempSync(join(tmpdir(), 'tuneyard-plan-'));
  const sourceBytes = new Map<string, Uint8Array>();
  const floats = rng.next() < 0.7;
  const dtypes: readonly ConvertedDtype[] = floats ? ['F32', 'BF16', 'F16'] : [pick(['F64', 'I8'])];
  const sources: SourceTensor[] = [];
  for (let f = 0; f < upTo(2); f++) {
    const file = join(dir, `source-${f}.bin`);
    let begin = upTo(5);
    for (let s = 0; s < upTo(3); s++) {
      const dtype = pick(dtypes);
      const [rows, cols] = [upTo(sizeMax), upTo(sizeMax)];
      sources.push({ name: `s${sources.length}`, file, begin, dtype, rows, cols });
      begin += rows * cols * SIZES[dtype]! + upTo(7);
    }
    const bytes = Uint8Array.from({ length: begin }, () => Math.floor(rng.next() * 256));
    writeFileSync(file, bytes);
    sourceBytes.set(file, bytes);
  }
  const files = Array.from({ length: upTo(3) }, (_, f): TargetFile => {
    const tensors = Array.from({ length: upTo(3) }, (_, t): TargetTensor => {
      const [rows, cols] = [upTo(sizeMax), upTo(sizeMax)];
      const dtype = pick(dtypes);
      const pieces = tile(rng, sources, { row: 0, col: 0, rows, cols });
      return { name: `t${t}`, dtype, shape: [rows, cols], rows, cols, pieces };
    });
    return rng.next() < 0.5
      ? { path: `${f}.safetensors`, format: 'safetensors', extra: { format: 'pt' }, tensors }
      : { path: `deep/${f}/model.pt`, format: 'torch', extra: torchRoot(tensors), tensors };
  });
  const remove = (): void => rmSync(dir, { recursive: true, force: true });
  return { plan: { sources, files }, dir, sourceBytes, remove };
}

const TORCH_NAMES: { readonly [D in ConvertedDtype]?: readonly [string, string] } = {
  F64: ['float64', 'DoubleStorage'],
  F32: ['float32', 'FloatStorage'],
  F16: ['float16', 'HalfStorage'],
  BF16: ['bfloat16', 'BFloat16Storage'],
  I8: ['int8', 'CharStorage'],
};

/** A dictionary of tensors, each with a storage of its own. */
function torchRoot(tensors: readonly TargetTensor[]): TorchValue {
  const entries = tensors.map(({ name, dtype, rows, cols }, key): [string, TorchValue] => {
    const [torchName, storageClass] = TORCH_NAMES[dtype]!;
    return [
      name,
      {
        kind: 'tensor',
        dtype: torchName,
        storage: {
          kind: 'storage',
          storageClass,
          module: 'torch',
          key: String(key),
          location: 'cpu',
          numel: rows * cols,
          byteLength: rows * cols * SIZES[dtype]!,
        },
        storageOffset: 0,
        shape: [rows, cols],
        strides: [cols, 1],
        requiresGrad: false,
        hooks: { kind: 'dict', type: 'OrderedDict', entries: [] },
      },
    ];
  });
  return { kind: 'dict', type: 'dict', entries };
}

interface Area {
  readonly row: number;
  readonly col: number;
  readonly rows: number;
  readonly cols: number;
}

/** Halves an area at random until a piece of some source fits it. */
function tile(rng: Rng, sources: readonly SourceTensor[], area: Area): Piece[] {
  const source = Math.floor(rng.next() * sources.length);
  const transpose = rng.next() < 0.3;
  const { rows, cols } = sources[source]!;
  const [high, wide] = transpose ? [area.cols, area.rows] : [area.rows, area.cols];
  if (high <= rows && wide <= cols && rng.next() < 0.6) {
    const place = { targetRow: area.row, targetCol: area.col, rows: area.rows, cols: area.cols };
    const sourceRow = Math.floor(rng.next() * (rows - high + 1));
    const sourceCol = Math.floor(rng.next() * (cols - wide + 1));
    return [{ source, sourceRow, sourceCol, ...place, transpose }];
  }
  const isDown = area.cols === 1 || (area.rows > 1 && rng.next() < 0.5);
  const length = isDown ? area.rows : area.cols;
  if (length === 1) return tile(rng, sources, area);
  const cut = 1 + Math.floor(rng.next() * (length - 1));
  const [first, second] = isDown
    ? [
        { ...area, rows: cut },
        { ...area, row: area.row + cut, rows: area.rows - cut },
      ]
    : [
        { ...area, cols: cut },
        { ...area, col: area.col + cut, cols: area.cols - cut },
      ];
  return [...tile(rng, sources, first), ...tile(rng, sources, second)];
}
