import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { loadAssembler, renderKernelModule } from './build-kernels.js';

const assembler = await loadAssembler();

describe('the WebAssembly kernels', () => {
  it.skipIf(assembler === null)('are the bytes that their source assembles to', async () => {
    const path = new URL(
      '../packages/weights/src/kernels/simd/tensor-moves-wasm.ts',
      import.meta.url,
    );
    expect(await renderKernelModule(assembler!)).toBe(await readFile(path, 'utf8'));
  });
});
