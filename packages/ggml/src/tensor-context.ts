/**
 * Builds tensors and operations in one ggml context.
 *
 * Every method creates one node and computes nothing; a `Graph` collects nodes and a backend runs them.
 * Shapes are checked here because ggml itself answers a wrong shape by ending the process. Axis order in
 * all comments is ggml's: fastest first, so a matrix [in, out] holds `out` rows of `in` elements.
 */
import { assert, GGML_TYPES, type GgmlTypeName } from '@tuneyard/core';
import { NativeHandle } from './handle.js';
import { loadGgml } from './raw/load.js';
import { pointerOf, type Shape4, Tensor, wrapTensor } from './tensor.js';

/** Parameters of a rotary embedding whose frequencies come as factors. */
export interface RopeOptions {
  /** Elements of a head that are rotated; even. */
  readonly dimensions: number;
  /** Base of the geometric frequency sequence. */
  readonly base: number;
  /** Multiplies cosine and sine (YaRN attention factor); 1 elsewhere. */
  readonly attentionFactor: number;
}

// Rotate-half pairing (x[i], x[i + d/2]), as Hugging Face weights are laid out.
const ROPE_MODE_NEOX = 2;

const PRETENDED_ADDRESS = 0x1000n;

/** Owns the metadata of its tensors; the data lives in buffers. */
export class TensorContext extends NativeHandle {
  /**
   * `maxTensors` bounds leaves, views and operations together; `graphNodes` reserves room for one graph.
   */
  constructor({ maxTensors, graphNodes = 0 }: { maxTensors: number; graphNodes?: number }) {
    const raw = loadGgml();
    const bytes =
      maxTensors * raw.ggml_tensor_overhead() +
      (graphNodes > 0 ? raw.ggml_graph_overhead_custom(graphNodes, false) : 0) +
      4096;
    super(
      'tensor context',
      raw.ggml_init({ mem_size: bytes, mem_buffer: null, no_alloc: true }),
      (pointer) => raw.ggml_free(pointer),
    );
  }

  /**
   * Gives a leaf an address that does not exist, so that measuring a graph counts intermediate results
   * only and takes no memory. Computing with it is undefined: planning passes only.
   */
  pretendPlaced(leaf: Tensor): void {
    loadGgml().setTensorAddress(pointerOf(leaf), PRETENDED_ADDRESS);
  }

  /** A new leaf without data. Shape fastest axis first, up to four axes. */
  leaf(name: string, type: GgmlTypeName, shape: readonly number[]): Tensor {
    const raw = loadGgml();
    const [a, b, c, d] = padded(shape);
    const { blockElements, code } = GGML_TYPES[type];
    assert(a % blockElements === 0, `${name}: a row of ${a} does not divide into ${type} blocks`);
    const pointer = raw.ggml_new_tensor_4d(this.pointer, code, a, b, c, d);
    raw.ggml_set_name(pointer, name.slice(0, 63));
    return wrapTensor(pointer);
  }

  /** A leaf that an optimizer may change; always f32. */
  parameter(name: string, shape: readonly number[]): Tensor {
    const tensor = this.leaf(name, 'f32', shape);
    loadGgml().ggml_set_param(pointerOf(tensor));
    return tensor;
  }

  /** Marks a leaf as an input, so that a graph allocator keeps its place until it has been set. */
  input(name: string, type: GgmlTypeName, shape: readonly number[]): Tensor {
    const tensor = this.leaf(name, type, shape);
    loadGgml().ggml_set_input(pointerOf(tensor));
    return tensor;
  }

  /** Marks a node as an output: its memory is not reused by later nodes. */
  output(tensor: Tensor): Tensor {
    loadGgml().ggml_set_output(pointerOf(tensor));
    return tensor;
  }

  /** Shapes: a [k, m, …], b [k, n, …] → [m, n, …] f32; leading axes of `a` repeat over those of `b`. */
  mulMat(a: Tensor, b: Tensor): Tensor {
    assert(
      a.shape[0] === b.shape[0] && b.shape[2] % a.shape[2] === 0 && b.shape[3] % a.shape[3] === 0,
      `mulMat: [${a.shape}] and [${b.shape}] do not fit`,
    );
    return this.#node('ggml_mul_mat', a, b);
  }

  /** Shapes: a [m, k], b [n, k] → [m, n]: the sum of outer products over k. `b` may be transposed. */
  outProd(a: Tensor, b: Tensor): Tensor {
    assert(a.shape[1] === b.shape[1], `outProd: [${a.shape}] and [${b.shape}] do not fit`);
    return this.#node('ggml_out_prod', a, b);
  }

  add(a: Tensor, b: Tensor): Tensor {
    assertRepeats('add', a, b);
    return this.#node('ggml_add', a, b);
  }

