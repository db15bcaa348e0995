import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BatchRunner } from '../src/convert/execute/batch-runner.js';
import { crc32, crc32ByTable } from '../src/convert/execute/kernels/crc-shift.js';
import { planTasks } from '../src/convert/execute/plan-tasks.js';
import { sourceFiles, targetPlaces } from '../src/convert/execute/run-layout.js';
import type { ConversionPlan } from '../src/convert/logical-model.js';
import { interpretPlan, type PlanOnDisk, randomPlan } from './plan-interpreter.js';

/** Lays every tensor out in one file per target file, three bytes apart. */
function layOut(plan: ConversionPlan): { begins: number[][]; sizes: number[] } {
  const sizes: number[] = [];
  const begins = plan.files.map(({ tensors }) => {
    let end = 0;
    const own = tensors.map(({ rows, cols, dtype }) => {
      const begin = end + 3;
      end = begin + rows * cols * { F64: 8, F32: 4, F16: 2, BF16: 2, I8: 1 }[dtype as 'F32'];
      return begin;
    });
    sizes.push(end);
    return own;
  });
  return { begins, sizes };
}

interface Limits {
  readonly blockBytes: number;
  readonly arenaBytes: number;
  readonly isSparse: boolean;
}

function runInBlocks({ plan, dir }: PlanOnDisk, limits: Limits) {
  const { begins, sizes } = layOut(plan);
  mkdirSync(join(dir, 'raw'));
  const targetPaths = sizes.map((size, file) => {
    const path = join(dir, 'raw', String(file));
    const handle = openSync(path, 'w');
    ftruncateSync(handle, size);
    closeSync(handle);
    return path;
  });
  const places = targetPlaces(plan, (file, tensor) => {
    return begins[file]![plan.files[file]!.tensors.indexOf(tensor)]!;
  });
  const sources = sourceFiles(plan);
  const tasks = planTasks(
    plan,
    { ...sources, layOut: (index) => places[index]! },
    { ...limits, isCompared: true },
  );
  const shared = {
    sourcePaths: sources.paths,
    targetPaths,
    hasCrc: plan.files.map(() => true),
    isSparse: limits.isSparse,
    stop: new SharedArrayBuffer(4),
  };
  const all = [...tasks];
  const writer = new BatchRunner({ ...shared, mode: 'write' });
  const result = writer.run(all);
  writer.close();
  const comparer = new BatchRunner({ ...shared, mode: 'compare' });
  const { mismatch } = comparer.run(all);
  comparer.close();
  return { places, targetPaths, result, mismatch, all };
}

describe('tasks of a plan', () => {
  it('give what a naive interpreter gives, whatever the size of blocks, with the CRC of each tensor', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1e9 }),
        fc.integer({ min: 64, max: 2000 }),
        fc.integer({ min: 0, max: 4000 }),
        fc.boolean(),
        (seed, blockBytes, more, isSparse) => {
          const made = randomPlan(seed);
          try {
            const limits = { blockBytes, arenaBytes: blockBytes + more, isSparse };
            const { places, targetPaths, result, mismatch, all } = runInBlocks(made, limits);
            expect(mismatch).toBeNull();
            for (const { regions } of all) {
              const { input, middle, output, check } = regions;
              expect(input + middle + output + check).toBeLessThanOrEqual(limits.arenaBytes);
            }
            const expected = [
              ...interpretPlan(made.plan, (f) => made.sourceBytes.get(f)!).values(),
            ];
            for (const [index, place] of places.entries()) {
              const file = readFileSync(targetPaths[place!.file]!);
              const { begin, rows, cols, size } = place!;
              const bytes = file.subarray(begin, begin + rows * cols * size);
              expect(Buffer.compare(bytes, expected[index]!)).toBe(0);
              expect(result.crcs.get(index)).toBe(crc32(expected[index]!));
            }
          } finally {
            made.remove();
          }
        },
      ),
      { numRuns: 120 },
    );
  });

  it('read each byte of a source once where tensors are cut by rows or by columns', () => {
    const source = { name: 's', file: 's', begin: 0, dtype: 'BF16' as const, rows: 64, cols: 96 };
    const part = { rows: 64, cols: 24, transpose: false, sourceRow: 0, targetRow: 0, targetCol: 0 };
    const cut = (col: number) => ({
      name: `t${col}`,
      dtype: 'BF16' as const,
      shape: [64, 24],
      rows: 64,
      cols: 24,
      pieces: [{ ...part, source: 0, sourceCol: col }],
    });
    const whole = {
      name: 'whole',
      dtype: 'BF16' as const,
      shape: [64, 96],
      rows: 64,
      cols: 96,
      pieces: [0, 1, 2, 3].map((rank) => ({
        ...part,
        source: rank,
        sourceCol: 0,
        targetCol: 24 * rank,
      })),
    };
    const drives = (plan: ConversionPlan) =>
      [
        ...planTasks(
          plan,
          {
            fileOf: () => 0,
            layOut: (i) => ({ file: 0, begin: 0, ...plan.files[0]!.tensors[i]!, size: 2 }),
          },
          { blockBytes: 4096, arenaBytes: 65_536, isCompared: false },
        ),
      ].map(({ drive, blockRows, moves }) => ({ drive, blockRows, moves: moves.length }));
    const file = { path: 'f', format: 'safetensors' as const, extra: null };
    const scatter = { sources: [source], files: [{ ...file, tensors: [0, 24, 48, 72].map(cut) }] };
    expect(drives(scatter)).toEqual([{ drive: 'source', blockRows: 10, moves: 4 }]);
    const parts = [0, 1, 2, 3].map((rank) => ({ ...source, cols: 24, name: `s${rank}` }));
    const gather = { sources: parts, files: [{ ...file, tensors: [whole] }] };
    expect(drives(gather)).toEqual([{ drive: 'target', blockRows: 10, moves: 4 }]);
  });
});

describe('crc32ByTable', () => {
  it('agrees with zlib for every length and remainder', () => {
    const bytes = Uint8Array.from({ length: 300 }, (_, i) => (i * 89) % 256);
    for (let n = 0; n <= 300; n++) {
      expect(crc32ByTable(bytes.subarray(0, n))).toBe(crc32(bytes.subarray(0, n)));
    }
    expect(crc32ByTable(Buffer.from('123456789'))).toBe(0xcbf43926);
  });
});
