import { createRng, GGML_TYPES, type GgmlTypeName } from '@tuneyard/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  CpuBackend,
  Graph,
  GraphAllocator,
  ggmlCodec,
  liveHandleCount,
  measureGraph,
  probeBackends,
  readTensor,
  repackableTypes,
  type Tensor,
  TensorContext,
  writeTensor,
} from './index.js';

let handlesBefore = 0;
beforeEach(() => {
  handlesBefore = liveHandleCount();
});
afterEach(() => {
  expect(liveHandleCount()).toBe(handlesBefore);
});

const randomValues = (n: number, seed: number): Float32Array => {
  const rng = createRng(seed);
  return Float32Array.from({ length: n }, () => rng.nextGaussian());
};

/** Computes one expression over leaves and returns its values. */
async function evaluate(
  leaves: Record<string, { shape: number[]; data: Float32Array | Int32Array }>,
  build: (ctx: TensorContext, t: Record<string, Tensor>) => Tensor,
): Promise<Float32Array> {
  using weights = new TensorContext({ maxTensors: 16 });
  using ctx = new TensorContext({ maxTensors: 64, graphNodes: 64 });
  using backend = new CpuBackend(1);
  const t: Record<string, Tensor> = {};
  for (const [name, { shape, data }] of Object.entries(leaves)) {
    t[name] = weights.leaf(name, data instanceof Int32Array ? 'i32' : 'f32', shape);
  }
  using _buffer = backend.allocate(weights);
  for (const [name, { data }] of Object.entries(leaves)) writeTensor(t[name]!, data);
  const result = ctx.output(build(ctx, t));
  const graph = new Graph(ctx, 64);
  graph.add(result);
  using allocator = new GraphAllocator(backend);
  const measured = measureGraph(backend, graph);
  allocator.allocate(graph);
  expect(measured).toBe(allocator.bytes);
  await backend.compute(graph);
  return readTensor(result, new Float32Array(result.elements));
}

describe('TensorContext', () => {
  it('multiplies matrices as a naive triple loop does', async () => {
    const [k, m, n] = [48, 7, 5];
    const a = randomValues(k * m, 1);
    const b = randomValues(k * n, 2);
    const y = await evaluate(
      { a: { shape: [k, m], data: a }, b: { shape: [k, n], data: b } },
      (ctx, t) => ctx.mulMat(t['a']!, t['b']!),
    );
    for (let j = 0; j < n; j++) {
      for (let i = 0; i < m; i++) {
        let sum = 0;
        for (let x = 0; x < k; x++) sum += a[i * k + x]! * b[j * k + x]!;
        expect(y[j * m + i]).toBeCloseTo(sum, 4);
      }
    }
  });

  it('sums outer products, also over a transposed second factor', async () => {
    const [m, n, k] = [6, 4, 9];
    const a = randomValues(m * k, 3);
    const b = randomValues(n * k, 4);
    const leaves = { a: { shape: [m, k], data: a }, b: { shape: [k, n], data: b } };
    const y = await evaluate(leaves, (ctx, t) => ctx.outProd(t['a']!, ctx.transpose(t['b']!)));
    for (let j = 0; j < n; j++) {
      for (let i = 0; i < m; i++) {
        let sum = 0;
        for (let x = 0; x < k; x++) sum += a[x * m + i]! * b[j * k + x]!;
        expect(y[j * m + i]).toBeCloseTo(sum, 4);
      }
    }
  });

  it('sees rows and columns of a matrix without copying the wrong ones', async () => {
    const a = Float32Array.from({ length: 20 }, (_, i) => i);
    const leaf = { a: { shape: [5, 4], data: a } };
    const rows = await evaluate(leaf, (ctx, t) => ctx.contiguous(ctx.slice(t['a']!, 1, 1, 2)));
    expect([...rows]).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    const columns = await evaluate(leaf, (ctx, t) => ctx.contiguous(ctx.slice(t['a']!, 0, 3, 2)));
    expect([...columns]).toEqual([3, 4, 8, 9, 13, 14, 18, 19]);
  });

  it('refuses shapes that do not fit, before the library would end the process', async () => {
    const leaves = {
      a: { shape: [4, 3], data: new Float32Array(12) },
      b: { shape: [5, 3], data: new Float32Array(15) },
    };
    await expect(evaluate(leaves, (ctx, t) => ctx.mulMat(t['a']!, t['b']!))).rejects.toMatchObject({
      code: 'ASSERTION_FAILED',
    });
  });

  it('refuses a context that has been closed', () => {
    const ctx = new TensorContext({ maxTensors: 4 });
    ctx.close();
    expect(() => ctx.leaf('x', 'f32', [4])).toThrowError(
      expect.objectContaining({ code: 'GGML_USE_AFTER_CLOSE' }),
    );
  });
});

