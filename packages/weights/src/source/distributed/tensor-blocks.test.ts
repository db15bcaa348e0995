import { createRng, type Rng } from '@tuneyard/core';
import type { LocatedChunk, LocatedTensor } from '@tuneyard/formats';
import { describe, expect, it } from 'vitest';
import { blocksOf, sliceLeading, type TensorBlock } from './tensor-blocks.js';

/** Memory in which every element has its own number; chunks are laid out one after the other. */
interface Laid {
  readonly tensor: LocatedTensor;
  /** Element by element, row-major: the byte where it lies. */
  readonly places: ReadonlyMap<string, number>;
}

/** Cuts a shape along a random grid; `order` gives the axes from slowest to fastest for each chunk. */
function randomTensor(rng: Rng, shape: readonly number[], orderOf: () => readonly number[]): Laid {
  const cuts = shape.map((size) => {
    const at = Math.floor(rng.next() * (size + 1));
    return [...new Set([0, at, size])].sort((a, b) => a - b);
  });
  let boxes: { offsets: number[]; sizes: number[] }[] = [{ offsets: [], sizes: [] }];
  for (const places of cuts) {
    boxes = boxes.flatMap(({ offsets, sizes }) =>
      places.slice(0, -1).map((from, i) => ({
        offsets: [...offsets, from],
        sizes: [...sizes, places[i + 1]! - from],
      })),
    );
  }
  let next = 64;
  const places = new Map<string, number>();
  const chunks = boxes.map(({ offsets, sizes }): LocatedChunk => {
    const order = orderOf();
    const strides = new Array<number>(shape.length).fill(0);
    let step = 1;
    for (const axis of order.toReversed()) {
      strides[axis] = step;
      step *= sizes[axis]!;
    }
    const begin = next;
    next += 2 * step + 16;
    for (const index of indexes(sizes)) {
      const element = index.reduce((sum, i, axis) => sum + i * strides[axis]!, 0);
      places.set(index.map((i, axis) => i + offsets[axis]!).join(), begin + 2 * element);
    }
    const isContiguous = order.every((axis, i) => axis === i);
    return { offsets, sizes, file: 'f', begin, strides, isContiguous };
  });
  return { tensor: { name: 'w', dtype: 'bfloat16', shape, chunks }, places };
}

function indexes(sizes: readonly number[]): number[][] {
  return sizes.reduce<number[][]>(
    (found, size) =>
      found.flatMap((index) => Array.from({ length: size }, (_, i) => [...index, i])),
    [[]],
  );
}

/** Where a block says that an element of the 2-D view lies. */
function byteOf(block: TensorBlock, row: number, col: number): number {
  const [r, c] = [row - block.row, col - block.col];
  return block.begin + 2 * (block.isTransposed ? c * block.rows + r : r * block.cols + c);
}

function expectPlaces(laid: Laid): void {
  const { shape } = laid.tensor;
  const { blocks } = blocksOf(laid.tensor);
  const cols = shape.length < 2 ? 1 : shape.at(-1)!;
  const seen = new Set<string>();
  for (const block of blocks) {
    for (let row = block.row; row < block.row + block.rows; row++) {
      for (let col = block.col; col < block.col + block.cols; col++) {
        const element = row * cols + col;
        let rest = element;
        const index = shape
          .toReversed()
          .map((size) => {
            const at = rest % size;
            rest = Math.floor(rest / size);
            return at;
          })
          .reverse()
          .join();
        expect(byteOf(block, row, col), index).toBe(laid.places.get(index));
        expect(seen.has(index)).toBe(false);
        seen.add(index);
      }
    }
  }
  expect(seen.size).toBe(laid.places.size);
}

describe('blocks of a tensor', () => {
  it('say for every element where it lies, whatever the dimensions and cuts', () => {
    const rng = createRng(3);
    const shapes = [
      [],
      [1],
      [7],
      [4, 6],
      [1, 5],
      [3, 4, 5],
      [2, 1, 6],
      [2, 3, 4, 3],
      [2, 2, 2, 2, 3],
    ];
    for (const shape of shapes) {
      const inOrder = shape.map((_, axis) => axis);
      for (let run = 0; run < 12; run++) expectPlaces(randomTensor(rng, shape, () => inOrder));
    }
  });

  it('follow matrices that are stored turned', () => {
    const rng = createRng(4);
    for (let run = 0; run < 20; run++) {
      const orderOf = () => (rng.next() < 0.5 ? [1, 0] : [0, 1]);
      expectPlaces(randomTensor(rng, [5, 7], orderOf));
    }
    for (let run = 0; run < 20; run++) {
      const orderOf = () => (rng.next() < 0.5 ? [0, 2, 1] : [0, 1, 2]);
      expectPlaces(randomTensor(rng, [3, 5, 4], orderOf));
    }
  });

  it('are one run of rows where a stack is whole', () => {
    const chunk = { file: 'f', begin: 8, strides: [20, 5, 1], isContiguous: true };
    const offsets = [1, 0, 0];
    const chunks = [{ ...chunk, offsets, sizes: [2, 4, 5] }];
    const tensor = { name: 'w', dtype: 'float32', shape: [3, 4, 5], chunks };
    expect(blocksOf(tensor).blocks).toEqual([
      { row: 4, col: 0, rows: 8, cols: 5, file: 'f', begin: 8, isTransposed: false },
    ]);
  });

  it('are refused for steps that are neither by rows nor by columns, and for types that are not moved', () => {
    const chunk = { file: 'f', begin: 0, offsets: [0, 0], sizes: [2, 3], isContiguous: false };
    const tensor = { name: 'w', dtype: 'float32', shape: [2, 3] };
    const padded = { ...tensor, chunks: [{ ...chunk, strides: [4, 1] }] };
    expect(() => blocksOf(padded)).toThrow(/neither by rows nor by columns/);
    const repeated = { ...tensor, chunks: [{ ...chunk, strides: [0, 1] }] };
    expect(() => blocksOf(repeated)).toThrow(/neither by rows nor by columns/);
    const complex = { ...tensor, dtype: 'complex64', chunks: [{ ...chunk, strides: [3, 1] }] };
    expect(() => blocksOf(complex)).toThrow(/torch.complex64/);
  });
});

describe('slices of a stack', () => {
  it('lie where the elements of each index do', () => {
    const rng = createRng(5);
    for (let run = 0; run < 20; run++) {
      const laid = randomTensor(rng, [3, 4, 5], () => [0, 1, 2]);
      for (const [index, slice] of sliceLeading(laid.tensor).entries()) {
        const places = new Map(
          [...laid.places].flatMap(([key, byte]) =>
            key.startsWith(`${index},`) ? [[key.slice(2), byte] as const] : [],
          ),
        );
        expectPlaces({ tensor: slice, places });
      }
    }
  });
});