  /** Adds `b` into the memory of `a`; returns a view of `a`. Add it to the graph where it must happen. */
  addInPlace(a: Tensor, b: Tensor): Tensor {
    assertRepeats('addInPlace', a, b);
    return this.#node('ggml_add_inplace', a, b);
  }

  sub(a: Tensor, b: Tensor): Tensor {
    assertRepeats('sub', a, b);
    return this.#node('ggml_sub', a, b);
  }

  /** Element-wise product; `b` repeats over `a`. */
  mul(a: Tensor, b: Tensor): Tensor {
    assertRepeats('mul', a, b);
    return this.#node('ggml_mul', a, b);
  }

  scale(a: Tensor, factor: number): Tensor {
    return this.#node('ggml_scale', a, factor);
  }

  /** a · factor + bias. */
  scaleBias(a: Tensor, factor: number, bias: number): Tensor {
    return this.#node('ggml_scale_bias', a, factor, bias);
  }

  silu(a: Tensor): Tensor {
    return this.#node('ggml_silu', a);
  }

  /** Gradient of silu at `x` times `grad`. */
  siluBack(grad: Tensor, x: Tensor): Tensor {
    return this.#node('ggml_silu_back', grad, x);
  }

  /** silu(gate) · up. */
  swiglu(gate: Tensor, up: Tensor): Tensor {
    return this.#node('ggml_swiglu_split', gate, up);
  }

  log(a: Tensor): Tensor {
    return this.#node('ggml_log', a);
  }

  sqr(a: Tensor): Tensor {
    return this.#node('ggml_sqr', a);
  }

  /** Sum of all elements → [1]. Accumulated in double precision on the CPU. */
  sum(a: Tensor): Tensor {
    return this.#node('ggml_sum', a);
  }

  /** Sums `a` down to the shape of `target` (the adjoint of a broadcast). */
  repeatBack(a: Tensor, target: Tensor): Tensor {
    return this.#node('ggml_repeat_back', a, target);
  }

  /** x / rms(x) along the first axis. */
  rmsNorm(a: Tensor, eps: number): Tensor {
    return this.#node('ggml_rms_norm', a, eps);
  }

  /** Gradient of rmsNorm at `x` for the output gradient `grad`. */
  rmsNormBack(grad: Tensor, x: Tensor, eps: number): Tensor {
    return this.#node('ggml_rms_norm_back', grad, x, eps);
  }

  /** softmax(a · scale + mask) along the first axis; `mask` is f16 or f32 and repeats over `a`. */
  softMax(a: Tensor, mask: Tensor | null, scale: number): Tensor {
    return this.#node('ggml_soft_max_ext', a, mask, scale, 0);
  }

  /** Gradient of softMax for output `y`. */
  softMaxBack(grad: Tensor, y: Tensor, scale: number): Tensor {
    return this.#node('ggml_soft_max_ext_back', grad, y, scale, 0);
  }

  /** Rotates `a` [D, heads, N] by `positions` i32 [N]; `factors` f32 [D/2] divides each frequency. */
  rope(a: Tensor, positions: Tensor, factors: Tensor | null, options: RopeOptions): Tensor {
    return this.#rope('ggml_rope_ext', a, positions, factors, options);
  }

  /** The adjoint of {@link rope}. */
  ropeBack(a: Tensor, positions: Tensor, factors: Tensor | null, options: RopeOptions): Tensor {
    return this.#rope('ggml_rope_ext_back', a, positions, factors, options);
  }

  /** Rows of `a` [n, rows] picked by `index` i32 [k] → f32 [n, k]. */
  getRows(a: Tensor, index: Tensor): Tensor {
    return this.#node('ggml_get_rows', a, index);
  }

  /** The adjoint of getRows: adds rows of `grad` [n, k] into zeros of the shape of `target`. */
  getRowsBack(grad: Tensor, index: Tensor, target: Tensor): Tensor {
    return this.#node('ggml_get_rows_back', grad, index, target);
  }

  /** Writes rows of `rows` [n, k] f32 into `target` [n, m] at `index` i64 [k]; returns a view of target. */
  setRows(target: Tensor, rows: Tensor, index: Tensor): Tensor {
    return this.#node('ggml_set_rows', target, rows, index);
  }

  /** Copies `a` into the memory of `target`, converting the type; returns a view of target. */
  copy(a: Tensor, target: Tensor): Tensor {
    return this.#node('ggml_cpy', a, target);
  }

  /** A contiguous copy of `a` with another element type. */
  cast(a: Tensor, type: GgmlTypeName): Tensor {
    return this.#node('ggml_cast', a, GGML_TYPES[type].code);
  }

  /** A contiguous copy. */
  contiguous(a: Tensor): Tensor {
    return this.#node('ggml_cont', a);
  }

