/** A run in a process of its own, for tests that kill it: `run-driver.ts <plan.json>`. */
import { readFileSync } from 'node:fs';
import { executeRun } from '../src/executor/execute-run.js';
import type { RunPlan } from '../src/plan/run-plan.js';

const plan = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as RunPlan;
const controller = new AbortController();
process.on('SIGINT', () => controller.abort());
const outcome = await executeRun(plan, {
  signal: controller.signal,
  stageModule: new URL('./fake-stages.ts', import.meta.url),
  onEvent: (event) => console.log(JSON.stringify(event)),
});
process.exitCode = outcome.status === 'succeeded' ? 0 : outcome.status === 'cancelled' ? 130 : 1;
