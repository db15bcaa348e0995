/**
 * How the bench speaks with its candidates: one JSON line when ready; then, for every line with a number
 * of steps on stdin, one JSON line with what they took. End of input ends the candidate.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** What a candidate reports of one turn. */
export interface TurnReport {
  readonly step_ms: readonly number[];
  /** Largest resident memory of the process so far. */
  readonly peak_rss_mb: number;
  /** Loss of the last step; absent for candidates that train nothing. */
  readonly loss?: number;
}

/** Serves turns until input ends. `runStep` is timed from outside and gives the step's loss, if any. */
export async function serveTurns(
  ready: Readonly<Record<string, unknown>>,
  runStep: () => Promise<number | undefined>,
): Promise<void> {
  const say = (value: object): void => {
    process.stdout.write(`${JSON.stringify(value)}\n`);
  };
  say({ ready: true, ...ready });
  for await (const line of createInterface({ input: process.stdin })) {
    const stepMs: number[] = [];
    let loss: number | undefined;
    for (let step = 0; step < Number(line); step++) {
      const begin = performance.now();
      loss = await runStep();
      stepMs.push(performance.now() - begin);
    }
    say({ step_ms: stepMs, peak_rss_mb: peakRssMb(), loss } satisfies {
      [K in keyof TurnReport]: unknown;
    });
  }
}

/** Units: MiB. Source: VmHWM on Linux, `getrusage` elsewhere. */
function peakRssMb(): number {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS / 1024;
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(match?.[1]) / 1024;
}
