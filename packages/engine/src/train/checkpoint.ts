/**
 * `checkpoint-<step>/`: all that a killed run needs to go on as if nothing had happened.
 *
 * A checkpoint is written under `checkpoint-<step>.partial`, flushed to the disk and renamed, so a name
 * without a suffix is a whole checkpoint. Replacing one parks the old as `checkpoint-<step>.previous`, which
 * still counts when the run dies between the two renames. `trainer_state.json` is written last, with the size
 * of the tensor file, so that a directory copied in part is recognised as well.
 */
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { assert, TuneyardError } from '@tuneyard/core';
import { SafetensorsReader, writeSafetensors } from '@tuneyard/formats';
import type { Trainable, TrainableState } from '../model/training-model.js';
import { isComplete, readStateJson, STATE_FILE, TENSOR_FILE } from './checkpoint-directory.js';
import { TRAIN_ERRORS } from './errors.js';
import { compareFingerprints, type Fingerprint } from './settings.js';
import { formatTrainerState, parseTrainerState, type TrainerState } from './trainer-state.js';

const PARTS = ['value', 'firstMoment', 'secondMoment'] as const;
const PART_PREFIX = {
  value: 'value.',
  firstMoment: 'exp_avg.',
  secondMoment: 'exp_avg_sq.',
} as const;

/** What goes into a checkpoint. */
export interface CheckpointContent {
  readonly state: TrainerState;
  readonly trainables: readonly Trainable[];
  readonly tensors: readonly TrainableState[];
  /** Writes further files into the directory before it gets its name: an adapter that can be used as it is. */
  readonly addFiles?: ((directory: string) => Promise<void>) | undefined;
}

