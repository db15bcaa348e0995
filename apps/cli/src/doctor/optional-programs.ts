/** Looks for the programs and Python packages that optional engines and executors use. */
import { execFile } from 'node:child_process';
import type { Environment } from '../terminal/host.js';

/** Something that Tuneyard can use and does not need. */
export interface OptionalProgram {
  readonly name: string;
  /** Null when it was not found. */
  readonly version: string | null;
  readonly usedFor: string;
  /** How to get it, one line. */
  readonly install: string;
}

/** Runs a program and returns what it printed, or null when it is missing, fails or takes too long. */
export type RunProgram = (file: string, args: readonly string[]) => Promise<string | null>;

const TIMEOUT_MS = 5000;

/** Runs programs with the given environment; the search path comes from it too. */
export function programRunner(env: Environment): RunProgram {
  return (file, args) =>
    new Promise((resolve) => {
      const options = { env: { ...env }, timeout: TIMEOUT_MS, windowsHide: true };
      execFile(file, args, options, (error, stdout) => {
        resolve(error === null ? stdout.trim() : null);
      });
    });
}

const PYTHON_PACKAGES = ['torch', 'llamafactory', 'vllm'] as const;

// Reads installed versions without importing the packages, which would take seconds.
const PYTHON_SCRIPT = `
import importlib.metadata, json, platform, sys
found = {"python3": platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
`;

/** Finds every optional program, in the order in which they are shown. */
export async function findOptionalPrograms(run: RunProgram): Promise<OptionalProgram[]> {
  const [python, gpu, slurm, kubectl] = await Promise.all([
    findPython(run),
    run('nvidia-smi', ['--query-gpu=driver_version', '--format=csv,noheader']),
    run('sbatch', ['--version']),
    run('kubectl', ['version', '--client', '--output=json']),
  ]);
  const entry = (
    name: string,
    version: string | null,
    usedFor: string,
    install: string,
  ): OptionalProgram => ({ name, version, usedFor, install });
  return [
    entry('python3', python['python3'] ?? null, 'Python engines', 'install Python 3.10 or newer'),
    entry('torch', python['torch'] ?? null, 'llamafactory engine', 'pip install torch'),
    entry(
      'llamafactory',
      python['llamafactory'] ?? null,
      'training on many GPUs',
      'pip install llamafactory',
    ),
    entry('vllm', python['vllm'] ?? null, 'serving at scale', 'pip install vllm'),
    entry(
      'nvidia-smi',
      gpu?.split('\n')[0] ?? null,
      'NVIDIA GPUs',
      'install the NVIDIA driver of the GPU',
    ),
    entry(
      'slurm',
      slurm?.replace(/^slurm /, '') ?? null,
      'jobs on a Slurm cluster',
      'run on a login node of the cluster',
    ),
    entry(
      'kubectl',
      parseKubectlVersion(kubectl),
      'jobs on Kubernetes',
      'see kubernetes.io/docs/tasks/tools',
    ),
  ];
}

async function findPython(run: RunProgram): Promise<Readonly<Record<string, string>>> {
  const text = await run('python3', ['-c', PYTHON_SCRIPT, ...PYTHON_PACKAGES]);
  const found: Record<string, string> = {};
  for (const [, name = '', version = ''] of (text ?? '').matchAll(/"(\w+)": "([^"]+)"/g)) {
    found[name] = version;
  }
  return found;
}

function parseKubectlVersion(text: string | null): string | null {
  const version = /"gitVersion":\s*"v?([^"]+)"/.exec(text ?? '')?.[1];
  return version ?? null;
}
