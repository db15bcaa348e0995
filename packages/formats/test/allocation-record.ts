import { vi } from 'vitest';

const BUFFER_CLASSES = ['ArrayBuffer', 'Uint8Array', 'Float32Array', 'BigUint64Array'] as const;

/**
 * Runs `body` and returns the bytes of the buffers that it asked for: the largest, and the sum.
 *
 * Constructors are wrapped for the time of the run, so that what counts is the request, whether or not
 * memory is ever touched.
 */
export async function recordAllocations(
  body: () => Promise<void>,
): Promise<{ largest: number; total: number }> {
  const requests: number[] = [];
  for (const name of BUFFER_CLASSES) {
    const original = globalThis[name];
    const wrapped = new Proxy(original, {
      construct(target, args, newTarget) {
        const [first] = args;
        const unit = 'BYTES_PER_ELEMENT' in target ? target.BYTES_PER_ELEMENT : 1;
        if (typeof first === 'number') requests.push(first * unit);
        if (first instanceof original && first instanceof ArrayBuffer)
          requests.push(first.byteLength);
        return Reflect.construct(target, args, newTarget);
      },
    });
    vi.stubGlobal(name, wrapped);
  }
  for (const method of ['alloc', 'allocUnsafe'] as const) {
    const original = Buffer[method].bind(Buffer);
    vi.spyOn(Buffer, method).mockImplementation((size: number) => {
      requests.push(size);
      return original(size);
    });
  }
  try {
    await body();
  } finally {
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  }
  return { largest: Math.max(0, ...requests), total: requests.reduce((sum, n) => sum + n, 0) };
}
