/**
 * Finds, tells apart and removes the checkpoints of an output directory, by name and by what is in them.
 *
 * Nothing here reads a tensor: a checkpoint is whole when its state file parses and the tensor file beside it
 * has the size that the state file states.
 */
import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Values and moments of a checkpoint. */
export const TENSOR_FILE = 'state.safetensors';
/** All else; written last. */
export const STATE_FILE = 'trainer_state.json';

const COMPLETE_NAME = /^checkpoint-(\d+)(\.previous)?$/;
const LEFTOVER_NAME = /^checkpoint-\d+\.(?:partial|previous)$/;

/** Path of the complete checkpoint with the most steps below `dir`, or null. */
export async function findLatestCheckpoint(dir: string): Promise<string | null> {
  const found = await checkpointNames(dir);
  found.sort((a, b) => b.step - a.step || Number(a.isPrevious) - Number(b.isPrevious));
  for (const { name } of found) {
    const path = join(dir, name);
    if (await isComplete(path)) return path;
  }
  return null;
}

/** Removes what a killed run left half-written or half-replaced below `dir`. */
export async function removeLeftovers(dir: string): Promise<void> {
  for (const name of await namesIn(dir)) {
    if (!LEFTOVER_NAME.test(name)) continue;
    const path = join(dir, name);
    const whole = path.replace(/\.previous$/, '');
    if (name.endsWith('.previous') && !(await isComplete(whole)) && (await isComplete(path))) {
      await rm(whole, { recursive: true, force: true });
      await rename(path, whole);
    } else {
      await removeCheckpoint(path);
    }
  }
}

/** Removes every checkpoint below `dir`. */
export async function removeAllCheckpoints(dir: string): Promise<void> {
  for (const { name } of await checkpointNames(dir)) await removeCheckpoint(join(dir, name));
}

/** Which checkpoints to keep. */
export interface RotationOptions {
  readonly limit: number;
  /** Later ones, of a run that was resumed from before them, are left alone. */
  readonly currentStep: number;
  /** Never removed; null when no best one matters. */
  readonly bestStep: number | null;
}

/** Removes the oldest checkpoints beyond the limit. Returns the removed paths. */
export async function rotateCheckpoints(
  dir: string,
  options: RotationOptions,
): Promise<readonly string[]> {
  const steps = (await checkpointNames(dir)).filter((c) => !c.isPrevious).map((c) => c.step);
  const doomed = planRotation(steps, options).map((step) => join(dir, `checkpoint-${step}`));
  for (const path of doomed) await removeCheckpoint(path);
  return doomed;
}

/**
 * Chooses the steps to remove: the oldest first, never the newest nor the best. A limit of 1 keeps both when they
 * differ, as Hugging Face's Trainer does. Pure.
 */
export function planRotation(steps: readonly number[], options: RotationOptions): number[] {
  const past = steps.filter((step) => step <= options.currentStep).sort((a, b) => a - b);
  const keep = new Set([past.at(-1)]);
  if (options.bestStep !== null && past.includes(options.bestStep)) keep.add(options.bestStep);
  const excess = Math.max(0, past.length - Math.max(options.limit, keep.size));
  return past.filter((step) => !keep.has(step)).slice(0, excess);
}

interface CheckpointName {
  readonly name: string;
  readonly step: number;
  readonly isPrevious: boolean;
}

async function checkpointNames(dir: string): Promise<CheckpointName[]> {
  return (await namesIn(dir)).flatMap((name) => {
    const match = COMPLETE_NAME.exec(name);
    return match === null
      ? []
      : [{ name, step: Number(match[1]), isPrevious: match[2] !== undefined }];
  });
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

/** The state goes first, so that a removal cut short leaves no directory that looks whole. */
async function removeCheckpoint(path: string): Promise<void> {
  await rm(join(path, STATE_FILE), { force: true });
  await rm(path, { recursive: true, force: true });
}

/** Tells a whole checkpoint from one that was cut short. */
export async function isComplete(path: string): Promise<boolean> {
  return (await readStateJson(path)) !== null;
}

/** The parsed state file; null when it is absent, does not parse, or the tensor file has another size than it says. */
export async function readStateJson(path: string): Promise<unknown> {
  let text: string;
  let tensorBytes: number;
  try {
    text = await readFile(join(path, STATE_FILE), 'utf8');
    tensorBytes = (await stat(join(path, TENSOR_FILE))).size;
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return null;
    throw error;
  }
  const raw = parseJson(text);
  const declared = (raw as { state_file_bytes?: unknown } | null)?.state_file_bytes;
  return declared === tensorBytes ? raw : null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
