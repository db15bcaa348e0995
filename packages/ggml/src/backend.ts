/** The CPU backend, buffers that hold tensor data, graphs and their allocator. */
import { assert, TuneyardError } from '@tuneyard/core';
import { GGML_ERRORS } from './errors.js';
import { NativeHandle } from './handle.js';
import { loadGgml } from './raw/load.js';
import { pointerOf, type Tensor } from './tensor.js';
import type { TensorContext } from './tensor-context.js';

/** Memory that holds the data of all leaves of one context. */
export class TensorBuffer extends NativeHandle {
  /** Bytes allocated. */
  get bytes(): number {
    return loadGgml().ggml_backend_buffer_get_size(this.pointer);
  }
}

/** An ordered list of nodes to compute. */
export class Graph {
  readonly #context: TensorContext;
  readonly #pointer: bigint;

  /** `nodes` bounds the operations and leaves; the context must have reserved as many. */
  constructor(context: TensorContext, nodes: number) {
    this.#context = context;
    this.#pointer = loadGgml().ggml_new_graph_custom(context.pointer, nodes, false);
  }

  /** Appends everything `tensor` depends on that is not in the graph yet, and the tensor itself. */
  add(tensor: Tensor): void {
    loadGgml().ggml_build_forward_expand(this.#pointer, pointerOf(tensor));
  }

  /** Number of operations. */
  get nodeCount(): number {
    return loadGgml().ggml_graph_n_nodes(this.pointer);
  }

  /** The native pointer, for this package. */
  get pointer(): bigint {
    void this.#context.pointer;
    return this.#pointer;
  }
}

/** Computes graphs on the processor with a fixed number of threads. */
export class CpuBackend extends NativeHandle {
  readonly threads: number;

  constructor(threads: number) {
    const raw = loadGgml();
    super('CPU backend', raw.ggml_backend_cpu_init(), (pointer) => raw.ggml_backend_free(pointer));
    this.threads = threads;
    raw.ggml_backend_cpu_set_n_threads(this.pointer, threads);
  }

  /**
   * Allocates every leaf of the context that has no data yet.
   *
   * Throws: `GGML_OUT_OF_MEMORY`.
   */
  allocate(context: TensorContext): TensorBuffer {
    const raw = loadGgml();
    const pointer = raw.ggml_backend_alloc_ctx_tensors(context.pointer, this.pointer);
    return new TensorBuffer('tensor buffer', pointer, (p) => raw.ggml_backend_buffer_free(p));
  }

  /**
   * Allocates the leaves of the context in the buffer that rearranges quantized weights for wide
   * instructions while they are set. Only types listed by {@link repackableTypes} may be in it: for
   * others the library has no kernel and crashes.
   */
  allocateRepacked(context: TensorContext): TensorBuffer {
    const raw = loadGgml();
    const type = raw.repackBufferType();
    assert(type !== null, 'this CPU variant has no repack buffer');
    const pointer = raw.ggml_backend_alloc_ctx_tensors_from_buft(context.pointer, type);
    return new TensorBuffer('repacked buffer', pointer, (p) => raw.ggml_backend_buffer_free(p));
  }

  /** Runs the graph on other threads; the event loop stays free. Throws: `GGML_COMPUTE_FAILED`. */
  async compute(graph: Graph): Promise<void> {
    const status = await loadGgml().graphComputeAsync(this.pointer, graph.pointer);
    checkStatus(status);
  }

  /** Runs the graph and blocks. For graphs of a few microseconds, where a thread hop would dominate. */
  computeSync(graph: Graph): void {
    checkStatus(loadGgml().ggml_backend_graph_compute(this.pointer, graph.pointer));
  }
}

/**
 * Places the intermediate results of graphs in one buffer that they share over time.
 *
 * A graph gets its addresses once. When a larger graph makes the buffer move, the addresses of all earlier
 * graphs are gone: they are stale and must be built anew.
 */
export class GraphAllocator extends NativeHandle {
  readonly #placed = new WeakMap<Graph, number>();
  #generation = 0;

