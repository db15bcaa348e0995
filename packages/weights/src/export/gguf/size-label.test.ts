import { expect, it } from 'vitest';
import { sizeLabel } from './size-label.js';

// Expected: gguf-py 0.19.0, size_label(total, shared, expert, count).
it.each([
  ['6.7B', [{ name: 'a', shape: [6_738_415_616] }]],
  ['494M', [{ name: 'a', shape: [494_032_768] }]],
  ['1.5B', [{ name: 'a', shape: [1_543_714_304] }]],
  ['53K', [{ name: 'a', shape: [53_000] }]],
  [
    '8x7.2B',
    [
      { name: 'a', shape: [1_605_636_096] },
      { name: 'blk.0.ffn_up_exps.weight', shape: [8, 5_637_144_576, 1] },
    ],
  ],
])('%s', (label, tensors) => {
  expect(sizeLabel(tensors)).toBe(label);
});