describe('ggmlCodec', () => {
  const limits: Partial<Record<GgmlTypeName, number>> = {
    f32: 0,
    f16: 5e-4,
    bf16: 4e-3,
    q8_0: 0.01,
    q6_K: 0.04,
    q5_K: 0.06,
    q4_K: 0.1,
    q4_0: 0.12,
  };

  it.each(Object.entries(limits))(
    'brings values back from %s within its precision',
    (type, limit) => {
      const values = randomValues(1024, 5);
      const bytes = ggmlCodec.fromF32(type as GgmlTypeName, values, 512);
      const back = ggmlCodec.toF32(type as GgmlTypeName, bytes, values.length);
      let error = 0;
      let norm = 0;
      for (let i = 0; i < values.length; i++) {
        error += (values[i]! - back[i]!) ** 2;
        norm += values[i]! ** 2;
      }
      expect(Math.sqrt(error / norm)).toBeLessThanOrEqual(limit as number);
    },
  );

  it('refuses a row that does not divide into blocks', () => {
    expect(() => ggmlCodec.fromF32('q4_K', new Float32Array(64), 64)).toThrowError(
      expect.objectContaining({ code: 'GGML_TYPE_UNSUPPORTED' }),
    );
  });
});

describe('repacked buffers', () => {
  it('give the same product as plain buffers for every type listed as repackable', async () => {
    for (const type of repackableTypes()) {
      const [k, m, n] = [256, 64, 8];
      const w = ggmlCodec.fromF32(type as GgmlTypeName, randomValues(k * m, 6), k);
      const x = randomValues(k * n, 7);
      const results: Float32Array[] = [];
      for (const repacked of [false, true]) {
        using weights = new TensorContext({ maxTensors: 4 });
        using inputs = new TensorContext({ maxTensors: 4 });
        using ctx = new TensorContext({ maxTensors: 8, graphNodes: 8 });
        using backend = new CpuBackend(1);
        const a = weights.leaf('w', type as GgmlTypeName, [k, m]);
        const b = inputs.leaf('x', 'f32', [k, n]);
        using _weights = repacked ? backend.allocateRepacked(weights) : backend.allocate(weights);
        using _inputs = backend.allocate(inputs);
        writeTensor(a, w);
        writeTensor(b, x);
        const y = ctx.output(ctx.mulMat(a, b));
        const graph = new Graph(ctx, 8);
        graph.add(y);
        using allocator = new GraphAllocator(backend);
        allocator.allocate(graph);
        backend.computeSync(graph);
        results.push(readTensor(y, new Float32Array(y.elements)));
      }
      const [plain, packed] = results;
      const scale = Math.max(...plain!.map(Math.abs));
      for (let i = 0; i < plain!.length; i++) {
        expect(Math.abs(plain![i]! - packed![i]!)).toBeLessThan(0.02 * scale);
      }
    }
    expect(GGML_TYPES.q4_K.blockElements).toBe(256);
  });
});

describe('probeBackends', () => {
  it('names the pinned version and features that the processor really has', () => {
    const facts = probeBackends();
    expect(facts.version).toBe('0.23.0');
    expect(facts.cpuVariant).toMatch(/^[a-z0-9]+$/);
    if (process.arch === 'x64') expect(facts.cpuFeatures).toContain('sse3');
  });
});
