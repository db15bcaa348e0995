import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { SafetensorsReader, TorchArchiveReader } from '@tuneyard/formats';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { executeConversion } from '../src/convert/execute/execute-conversion.js';
import { verifyConversion } from '../src/convert/execute/verify-conversion.js';
import { verifyReplicas } from '../src/convert/execute/verify-replicas.js';
import type { ConversionPlan } from '../src/convert/logical-model.js';
import { interpretPlan, type PlanOnDisk, randomPlan } from './plan-interpreter.js';

const plans: PlanOnDisk[] = [];
afterEach(() => {
  for (const plan of plans.splice(0)) plan.remove();
});

function open(seed: number, sizeMax?: number): PlanOnDisk & { out: string } {
  const made = randomPlan(seed, sizeMax);
  plans.push(made);
  return { ...made, out: join(made.dir, 'out') };
}

async function expectOutput({ plan, out, sourceBytes }: ReturnType<typeof open>): Promise<void> {
  const expected = interpretPlan(plan, (file) => sourceBytes.get(file)!);
  for (const file of plan.files) {
    const kind = file.format === 'torch' ? TorchArchiveReader : SafetensorsReader;
    await using reader = await kind.open(join(out, file.path));
    expect([...reader.tensors.keys()].sort()).toEqual(file.tensors.map(({ name }) => name).sort());
    for (const { name } of file.tensors) {
      const bytes = expected.get(`${file.path}\n${name}`)!;
      expect(Buffer.compare(await reader.read(name), bytes)).toBe(0);
    }
    if (reader instanceof TorchArchiveReader) await reader.verifyCrc();
  }
}

/** Where pieces of whole tensors begin. */
const corner = { sourceRow: 0, sourceCol: 0, targetRow: 0, targetCol: 0, transpose: false };

const hidden = (dir: string): string[] => readdirSync(dir).filter((name) => name.startsWith('.'));

