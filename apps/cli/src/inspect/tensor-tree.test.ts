import pc from 'picocolors';
import { describe, expect, it } from 'vitest';
import { formatTensorTree, type TensorLine } from './tensor-tree.js';

const options = { shapeTitle: 'shape', colors: pc.createColors(false) };

function line(name: string, shape: number[]): TensorLine {
  const elements = shape.reduce((a, b) => a * b, 1);
  return { name, dtype: 'F32', shape, elements, byteLength: 4 * elements };
}

describe('formatTensorTree', () => {
  it('folds equal layers into one and keeps a layer that differs apart', () => {
    const layer = (i: number, width: number) => [
      line(`model.layers.${i}.norm.weight`, [8]),
      line(`model.layers.${i}.mlp.up_proj.weight`, [width, 8]),
      line(`model.layers.${i}.mlp.down_proj.weight`, [8, width]),
    ];
    const tensors = [
      line('model.embed_tokens.weight', [10, 8]),
      ...layer(0, 16),
      ...layer(1, 16),
      ...layer(2, 32),
      line('lm_head.weight', [10, 8]),
    ];
    const text = formatTensorTree(tensors, options).join('\n');
    expect(text).toContain('0–1 (2 alike)');
    expect(text.match(/up_proj/g)).toHaveLength(2);
    expect(text).toMatch(/^lm_head\.weight +F32 +10 × 8 +80 +320 B$/m);
  });

  it('folds numbered entries whose only child is a tensor', () => {
    const tensors = [0, 1, 2].map((i) => line(`experts.${i}.weight`, [2]));
    const text = formatTensorTree(tensors, options).join('\n');
    expect(text).toMatch(/0–2\.weight \(3 alike\)/);
  });

  it('shows a tensor whose name is a prefix of another one', () => {
    const text = formatTensorTree([line('a', [1]), line('a.b', [2])], options).join('\n');
    expect(text).toMatch(/^a +F32 +1/m);
    expect(text).toMatch(/^ {2}b +F32 +2/m);
  });

  it('keeps hostile names on one line and does not recurse without end', () => {
    const deep = line(Array(50_000).fill('x').join('.'), [1]);
    const nasty = line('evil\u001b[2J\nname', []);
    const rows = formatTensorTree([deep, nasty], options);
    expect(rows).toHaveLength(3);
    expect(rows[2]).toContain('evil\\x1b[2J\\nname');
    expect(rows[2]).toContain('scalar');
  });
});