  /** Swaps the first two axes; a view. */
  transpose(a: Tensor): Tensor {
    return this.#node('ggml_transpose', a);
  }

  /** Moves axis i to place axes[i]; a view. */
  permute(a: Tensor, axes: readonly [number, number, number, number]): Tensor {
    return this.#node('ggml_permute', a, ...axes);
  }

  /** The same elements under another shape; `a` must be contiguous. */
  reshape(a: Tensor, shape: readonly number[]): Tensor {
    const [x, y, z, w] = padded(shape);
    assert(x * y * z * w === a.elements, `reshape: [${a.shape}] to [${shape}]`);
    return this.#node('ggml_reshape_4d', a, x, y, z, w);
  }

  /** Elements [first, first + count) along `axis`, seen without a copy. */
  slice(a: Tensor, axis: 0 | 1 | 2 | 3, first: number, count: number): Tensor {
    const size = a.shape[axis];
    assert(
      first >= 0 && first + count <= size,
      `slice: ${first}+${count} of ${size} on axis ${axis}`,
    );
    if (count === size) return a;
    const strides = loadGgml().tensorStrides(pointerOf(a));
    const shape = a.shape.map((n, i) => (i === axis ? count : n)) as [
      number,
      number,
      number,
      number,
    ];
    const [, nb1, nb2, nb3] = strides;
    return this.#node('ggml_view_4d', a, ...shape, nb1, nb2, nb3, strides[axis] * first);
  }

  /**
   * Sees [heads·D, T, S] as [D, heads, T, S], keeping the strides of the outer axes; the first axis must be
   * contiguous.
   */
  splitHeads(
    a: Tensor,
    {
      headDim,
      heads,
      tokens,
      rows,
    }: { headDim: number; heads: number; tokens: number; rows: number },
  ): Tensor {
    assert(
      a.shape.join() === [headDim * heads, tokens, rows, 1].join(),
      `splitHeads: [${a.shape}] is not [${headDim * heads}, ${tokens}, ${rows}]`,
    );
    const [nb0, nb1, nb2] = loadGgml().tensorStrides(pointerOf(a));
    return this.#node('ggml_view_4d', a, headDim, heads, tokens, rows, nb0 * headDim, nb1, nb2, 0);
  }

  /** Joins two tensors along `axis`; all other axes are equal. */
  concat(a: Tensor, b: Tensor, axis: 0 | 1 | 2 | 3): Tensor {
    assert(
      a.shape.every((n, i) => i === axis || n === b.shape[i]),
      `concat: [${a.shape}] and [${b.shape}] on axis ${axis}`,
    );
    return this.#node('ggml_concat', a, b, axis);
  }

  /**
   * One AdamW step in place (Loshchilov & Hutter, 2019). `parameters` f32 [7]: learning rate, beta1,
   * beta2, eps, weight decay, 1/(1-beta1^t), 1/(1-beta2^t).
   * Mutates: value, first and second moment.
   */
  adamW(value: Tensor, grad: Tensor, first: Tensor, second: Tensor, parameters: Tensor): Tensor {
    return this.#node('ggml_opt_step_adamw', value, grad, first, second, parameters);
  }

  #rope(
    name: 'ggml_rope_ext' | 'ggml_rope_ext_back',
    a: Tensor,
    positions: Tensor,
    factors: Tensor | null,
    { dimensions, base, attentionFactor }: RopeOptions,
  ): Tensor {
    assert(
      a.shape[2] === positions.elements,
      `rope: ${a.shape[2]} tokens, ${positions.elements} positions`,
    );
    return this.#node(
      name,
      a,
      positions,
      factors,
      dimensions,
      ROPE_MODE_NEOX,
      0,
      base,
      1,
      0,
      attentionFactor,
      32,
      1,
    );
  }

  #node(
    name: keyof typeof import('./raw/ggml-h.js').GGML_POINTER_FUNCTIONS,
    ...operands: (Tensor | number | null)[]
  ): Tensor {
    const raw = loadGgml();
    const operandsRaw = operands.map((x) => (x instanceof Tensor ? pointerOf(x) : x));
    return wrapTensor(raw[name](this.pointer, ...operandsRaw));
  }
}

function padded(shape: readonly number[]): Shape4 {
  assert(shape.length >= 1 && shape.length <= 4, `a tensor has 1 to 4 axes, not ${shape.length}`);
  return [shape[0] ?? 1, shape[1] ?? 1, shape[2] ?? 1, shape[3] ?? 1];
}

function assertRepeats(op: string, a: Tensor, b: Tensor): void {
  const [x, y] = [a.shape, b.shape];
  const fits = x.every((n, i) => n % (y[i] ?? 1) === 0);
  assert(fits, `${op}: [${y}] does not repeat over [${x}]`);
}