  constructor(backend: CpuBackend) {
    const raw = loadGgml();
    const type = raw.ggml_backend_get_default_buffer_type(backend.pointer);
    super('graph allocator', raw.ggml_gallocr_new(type), (pointer) =>
      raw.ggml_gallocr_free(pointer),
    );
  }

  /** True when the graph was placed in a buffer that has moved since: build it again. */
  isStale(graph: Graph): boolean {
    const placedIn = this.#placed.get(graph);
    return placedIn !== undefined && placedIn !== this.#generation;
  }

  /** Gives every node of the graph its place, growing the buffer if needed; once per graph. */
  allocate(graph: Graph): void {
    assert(!this.isStale(graph), 'a stale graph must be built again');
    if (this.#placed.has(graph)) return;
    const before = this.bytes;
    if (!loadGgml().ggml_gallocr_alloc_graph(this.pointer, graph.pointer)) {
      throw new TuneyardError(
        GGML_ERRORS.GGML_OUT_OF_MEMORY,
        'Not enough memory for the intermediate results of a graph',
        { category: 'resource_exhausted', hint: 'Use a smaller batch or a shorter cutoff_len.' },
      );
    }
    if (this.bytes !== before) this.#generation++;
    this.#placed.set(graph, this.#generation);
  }

  /** Bytes allocated so far. */
  get bytes(): number {
    return loadGgml().ggml_gallocr_get_buffer_size(this.pointer, 0);
  }
}

/**
 * Bytes of intermediate results that a graph needs, from an allocate-only pass.
 *
 * A measuring allocator believes that its buffer exists, so it is used for nothing else.
 */
export function measureGraph(backend: CpuBackend, graph: Graph): number {
  using allocator = new GraphAllocator(backend);
  const sizes = new BigUint64Array(1);
  loadGgml().ggml_gallocr_reserve_n_size(allocator.pointer, graph.pointer, null, null, sizes);
  return Number(sizes[0]);
}

/** Types whose repacked kernels exist in the pinned library on this processor. */
export function repackableTypes(): ReadonlySet<string> {
  const raw = loadGgml();
  if (raw.repackBufferType() === null) return new Set();
  const wide = raw.cpuFeatures().some((f) => f === 'avx2' || f === 'neon');
  return new Set(wide ? ['q4_0', 'q4_K'] : []);
}

/** Copies bytes into a tensor. Shapes: any typed array with exactly the tensor's bytes from `offset`. */
export function writeTensor(tensor: Tensor, data: NodeJS.TypedArray, offset = 0): void {
  assert(
    offset + data.byteLength <= tensor.bytes,
    `writeTensor: ${offset}+${data.byteLength} bytes into ${tensor.bytes}`,
  );
  loadGgml().ggml_backend_tensor_set(pointerOf(tensor), data, offset, data.byteLength);
}

/** Copies bytes out of a tensor, filling `data`. Mutates: `data`. */
export function readTensor<T extends NodeJS.TypedArray>(tensor: Tensor, data: T, offset = 0): T {
  assert(
    offset + data.byteLength <= tensor.bytes,
    `readTensor: ${offset}+${data.byteLength} bytes out of ${tensor.bytes}`,
  );
  loadGgml().ggml_backend_tensor_get(pointerOf(tensor), data, offset, data.byteLength);
  return data;
}

/** Sets every byte of a tensor to zero. */
export function zeroTensor(tensor: Tensor): void {
  loadGgml().ggml_backend_tensor_memset(pointerOf(tensor), 0, 0, tensor.bytes);
}

function checkStatus(status: number): void {
  if (status === 0) return;
  throw new TuneyardError(
    GGML_ERRORS.GGML_COMPUTE_FAILED,
    `ggml ended a graph with status ${status}`,
    {
      category: 'internal',
      details: { status, log: [...loadGgml().log] },
    },
  );
}
