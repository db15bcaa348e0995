import { execFile, spawn } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { planSafetensorsSkeleton, TorchArchiveReader } from '@tuneyard/formats';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyConversion } from '../src/convert/execute/verify-conversion.js';
import { hfLayout } from '../src/convert/hf-layout.js';
import { logicalModel } from '../src/convert/logical-config.js';
import type {
  ConversionPlan,
  Piece,
  SourceTensor,
  TargetTensor,
} from '../src/convert/logical-model.js';
import { planHfToMegatron } from '../src/megatron/plan-conversion.js';
import { DEFAULT_MEGATRON_SETTINGS } from '../src/megatron/settings.js';
import type { ChildReport, ChildTask } from './execute-child.js';
import { hfSources } from './megatron/hf-sources.js';

const run = promisify(execFile);
const CHILD = fileURLToPath(new URL('./execute-child.ts', import.meta.url));
const NODE = ['--conditions=@tuneyard/source', '--import', 'tsx'];

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tuneyard-execute-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

/** A file of numbers that differ from row to row, and a plan that cuts it into `count` files by columns, turned or not. */
function cutPlan(options: {
  rows: number;
  cols: number;
  count: number;
  transpose: boolean;
}): ConversionPlan {
  const { rows, cols, count, transpose } = options;
  const file = join(dir, 'source.bin');
  const words = new Uint32Array((rows * cols) / 2);
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i, 2_654_435_761);
  writeFileSync(file, words);
  const wide = cols / count;
  const files = Array.from({ length: count }, (_, rank) => {
    const shape = transpose ? [wide, rows] : [rows, wide];
    const [high, across] = shape as [number, number];
    const piece: Piece = {
      source: 0,
      sourceRow: 0,
      sourceCol: rank * wide,
      rows: high,
      cols: across,
      targetRow: 0,
      targetCol: 0,
      transpose,
    };
    const tensor: TargetTensor = {
      name: 'w',
      dtype: 'BF16',
      shape,
      rows: high,
      cols: across,
      pieces: [piece],
    };
    return {
      path: `rank-${rank}.safetensors`,
      format: 'safetensors' as const,
      extra: null,
      tensors: [tensor],
    };
  });
  return { sources: [{ name: 's', file, begin: 0, dtype: 'BF16', rows, cols }], files };
}

function taskOf(plan: ConversionPlan, options: ChildTask['options'], isTalking = false): string {
  const path = join(dir, 'plan.json');
  writeFileSync(path, JSON.stringify(plan));
  return JSON.stringify({
    plan: path,
    out: join(dir, 'out'),
    options,
    isTalking,
  } satisfies ChildTask);
}

async function runChild(task: string): Promise<ChildReport> {
  const { stdout } = await run(process.execPath, [...NODE, CHILD, task]);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as ChildReport;
}

/** Kills the process after its n-th line; true when it was still running. */
async function killAfter(task: string, lines: number): Promise<boolean> {
  const child = spawn(process.execPath, [...NODE, CHILD, task], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let seen = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    seen += chunk.toString().split('\n').length - 1;
    if (seen >= lines) child.kill('SIGKILL');
  });
  const signal = await new Promise((resolve) => child.on('exit', (_, by) => resolve(by)));
  return signal === 'SIGKILL';
}

describe('a conversion that is killed', () => {
  it('leaves nothing under final names and goes on with the missing files, wherever it was', async () => {
    // Row blocks of each source go to one file, so that files are finished one after the other.
    const base = cutPlan({ rows: 12 * 1024, cols: 8192, count: 12, transpose: false });
    const plan: ConversionPlan = {
      ...base,
      files: base.files.map((file, rank) => ({
        ...file,
        tensors: file.tensors.map((tensor) => ({
          ...tensor,
          shape: [1024, 8192],
          rows: 1024,
          cols: 8192,
          pieces: [
            { ...tensor.pieces[0]!, sourceRow: 1024 * rank, sourceCol: 0, rows: 1024, cols: 8192 },
          ],
        })),
      })),
    };
    const options = { workers: 1, isDurable: false };
    for (const lines of [1, 3, 5]) {
      expect(await killAfter(taskOf(plan, options, true), lines)).toBe(true);
      expect(readdirSync(join(dir, 'out')).filter((name) => !name.startsWith('.'))).toEqual([]);
    }
    const last = await runChild(taskOf(plan, options));
    expect(last.code).toBeNull();
    expect(last.resumedFiles).toBeGreaterThanOrEqual(1);
    expect(last.writtenBytes).toBe((12 - last.resumedFiles) * 1024 * 8192 * 2);
    expect((await verifyConversion(plan, join(dir, 'out'))).mismatch).toBeNull();
    expect(readdirSync(join(dir, 'out')).sort()).toEqual(plan.files.map(({ path }) => path).sort());
  });
});