/** Writes `checkpoint-<step>` below `outputDir`; replaces one of that name. Returns its path. */
export async function writeCheckpoint(
  outputDir: string,
  content: CheckpointContent,
): Promise<string> {
  const path = join(outputDir, `checkpoint-${content.state.step}`);
  const partial = `${path}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  await content.addFiles?.(partial);
  const { bytes } = await writeSafetensors(join(partial, TENSOR_FILE), tensorEntries(content));
  const json = { ...formatTrainerState(content.state), state_file_bytes: bytes };
  await writeFlushed(join(partial, STATE_FILE), `${JSON.stringify(json, null, 1)}\n`);
  await flushDirectory(partial);

  const previous = `${path}.previous`;
  if (await isComplete(path)) {
    await rm(previous, { recursive: true, force: true });
    await rename(path, previous);
  } else {
    await rm(path, { recursive: true, force: true });
  }
  await rename(partial, path);
  await flushDirectory(outputDir);
  await rm(previous, { recursive: true, force: true });
  return path;
}

/** What the run that loads a checkpoint expects of it. */
export interface CheckpointExpectation {
  readonly trainables: readonly Trainable[];
  readonly fingerprint: Fingerprint;
}

/**
 * Reads a checkpoint and checks it against the run that wants to go on from it.
 *
 * Throws: `TRAIN_CHECKPOINT_NOT_FOUND`; `TRAIN_CHECKPOINT_CORRUPT` naming file and field or tensor;
 * `TRAIN_CHECKPOINT_MISMATCH` naming every setting that differs, with both values.
 */
export async function loadCheckpoint(
  path: string,
  expected: CheckpointExpectation,
): Promise<{ readonly state: TrainerState; readonly tensors: readonly TrainableState[] }> {
  const state = await readTrainerState(path);
  const differences = compareFingerprints(state.fingerprint, expected.fingerprint);
  if (differences.length > 0) throw mismatch(path, differences);
  const reader = await SafetensorsReader.open(join(path, TENSOR_FILE));
  try {
    checkTensors(reader, expected.trainables, path);
    const tensors: TrainableState[] = [];
    for (const trainable of expected.trainables) {
      tensors.push(await readTrainable(reader, trainable.name));
    }
    return { state, tensors };
  } finally {
    await reader.close();
  }
}

/**
 * Reads the state of a checkpoint without its tensors.
 *
 * Throws: `TRAIN_CHECKPOINT_NOT_FOUND`, `TRAIN_CHECKPOINT_CORRUPT`.
 */
export async function readTrainerState(path: string): Promise<TrainerState> {
  const raw = await readStateJson(path);
  if (raw === null) {
    throw new TuneyardError(
      TRAIN_ERRORS.TRAIN_CHECKPOINT_NOT_FOUND,
      `${path} is not a complete checkpoint: ${STATE_FILE} is missing, damaged, or does not fit ${TENSOR_FILE}`,
      { category: 'not_found', hint: 'Resume from an older checkpoint, or start afresh.' },
    );
  }
  return parseTrainerState(raw, join(path, STATE_FILE));
}

function tensorEntries(content: CheckpointContent): Parameters<typeof writeSafetensors>[1] {
  return content.trainables.flatMap((trainable, i) => {
    const tensor = content.tensors[i];
    assert(tensor?.name === trainable.name, `the state of ${trainable.name} is in its place`);
    return PARTS.map((part) => {
      const values = tensor[part];
      const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      const name = PART_PREFIX[part] + trainable.name;
      return { name, dtype: 'F32' as const, shape: trainable.shape, data };
    });
  });
}

function checkTensors(
  reader: SafetensorsReader,
  trainables: readonly Trainable[],
  path: string,
): void {
  const where = join(path, TENSOR_FILE);
  const names = trainables.flatMap(({ name }) => PARTS.map((part) => PART_PREFIX[part] + name));
  const known = new Set(names);
  const surplus = [...reader.tensors.keys()].find((name) => !known.has(name));
  if (surplus !== undefined) {
    throw tensorMismatch(`${where} holds ${surplus}, which this run does not train`);
  }
  for (const { name, shape } of trainables) {
    for (const part of PARTS) {
      const full = PART_PREFIX[part] + name;
      const tensor = reader.tensors.get(full);
      if (tensor === undefined) throw tensorMismatch(`${where} lacks ${full}`);
      const found = `${tensor.dtype} [${tensor.shape.join(', ')}]`;
      const needed = `F32 [${shape.join(', ')}]`;
      if (found !== needed) {
        throw tensorMismatch(`${where}: ${full} is ${found}, this run needs ${needed}`);
      }
    }
  }
}

async function readTrainable(reader: SafetensorsReader, name: string): Promise<TrainableState> {
  const part = async (prefix: string): Promise<Float32Array> => {
    const bytes = await reader.read(prefix + name);
    return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  };
  return {
    name,
    value: await part(PART_PREFIX.value),
    firstMoment: await part(PART_PREFIX.firstMoment),
    secondMoment: await part(PART_PREFIX.secondMoment),
  };
}

function tensorMismatch(message: string): TuneyardError {
  return new TuneyardError(TRAIN_ERRORS.TRAIN_CHECKPOINT_MISMATCH, message, {
    category: 'conflict',
    hint: 'Resume with the model and the adapter settings that the checkpoint was made with.',
  });
}

function mismatch(
  path: string,
  differences: ReturnType<typeof compareFingerprints>,
): TuneyardError {
  const list = differences.map(
    ({ name, stored, current }) =>
      `${name} was ${JSON.stringify(stored)}, is ${JSON.stringify(current)}`,
  );
  return new TuneyardError(
    TRAIN_ERRORS.TRAIN_CHECKPOINT_MISMATCH,
    `${path} belongs to another configuration: ${list.join('; ')}`,
    {
      category: 'conflict',
      details: { differences: differences.map((d) => ({ ...d })) },
      hint: 'Restore these settings to go on, or start a new run in another output_dir.',
    },
  );
}

async function writeFlushed(path: string, text: string): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Windows cannot open a directory, and needs no flush to keep a rename. */
async function flushDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
