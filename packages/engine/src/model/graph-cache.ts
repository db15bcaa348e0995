/** Built graphs by shape: least recently used ones are closed, those whose memory has moved are rebuilt. */
import type { Graph, GraphAllocator } from '@tuneyard/ggml';

/** A built computation that owns its metadata. */
export interface BuiltComputation {
  readonly graph: Graph;
  close(): void;
}

/** Keeps up to `limit` graphs that share one allocator. */
export class GraphCache<T extends BuiltComputation> implements Disposable {
  readonly #limit: number;
  readonly #graphs = new Map<string, T>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The graph under `key`, built where it is missing or has lost its place in the allocator's buffer. */
  get(key: string, allocator: GraphAllocator, build: () => T): T {
    let found = this.#graphs.get(key);
    if (found !== undefined && allocator.isStale(found.graph)) {
      found.close();
      found = undefined;
    }
    found ??= build();
    this.#graphs.delete(key);
    this.#graphs.set(key, found);
    const [oldest] = this.#graphs.keys();
    if (this.#graphs.size > this.#limit && oldest !== undefined) {
      this.#graphs.get(oldest)?.close();
      this.#graphs.delete(oldest);
    }
    return found;
  }

  [Symbol.dispose](): void {
    for (const graph of this.#graphs.values()) graph.close();
    this.#graphs.clear();
  }
}
