/**
 * Decides how each weight is kept in memory: element type, stored transpose, repacked or not.
 *
 * Pure. A frozen weight is kept twice for training: as it is for the forward, transposed for dx, because
 * ggml multiplies an order of magnitude faster along rows than through outer products. Why which type:
 * half-precision block scales (q8_0, q4_0, f16 partners) flush gradients near 1e-6 to zero, so their
 * transposes need a loss scale; bf16 and K-quants do not.
 */
import { assert, GGML_TYPES, type GgmlTypeName, rowBytes } from '@tuneyard/core';
import type { ParameterSpec } from '@tuneyard/weights';

/** Element type of the base weights: `auto` keeps what the model has. */
export type BaseType = 'auto' | 'f32' | 'bf16' | 'q8_0' | 'q4_K';

/** What the model is used for: it decides transposes, masters and gradients. */
export type ModelUse = 'lora' | 'full' | 'inference';

/** One parameter in memory. */
export interface PlacedParameter {
  readonly name: string;
  /** Hugging Face order, [out, in] for a matrix. */
  readonly shape: readonly number[];
  readonly role: ParameterSpec['role'];
  readonly type: GgmlTypeName;
  /** Type of the stored transpose, or null when there is none. */
  readonly transposedType: GgmlTypeName | null;
  readonly isRepacked: boolean;
  readonly isTransposeRepacked: boolean;
  readonly bytes: number;
}

/** How all weights of a model are kept. */
export interface Placement {
  readonly parameters: readonly PlacedParameter[];
  /** Keys and values inside attention products. */
  readonly attentionType: GgmlTypeName;
  /** Power of two that the loss is multiplied with so that gradients survive half-precision scales. */
  readonly lossScale: number;
  /** Bytes of all weights and transposes. */
  readonly bytes: number;
  /** Bytes of the transposes among them. */
  readonly transposeBytes: number;
}

/** What {@link planPlacement} needs to know. */
export interface PlacementOptions {
  readonly use: ModelUse;
  readonly baseType: BaseType;
  readonly tieWordEmbeddings: boolean;
  /** Types that have a repacked kernel here. */
  readonly repackable: ReadonlySet<string>;
}

const LOSS_SCALE = 1024;
const SCALED_PARTNERS: ReadonlySet<GgmlTypeName> = new Set(['q8_0', 'q4_0', 'f16']);

/** Plans the placement of every parameter. Pure. */
export function planPlacement(
  parameters: readonly (ParameterSpec & { readonly type: GgmlTypeName })[],
  options: PlacementOptions,
): Placement {
  const placed = parameters.map((p) => placeOne(p, options));
  const linear = placed.filter((p) => p.role === 'linear');
  const transposes = placed.flatMap((p) => (p.transposedType === null ? [] : [p.transposedType]));
  return {
    parameters: placed,
    // Training is bound by products, where bf16 is twice as fast; reading scores is not, and f32 is exact.
    attentionType:
      options.use === 'inference' || linear.every((p) => p.type === 'f32') ? 'f32' : 'bf16',
    lossScale: transposes.some((t) => SCALED_PARTNERS.has(t)) ? LOSS_SCALE : 1,
    bytes: placed.reduce((sum, p) => sum + p.bytes, 0),
    transposeBytes: placed.reduce((sum, p) => sum + transposeBytes(p), 0),
  };
}

function transposeBytes({ shape, transposedType }: PlacedParameter): number {
  return transposedType === null
    ? 0
    : rowBytes(
        transposedType,
        shape.reduce((a, b) => a * b, 1),
      );
}

function placeOne(
  p: ParameterSpec & { readonly type: GgmlTypeName },
  options: PlacementOptions,
): PlacedParameter {
  const { use, repackable } = options;
  const isMatrix = p.shape.length === 2;
  const [out = 1, rowLength = out] = p.shape;
  // Norms and biases are added and multiplied element-wise, which ggml does in f32.
  const type = use === 'full' || !isMatrix ? 'f32' : matrixType(p, rowLength, options);
  const isTiedEmbedding = p.role === 'embedding' && options.tieWordEmbeddings;
  const isMultiplied = p.role === 'linear' || p.role === 'head' || isTiedEmbedding;
  const transposedType =
    use === 'lora' && isMultiplied && isMatrix ? transposeType(type, out) : null;
  const elements = p.shape.reduce((a, b) => a * b, 1);
  const bytes =
    rowBytes(type, elements) + (transposedType === null ? 0 : rowBytes(transposedType, elements));
  return {
    name: p.name,
    shape: p.shape,
    role: p.role,
    type,
    transposedType,
    // Rows are looked up in an embedding, which the repacked layout does not allow.
    isRepacked: p.role !== 'embedding' && repackable.has(type),
    isTransposeRepacked: transposedType !== null && repackable.has(transposedType),
    bytes,
  };
}

function matrixType(
  p: ParameterSpec & { readonly type: GgmlTypeName },
  rowLength: number,
  { baseType, tieWordEmbeddings }: PlacementOptions,
): GgmlTypeName {
  if (baseType === 'auto') return p.type;
  const isShared = p.role === 'embedding' && tieWordEmbeddings;
  const wanted = baseType === 'q4_K' && isShared ? 'q8_0' : baseType;
  return fitting(wanted, rowLength);
}

/** The type of a stored transpose: no narrower than the weight, with a fast kernel. */
function transposeType(type: GgmlTypeName, rowLength: number): GgmlTypeName {
  if (type === 'f32' || type === 'bf16' || type === 'q4_K') return fitting(type, rowLength);
  if (type === 'f16') return 'bf16';
  assert(GGML_TYPES[type].blockElements > 1, `a weight of type ${type} cannot be multiplied`);
  return fitting('q8_0', rowLength);
}

/** The wanted type, or the next wider one whose block divides the row. */
function fitting(type: GgmlTypeName, rowLength: number): GgmlTypeName {
  const order: readonly GgmlTypeName[] = [type, 'q8_0', 'bf16'];
  return order.find((t) => rowLength % GGML_TYPES[t].blockElements === 0) ?? 'bf16';
}
