/**
 * What this machine offers to a process: processor, memory, and the limits a container puts on both.
 *
 * Linux is read from /proc and the control groups (v1 and v2); elsewhere Node's own numbers are used and
 * the features of the processor are not known.
 */
import { join } from 'node:path';

/** Reads a small text file; undefined when it is not there. */
export type ReadText = (path: string) => string | undefined;

/** Limits of the control groups that the process lives in. */
export interface ControlGroupLimits {
  /** Processor time in cores, null without a limit. */
  readonly cores: number | null;
  /** Memory in bytes, null without a limit. */
  readonly memoryBytes: number | null;
}

/** Features that matter to speed, in the spelling of /proc/cpuinfo. */
const FEATURES = [
  'sse4_2',
  'f16c',
  'fma',
  'avx',
  'avx2',
  'avx_vnni',
  'avx512f',
  'avx512bw',
  'avx512_vnni',
  'avx512_bf16',
  'avx512_fp16',
  'amx_bf16',
  'amx_int8',
  'asimd',
  'asimdhp',
  'asimddp',
  'i8mm',
  'bf16',
  'sve',
] as const;

/** Finds the processor features that matter to speed in the text of /proc/cpuinfo, x86 or Arm. */
export function parseCpuFeatures(cpuinfo: string): string[] {
  const line = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo)?.[1] ?? '';
  const flags = new Set(line.split(/\s+/));
  return FEATURES.filter((feature) => flags.has(feature));
}

/** Finds `MemAvailable` in the text of /proc/meminfo, in bytes. */
export function parseAvailableBytes(meminfo: string): number | undefined {
  const match = /^MemAvailable:\s*(\d+) kB$/m.exec(meminfo);
  return match === null ? undefined : Number(match[1]) * 1024;
}

const MOUNT = '/sys/fs/cgroup';

/** Reads the tightest processor and memory limits of the process's control groups. */
export function readControlGroupLimits(read: ReadText): ControlGroupLimits {
  const groups = (read('/proc/self/cgroup') ?? '').trim().split('\n');
  const cores: number[] = [];
  const bytes: number[] = [];
  for (const group of groups) {
    const [, controllers = '', path = '/'] = /^\d+:([^:]*):(.*)$/.exec(group) ?? [];
    for (const directory of ancestors(join(MOUNT, mountFolder(controllers)), path)) {
      cores.push(readCores(read, directory));
      bytes.push(readBytes(read, directory));
    }
  }
  return { cores: smallest(cores), memoryBytes: smallest(bytes) };
}

/** Version 2 has one tree; version 1 has one per set of controllers, linked under each one's name. */
function mountFolder(controllers: string): string {
  const names = controllers.split(',');
  if (names.includes('cpu')) return 'cpu';
  return names.includes('memory') ? 'memory' : '';
}

function ancestors(root: string, path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '..');
  return parts.map((_, i) => join(root, ...parts.slice(0, parts.length - i))).concat(root);
}

function readCores(read: ReadText, directory: string): number {
  const v2 = /^(\d+) (\d+)/.exec(read(join(directory, 'cpu.max')) ?? '');
  if (v2 !== null) return Number(v2[1]) / Number(v2[2]);
  const quota = Number(read(join(directory, 'cpu.cfs_quota_us')) ?? Number.NaN);
  const period = Number(read(join(directory, 'cpu.cfs_period_us')) ?? Number.NaN);
  return quota > 0 && period > 0 ? quota / period : Number.NaN;
}

/** Version 1 writes "no limit" as the largest multiple of a page: anything above an exabyte is none. */
function readBytes(read: ReadText, directory: string): number {
  const text =
    read(join(directory, 'memory.max')) ?? read(join(directory, 'memory.limit_in_bytes'));
  const bytes = Number(text ?? Number.NaN);
  return bytes < 1e18 ? bytes : Number.NaN;
}

function smallest(values: readonly number[]): number | null {
  const known = values.filter((value) => Number.isFinite(value));
  return known.length === 0 ? null : Math.min(...known);
}