describe('executeConversion', () => {
  it('writes what a naive interpreter of the plan computes, for any plan', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 1e9 }), async (seed) => {
        const made = open(seed);
        const result = await executeConversion(made.plan, made.out, { isDurable: false });
        await expectOutput(made);
        expect(hidden(made.out)).toEqual([]);
        expect(result.files.map(({ path }) => path)).toEqual(made.plan.files.map((f) => f.path));
        expect(
          result.files.map(({ path, bytes }) => statSync(join(made.out, path)).size - bytes),
        ).toEqual(made.plan.files.map(() => 0));
      }),
      { numRuns: 40 },
    );
  });

  it('gives the same bytes with threads, and reports progress up to the end', async () => {
    const made = open(4, 400);
    const seen: number[] = [];
    const result = await executeConversion(made.plan, made.out, {
      workers: 2,
      onProgress: ({ writtenBytes, totalBytes }) => seen.push(writtenBytes / totalBytes),
    });
    await expectOutput(made);
    expect(seen.at(-1)).toBe(1);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(result.writtenBytes).toBe(
      [...interpretPlan(made.plan, (f) => made.sourceBytes.get(f)!).values()].reduce(
        (n, b) => n + b.length,
        0,
      ),
    );
  });

  it('counts by tensor the finite values that a cast made infinite', async () => {
    const { dir } = open(1);
    const file = join(dir, 'big.bin');
    writeFileSync(
      file,
      new Uint8Array(Float32Array.of(1e6, 1, -7e4, Number.POSITIVE_INFINITY).buffer),
    );
    const piece = { ...corner, source: 0, rows: 2, cols: 2 };
    const tensor = { name: 'w', shape: [2, 2], rows: 2, cols: 2, pieces: [piece] };
    const plan: ConversionPlan = {
      sources: [{ name: 'x', file, begin: 0, dtype: 'F32', rows: 2, cols: 2 }],
      files: [
        {
          path: 'f16.safetensors',
          format: 'safetensors',
          extra: null,
          tensors: [{ ...tensor, dtype: 'F16' }],
        },
        {
          path: 'bf16.safetensors',
          format: 'safetensors',
          extra: null,
          tensors: [{ ...tensor, dtype: 'BF16' }],
        },
      ],
    };
    const { overflows } = await executeConversion(plan, join(dir, 'out'));
    expect(overflows).toEqual([{ file: 'f16.safetensors', tensor: 'w', count: 2 }]);
  });

  it('leaves nothing but what can be gone on with when it is stopped', async () => {
    const made = open(4, 400);
    const controller = new AbortController();
    const run = executeConversion(made.plan, made.out, {
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(run).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(readdirSync(made.out).filter((name) => !name.startsWith('.'))).toEqual([]);
    await executeConversion(made.plan, made.out);
    await expectOutput(made);
    expect(hidden(made.out)).toEqual([]);
  });

  it('keeps finished files of a run that failed and writes only the others', async () => {
    const { dir, out } = open(20);
    const [first, second] = [join(dir, 'first.bin'), join(dir, 'second.bin')];
    // More than one batch in the first file, so that the second one's source can vanish in between.
    const cols = 1 << 20;
    const bytes = Uint8Array.from({ length: 20 * cols }, (_, i) => (i * 7) % 253);
    writeFileSync(first, bytes);
    writeFileSync(second, bytes.subarray(5, 5 + 2 * cols));
    const whole = (file: string, source: number, rows: number) => ({
      path: `${source}.safetensors`,
      format: 'safetensors' as const,
      extra: null,
      tensors: [
        {
          name: file,
          dtype: 'U8' as const,
          shape: [rows, cols],
          rows,
          cols,
          pieces: [{ ...corner, source, rows, cols }],
        },
      ],
    });
    const plan: ConversionPlan = {
      sources: [
        { name: 'a', file: first, begin: 0, dtype: 'U8', rows: 20, cols },
        { name: 'b', file: second, begin: 0, dtype: 'U8', rows: 2, cols },
      ],
      files: [whole('a', 0, 20), whole('b', 1, 2)],
    };
    const time = new Date(1e12);
    utimesSync(second, time, time);
    const failing = executeConversion(plan, out, {
      workers: 0,
      onProgress: () => truncateSync(second, 9),
    });
    await expect(failing).rejects.toMatchObject({ code: 'WEIGHTS_CONVERT_READ' });
    expect(readdirSync(out)).toEqual(['.conversion']);
    expect(readdirSync(join(out, '.conversion'))).toEqual(['000000.partial', 'journal.jsonl']);
    writeFileSync(second, bytes.subarray(5, 5 + 2 * cols));
    utimesSync(second, time, time);
    const result = await executeConversion(plan, out, { workers: 0 });
    expect(result).toMatchObject({ resumedFiles: 1, readBytes: 2 * cols, writtenBytes: 2 * cols });
    expect(readdirSync(out)).toEqual(['0.safetensors', '1.safetensors']);
    expect((await verifyConversion(plan, out, { workers: 0 })).mismatch).toBeNull();
  });

  it('goes on with naming files where that was interrupted', async () => {
    const made = open(4, 400);
    const last = join(made.out, made.plan.files.at(-1)!.path);
    // A directory in the way of the last name lets the others be given and no more.
    const failing = executeConversion(made.plan, made.out, {
      onProgress: () => mkdirSync(last, { recursive: true }),
    });
    await expect(failing).rejects.toMatchObject({ code: 'WEIGHTS_CONVERT_WRITE' });
    rmSync(last, { recursive: true });
    const result = await executeConversion(made.plan, made.out);
    expect(result).toMatchObject({ resumedFiles: made.plan.files.length, readBytes: 0 });
    await expectOutput(made);
    expect(hidden(made.out)).toEqual([]);
  });

  it('starts anew when a source has changed in between', async () => {
    const made = open(4, 400);
    const controller = new AbortController();
    const stop = { signal: controller.signal, onProgress: () => controller.abort() };
    await expect(executeConversion(made.plan, made.out, stop)).rejects.toMatchObject({
      code: 'CANCELLED',
    });
    const { file } = made.plan.sources[0]!;
    utimesSync(file, new Date(0), new Date(0));
    const result = await executeConversion(made.plan, made.out);
    expect(result.resumedFiles).toBe(0);
    await expectOutput(made);
  });

  it('refuses to replace what is there, unless it is told to', async () => {
    const made = open(7);
    await executeConversion(made.plan, made.out);
    const again = executeConversion(made.plan, made.out);
    await expect(again).rejects.toMatchObject({ code: 'WEIGHTS_OUTPUT_EXISTS' });
    await expectOutput(made);
    await executeConversion(made.plan, made.out, { isOverwriting: true });
    await expectOutput(made);
  });

  it('refuses sources that are too short before it writes anything', async () => {
    const made = open(9);
    truncateSync(made.plan.sources[0]!.file, made.plan.sources[0]!.begin);
    const run = executeConversion(made.plan, made.out);
    await expect(run).rejects.toMatchObject({ code: 'WEIGHTS_CONVERT_READ' });
    expect(readdirSync(made.dir)).not.toContain('out');
  });

  it('refuses output that the disk has no room for before it writes anything', async () => {
    const { dir, out } = open(1);
    const file = join(dir, 'huge.bin');
    const [rows, cols] = [2 ** 23, 2 ** 20];
    writeFileSync(file, '');
    truncateSync(file, rows * cols);
    const tensor = { name: 'w', dtype: 'U8' as const, shape: [rows, cols], rows, cols };
    const pieces = [{ ...corner, source: 0, rows, cols }];
    const plan: ConversionPlan = {
      sources: [{ name: 's', file, begin: 0, dtype: 'U8', rows, cols }],
      files: [{ path: 'f', format: 'safetensors', extra: null, tensors: [{ ...tensor, pieces }] }],
    };
    const run = executeConversion(plan, out);
    await expect(run).rejects.toMatchObject({ code: 'WEIGHTS_CONVERT_DISK_FULL' });
    expect(readdirSync(out)).toEqual([]);
  });

  it('refuses a budget in which nothing can be done', async () => {
    const made = open(9);
    const run = executeConversion(made.plan, made.out, { memoryBytes: 50e6 });
    await expect(run).rejects.toMatchObject({ code: 'WEIGHTS_CONVERT_MEMORY' });
    expect(readdirSync(made.out)).toEqual([]);
  });

  it('is one at a time per work directory', async () => {
    const made = open(11);
    const runs = await Promise.allSettled([
      executeConversion(made.plan, made.out),
      executeConversion(made.plan, made.out),
    ]);
    const refused = runs.filter((run) => run.status === 'rejected');
    expect(refused).toHaveLength(1);
    expect(refused[0]!.reason).toMatchObject({ code: 'WEIGHTS_CONVERT_BUSY' });
    await expectOutput(made);
  });

  it.each([
    ['../out.safetensors', 'not a path inside'],
    ['/abs.safetensors', 'not a path inside'],
    ['a//b', 'not a path inside'],
    ['a\\b', 'not a path inside'],
  ])('refuses to write to %s', async (path, message) => {
    const made = open(9);
    const plan = { ...made.plan, files: [{ ...made.plan.files[0]!, path }] };
    await expect(executeConversion(plan, made.out)).rejects.toThrow(message);
  });

  it('refuses plans that write an element twice, never, or outside', async () => {
    const made = open(9);
    const file = made.plan.files[0]!;
    const tensor = file.tensors[0]!;
    const broken = (
      change: (piece: (typeof tensor.pieces)[0]) => object | null,
    ): ConversionPlan => ({
      ...made.plan,
      files: [
        {
          ...file,
          tensors: [
            {
              ...tensor,
              pieces: tensor.pieces.flatMap((p, i) =>
                i > 0 ? p : ((change(p) ?? []) as typeof p),
              ),
            },
          ],
        },
      ],
    });
    const cases = [
      broken(() => null),
      broken((p) => [p, p]),
      broken((p) => ({ ...p, rows: p.rows + 1 })),
      broken((p) => ({ ...p, sourceRow: -1 })),
      broken((p) => ({ ...p, source: 99 })),
      broken((p) => ({ ...p, targetCol: p.targetCol + 0.5 })),
    ];
    for (const plan of cases) {
      await expect(executeConversion(plan, made.out)).rejects.toMatchObject({
        code: 'WEIGHTS_CONVERT_PLAN',
      });
    }
  });
});

