import { describe, expect, it } from 'vitest';
import { runFake } from '../testing/fake-host.js';
import { parseAvailableBytes, parseCpuFeatures, readControlGroupLimits } from './machine.js';
import { findOptionalPrograms } from './optional-programs.js';

function reader(files: Record<string, string>) {
  return (path: string) => files[path];
}

describe('parseCpuFeatures', () => {
  it('finds the features of x86 and Arm processors and nothing in an empty file', () => {
    expect(parseCpuFeatures('model name : X\nflags\t\t: fpu avx avx2 avx512_bf16 fma\n')).toEqual([
      'fma',
      'avx',
      'avx2',
      'avx512_bf16',
    ]);
    expect(parseCpuFeatures('Features\t: fp asimd asimddp bf16\n')).toEqual([
      'asimd',
      'asimddp',
      'bf16',
    ]);
    expect(parseCpuFeatures('')).toEqual([]);
  });
});

describe('parseAvailableBytes', () => {
  it('reads kibibytes', () => {
    expect(parseAvailableBytes('MemTotal: 9 kB\nMemAvailable:   1000 kB\n')).toBe(1_024_000);
    expect(parseAvailableBytes('')).toBeUndefined();
  });
});

describe('readControlGroupLimits', () => {
  it('takes the tightest limit on the way up in version 2', () => {
    const read = reader({
      '/proc/self/cgroup': '0::/user/app\n',
      '/sys/fs/cgroup/user/app/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/user/cpu.max': '150000 100000\n',
      '/sys/fs/cgroup/user/app/memory.max': '2147483648\n',
      '/sys/fs/cgroup/user/memory.max': '1073741824\n',
    });
    expect(readControlGroupLimits(read)).toEqual({ cores: 1.5, memoryBytes: 1_073_741_824 });
  });

  it('reads version 1 and takes its huge number for no limit', () => {
    const read = reader({
      '/proc/self/cgroup': '4:cpu,cpuacct:/docker/1\n3:memory:/docker/1\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '200000\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    });
    expect(readControlGroupLimits(read)).toEqual({ cores: 2, memoryBytes: null });
  });

  it('finds no limits where there are no control groups', () => {
    expect(readControlGroupLimits(() => undefined)).toEqual({ cores: null, memoryBytes: null });
  });
});

describe('findOptionalPrograms', () => {
  it('says how to get what is missing', async () => {
    const programs = await findOptionalPrograms(() => Promise.resolve(null));
    expect(programs.map(({ name }) => name)).toEqual([
      'python3',
      'torch',
      'llamafactory',
      'vllm',
      'nvidia-smi',
      'slurm',
      'kubectl',
    ]);
    expect(programs.every(({ version, install }) => version === null && install !== '')).toBe(true);
  });

  it('reads versions from what the programs print', async () => {
    const output: Record<string, string> = {
      python3: '{"python3": "3.11.7", "torch": "2.5.1"}',
      sbatch: 'slurm 23.11.4',
      kubectl: '{"clientVersion": {"gitVersion": "v1.32.4"}}',
    };
    const programs = await findOptionalPrograms((file) => Promise.resolve(output[file] ?? null));
    const versions = Object.fromEntries(programs.map(({ name, version }) => [name, version]));
    expect(versions).toMatchObject({
      python3: '3.11.7',
      torch: '2.5.1',
      vllm: null,
      slurm: '23.11.4',
      kubectl: '1.32.4',
    });
  });

  it('survives a python3 that prints something else', async () => {
    const programs = await findOptionalPrograms(() => Promise.resolve('command not set up'));
    expect(programs.find(({ name }) => name === 'python3')?.version).toBeNull();
  });
});

describe('tuneyard doctor', () => {
  it('prints the facts of this machine, with nothing optional on an empty search path', async () => {
    const run = await runFake(['doctor', '--json'], { env: { PATH: '/nonexistent' } });
    expect(run.exitCode).toBe(0);
    const facts = JSON.parse(run.stdout);
    expect(facts.node).toBe(process.versions.node);
    expect(facts.processor.cores).toBeGreaterThan(0);
    expect(facts.memory.totalBytes).toBeGreaterThan(facts.memory.availableBytes);
    expect(facts.engine).toMatchObject({ isWorking: true });
    expect(facts.optional.every((p: { version: string | null }) => p.version === null)).toBe(true);
  });
});
