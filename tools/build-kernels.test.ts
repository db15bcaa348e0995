import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { renderKernelModule } from './build-kernels.js';

describe('the WebAssembly kernels', () => {
  it('are the bytes that their source assembles to', async () => {
    const path = new URL(
      '../packages/weights/src/kernels/simd/tensor-moves-wasm.ts',
      import.meta.url,
    );
    expect(await renderKernelModule()).toBe(await readFile(path, 'utf8'));
  });
});