describe('verifyReplicas', () => {
  it('finds the first element in which two parts of a checkpoint differ, turned or not', async () => {
    const { dir } = open(3);
    const file = join(dir, 'ranks.bin');
    const numbers = Uint16Array.from({ length: 48 }, (_, i) => i);
    // The second tensor holds columns 1 to 3 of the first, turned, beside a row of its own.
    const turned = Uint16Array.from({ length: 32 }, (_, i) => {
      const [row, col] = [Math.floor(i / 8), i % 8];
      return row === 3 ? 9999 : numbers[col * 6 + 1 + row]!;
    });
    const write = (): void =>
      writeFileSync(file, Buffer.concat([numbers, turned].map((a) => Buffer.from(a.buffer))));
    write();
    const rectangle = { logical: 'w', logicalRow: 0, logicalCol: 0, rows: 8, cols: 3 };
    const plan = {
      sources: [
        { name: 'first', file, begin: 0, dtype: 'BF16' as const, rows: 8, cols: 6 },
        { name: 'second', file, begin: 96, dtype: 'BF16' as const, rows: 4, cols: 8 },
      ],
      replicas: [
        [
          { source: 0, rectangle: { ...rectangle, storedRow: 0, storedCol: 1, transpose: false } },
          { source: 1, rectangle: { ...rectangle, storedRow: 0, storedCol: 0, transpose: true } },
        ],
      ] as const,
    };
    expect(await verifyReplicas(plan, { workers: 0 })).toMatchObject({
      comparedBytes: 48,
      mismatch: null,
    });
    turned[10] = 0x1234;
    write();
    const { mismatch } = await verifyReplicas(plan, { workers: 0 });
    expect(mismatch).toEqual({
      file,
      tensor: 'second',
      problem: 'element [1, 2] is 3412 and should be 0e00 (bytes of BF16)',
    });
  });
});

