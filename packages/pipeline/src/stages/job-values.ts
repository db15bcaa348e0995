/** Typed reading of a job's parameters, settings and inputs. */
import { assert, defined } from '@tuneyard/core';
import type { StageJob } from './stage.js';

/** The path of an input that the plan always gives. */
export function inputPath(job: StageJob, role: string): string {
  return defined(job.inputs[role], `input ${role} of stage ${job.id}`);
}

/** A number among parameters or settings; undefined when absent. */
export function optionalNumber(job: StageJob, key: string): number | undefined {
  const value = lookUp(job, key);
  assert(value === undefined || typeof value === 'number', `${key} is not a number`);
  return value;
}

/** A number that the plan always gives. */
export function numberOf(job: StageJob, key: string): number {
  return defined(optionalNumber(job, key), key);
}

/** A text among parameters or settings; undefined when absent. */
export function optionalText(job: StageJob, key: string): string | undefined {
  const value = lookUp(job, key);
  assert(value === undefined || typeof value === 'string', `${key} is not text`);
  return value;
}

/** A text that the plan always gives. */
export function textOf(job: StageJob, key: string): string {
  return defined(optionalText(job, key), key);
}

/** A switch; false when absent. */
export function flagOf(job: StageJob, key: string): boolean {
  const value = lookUp(job, key);
  assert(value === undefined || typeof value === 'boolean', `${key} is not a switch`);
  return value ?? false;
}

function lookUp(job: StageJob, key: string): unknown {
  return job.parameters[key] ?? job.settings[key];
}
