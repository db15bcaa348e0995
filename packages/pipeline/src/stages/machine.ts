/** What this machine offers to a stage: cores and memory. */
import { readFileSync } from 'node:fs';
import { availableParallelism, freemem } from 'node:os';

/**
 * One thread per physical core, within what the process may use: hyper-threads share the units that do the
 * multiplying, so that more threads are slower.
 */
export function defaultThreads(cpuInfo: string = readCpuInfo()): number {
  const cores = new Set(
    cpuInfo
      .split('\n\n')
      .map((block) => `${fieldOf(block, 'physical id')}:${fieldOf(block, 'core id')}`)
      .filter((key) => !key.includes('undefined')),
  );
  const allowed = availableParallelism();
  return cores.size === 0 ? allowed : Math.max(1, Math.min(allowed, cores.size));
}

/** Bytes that can still be used before the system or its container runs out. */
export function availableMemory(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(freemem(), limit - process.memoryUsage.rss()) : freemem();
}

function fieldOf(block: string, name: string): string | undefined {
  return new RegExp(`^${name}\\s*:\\s*(\\S+)`, 'm').exec(block)?.[1];
}

/** Empty where there is no such file; then the operating system's own count is taken. */
function readCpuInfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return '';
  }
}