describe('verifyConversion', () => {
  it('accepts what was written and finds any byte that was changed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 1e9 }),
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        async (seed, share) => {
          const made = open(seed);
          await executeConversion(made.plan, made.out, { isDurable: false });
          const good = await verifyConversion(made.plan, made.out, { workers: 0 });
          expect(good.mismatch).toBeNull();
          const file = made.plan.files[Math.floor(share * made.plan.files.length)]!;
          const path = join(made.out, file.path);
          const kind = file.format === 'torch' ? TorchArchiveReader : SafetensorsReader;
          const reader = await kind.open(path);
          const tensor = file.tensors[Math.floor(share * file.tensors.length)]!;
          const { begin, byteLength } = reader.tensors.get(tensor.name)!;
          await reader.close();
          const at = begin + Math.floor(share * byteLength);
          const byte = readFileSync(path)[at]!;
          const handle = openSync(path, 'r+');
          writeSync(handle, Uint8Array.of(byte ^ 0x10), 0, 1, at);
          closeSync(handle);
          const bad = await verifyConversion(made.plan, made.out, { workers: 0 });
          const element = Math.floor((at - begin) / (byteLength / tensor.rows / tensor.cols));
          const place = `[${Math.floor(element / tensor.cols)}, ${element % tensor.cols}]`;
          expect(bad.mismatch).toMatchObject({ file: file.path, tensor: tensor.name });
          expect(bad.mismatch!.problem).toContain(`element ${place} is `);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('says which tensor is missing, or of another type or shape', async () => {
    const made = open(7);
    await executeConversion(made.plan, made.out);
    const file = made.plan.files[0]!;
    const tensor = file.tensors[0]!;
    const other = (change: object): ConversionPlan => ({
      ...made.plan,
      files: [{ ...file, tensors: [{ ...tensor, ...change }, ...file.tensors.slice(1)] }],
    });
    const problem = async (plan: ConversionPlan) =>
      (await verifyConversion(plan, made.out)).mismatch?.problem;
    expect(await problem(other({ name: 'absent' }))).toBe('is missing');
    expect(await problem(other({ shape: [tensor.rows * tensor.cols] }))).toMatch(
      /^is .* and should be /,
    );
  });
});
