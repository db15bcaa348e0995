/** A conversion in a process of its own, for tests that kill, limit or measure it. Prints one JSON line. */
import { existsSync, readFileSync } from 'node:fs';
import { TuneyardError } from '@tuneyard/core';
import {
  type ExecuteOptions,
  executeConversion,
} from '../src/convert/execute/execute-conversion.js';
import type { ConversionPlan } from '../src/convert/logical-model.js';

/** What the process is told, as JSON, in its first argument. */
export interface ChildTask {
  /** Path of the plan, as JSON. */
  readonly plan: string;
  readonly out: string;
  readonly options: Omit<ExecuteOptions, 'signal' | 'onProgress'>;
  /** Writes a line for every step of the progress. */
  readonly isTalking: boolean;
}

/** What it prints at its end. */
export interface ChildReport {
  readonly code: string | null;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly resumedFiles: number;
  readonly peakRssBytes: number;
}

const task = JSON.parse(process.argv[2] ?? '') as ChildTask;
const plan = JSON.parse(readFileSync(task.plan, 'utf8')) as ConversionPlan;
const onProgress = (): void => console.log('progress');

let report = { code: null as string | null, readBytes: 0, writtenBytes: 0, resumedFiles: 0 };
try {
  const options = task.isTalking ? { ...task.options, onProgress } : task.options;
  report = { code: null, ...(await executeConversion(plan, task.out, options)) };
} catch (error) {
  if (!(error instanceof TuneyardError)) throw error;
  report.code = error.code;
}
// Not getrusage: its maximum begins with what the process that started this one held.
const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
const highest = /VmHWM:\s*(\d+) kB/.exec(status)?.[1];
const peakRssBytes = 1024 * Number(highest ?? process.resourceUsage().maxRSS);
console.log(JSON.stringify({ ...report, peakRssBytes } satisfies ChildReport));