describe('a conversion without room', () => {
  it('says so, and leaves nothing under final names, when a file may not grow', async () => {
    const plan = cutPlan({ rows: 2048, cols: 4096, count: 2, transpose: false });
    // 4 MB; the files have 8 MB. SIGXFSZ is ignored by Node, so that the call fails with EFBIG.
    const limited = [
      '-c',
      'ulimit -f 4096; exec "$@"',
      'sh',
      process.execPath,
      ...NODE,
      CHILD,
      taskOf(plan, { workers: 1 }),
    ];
    const { stdout } = await run('bash', limited);
    const report = JSON.parse(stdout.trim()) as ChildReport;
    expect(report.code).toBe('WEIGHTS_CONVERT_DISK_FULL');
    expect(readdirSync(join(dir, 'out'))).toEqual([]);
  });
});

describe('memory', () => {
  it.each([
    ['a cut by columns', { rows: 16_384, cols: 8192, count: 4, transpose: false }],
    ['a transpose', { rows: 16_384, cols: 8192, count: 4, transpose: true }],
  ])('stays within the budget for %s of 256 MB', async (_, shape) => {
    const plan = cutPlan(shape);
    const { code, peakRssBytes, readBytes, writtenBytes } = await runChild(
      taskOf(plan, { memoryBytes: 250e6, workers: 2 }),
    );
    expect(code).toBeNull();
    expect(peakRssBytes).toBeLessThan(250e6);
    const bytes = shape.rows * shape.cols * 2;
    expect({ readBytes, writtenBytes }).toEqual({ readBytes: bytes, writtenBytes: bytes });
    expect((await verifyConversion(plan, join(dir, 'out'))).mismatch).toBeNull();
  });

  it('stays within 250 MB for a model of 140 GB', async () => {
    const { plan, bytes } = sparseLlama70b();
    expect(bytes).toBeGreaterThan(135e9);
    const report = await runChild(taskOf(plan, { isSparse: true, isDurable: false }));
    expect(report).toMatchObject({ code: null, readBytes: expect.any(Number) });
    expect(report.readBytes).toBe(bytes);
    expect(report.peakRssBytes).toBeLessThan(250e6);
    for (const file of plan.files) {
      const path = join(dir, 'out', file.path);
      const { size, blocks } = statSync(path);
      expect(size).toBeGreaterThan(16e9);
      expect(blocks * 512).toBeLessThan(2e8);
    }
    // Numbers that are not zero arrived where they belong.
    await using reader = await TorchArchiveReader.open(join(dir, 'out', plan.files[3]!.path));
    const name = [...reader.tensors.keys()].find((key) =>
      key.includes('layers.79.input_layernorm'),
    )!;
    expect(new Set(await reader.read(name))).toEqual(new Set([0x80, 0x3f]));
  });
});

/** Llama 2 70B in holes, with norms of ones, to TP 8. */
function sparseLlama70b(): { plan: ConversionPlan; bytes: number } {
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: 8192,
    intermediate_size: 28_672,
    num_hidden_layers: 80,
    num_attention_heads: 64,
    num_key_value_heads: 8,
    vocab_size: 32_000,
    max_position_embeddings: 4096,
    rms_norm_eps: 1e-5,
    hidden_act: 'silu',
    tie_word_embeddings: false,
    torch_dtype: 'bfloat16',
  };
  const model = logicalModel(config, 'config.json');
  const sources: SourceTensor[] = [];
  const perFile = 80;
  const specs = hfLayout(model);
  for (let first = 0; first < specs.length; first += perFile) {
    const file = join(dir, `model-${first}.safetensors`);
    const own = specs.slice(first, first + perFile);
    const skeleton = planSafetensorsSkeleton(
      own.map(({ name, shape }) => ({ name, shape, dtype: 'BF16' as const })),
      {},
      file,
    );
    writeFileSync(file, skeleton.fixed()[0]!.bytes);
    truncateSync(file, skeleton.size);
    const ones = new Uint16Array(8192).fill(0x3f80);
    const handle = openSync(file, 'r+');
    for (const { name, shape } of own) {
      if (shape.length === 1) writeSync(handle, ones, 0, 16_384, skeleton.tensors.get(name)!.begin);
    }
    closeSync(handle);
    for (const { name, shape } of own) {
      const [rows = 1, cols = 1] = shape;
      sources.push({
        name,
        file,
        begin: skeleton.tensors.get(name)!.begin,
        dtype: 'BF16',
        rows,
        cols,
      });
    }
  }
  const settings = { ...DEFAULT_MEGATRON_SETTINGS, tensorParallel: 8 };
  const megatron = planHfToMegatron({
    model,
    config,
    dtype: null,
    sources: hfSources(model, sources),
    settings,
  });
  const bytes = sources.reduce((sum, { rows, cols }) => sum + rows * cols * 2, 0);
  return { plan: { sources: megatron.sources, files: megatron.files }, bytes };
}
