/** Who takes part in `bench:train`, and how each is started. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { BenchOptions } from './bench-options.js';
import { GEMM_TYPES } from './gemm-shape.js';
import type { TurnCommand } from './turn-process.js';

const NODE_ARGS = ['--conditions=@tuneyard/source', '--import', 'tsx'];
const ORACLE = fileURLToPath(new URL('../../test/oracles/train_bench.py', import.meta.url));

/** A Python that can import torch. */
export interface OraclePython {
  readonly path: string;
  readonly torchVersion: string;
}

/**
 * Finds the interpreter for the baseline; null when torch cannot be imported.
 *
 * Throws: an `Error` when `TUNEYARD_ORACLE_PYTHON` is set and does not have torch.
 */
export async function findOraclePython(env: NodeJS.ProcessEnv): Promise<OraclePython | null> {
  const wanted = env['TUNEYARD_ORACLE_PYTHON'];
  const path = wanted ?? 'python3';
  try {
    const { stdout } = await promisify(execFile)(path, [
      '-c',
      'import torch; print(torch.__version__)',
    ]);
    return { path, torchVersion: stdout.trim() };
  } catch (cause) {
    if (wanted === undefined) return null;
    throw new Error(`TUNEYARD_ORACLE_PYTHON: ${path} cannot import torch`, { cause });
  }
}

/** All candidates at one thread count, `gemm_*` ones included. Pure. */
export function planCandidates(
  options: BenchOptions,
  threads: number,
  { env, python }: { env: NodeJS.ProcessEnv; python: OraclePython | null },
): TurnCommand[] {
  const { shape, warmupSteps, bases } = options;
  const own = (name: string, script: string, settings: object): TurnCommand => {
    const path = fileURLToPath(new URL(script, import.meta.url));
    const args = [...NODE_ARGS, path, JSON.stringify({ ...settings, threads, warmupSteps })];
    return { name, command: process.execPath, args, env };
  };
  return [
    ...GEMM_TYPES.map((type) => own(`gemm_${type}`, './gemm-child.ts', { type })),
    ...bases.map((base) => own(base, './train-child.ts', { shape, base })),
    ...(python === null ? [] : ['f32', 'bf16']).map((dtype) => ({
      name: `torch_${dtype}`,
      command: python?.path ?? '',
      args: [
        ORACLE,
        '--serve',
        ...['--dtype', dtype],
        ...['--threads', String(threads)],
        ...['--warmup', String(warmupSteps)],
      ],
      env: withoutLibrarySteering(env),
    })),
  ];
}

/** The baseline chooses its own kernels and threads, whatever the shell says. */
function withoutLibrarySteering(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const steering = /^(OPENBLAS|MKL|OMP|GOMP|KMP|DNNL|ONEDNN)_/;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !steering.test(name)));
}
