/**
 * Packing for the trainer: several short samples share one row of fixed capacity, without padding.
 *
 * Samples in a row never see one another: the engine masks attention and restarts positions at the
 * boundaries in `segmentLengths`.
 */
import { assert } from '@tuneyard/core';
import { IGNORE_LABEL, type PackedRow, type TokenizedSample } from '../encode/samples.js';
import { planPacks } from './plan-packs.js';

export { planPacks } from './plan-packs.js';

/** A part of a sample set: what packing needs to know of a sample. */
export interface Packable extends Pick<TokenizedSample, 'ids' | 'learned' | 'labels'> {
  /** Present where a stored row already holds several samples. Sum = `ids.length`. */
  readonly segmentLengths?: readonly number[];
}

/** Builds packed rows from samples of at most `capacity` tokens; see {@link planPacks}. */
export function buildPackedRows(samples: readonly Packable[], capacity: number): PackedRow[] {
  const lengths = samples.map((sample) => sample.ids.length);
  return planPacks(lengths, capacity).map((pack) =>
    joinSamples(pack.map((index) => samples[index] as Packable)),
  );
}

/** Gives every sample a row of its own. */
export function buildUnpackedRows(samples: readonly Packable[]): PackedRow[] {
  return samples.map((sample) => joinSamples([sample]));
}

/** Joins samples end to end; no token is shared and none is added. */
function joinSamples(samples: readonly Packable[]): PackedRow {
  const segmentLengths = samples.flatMap((sample) => sample.segmentLengths ?? sample.ids.length);
  const total = samples.reduce((sum, sample) => sum + sample.ids.length, 0);
  const ids = new Int32Array(total);
  const learned = new Uint8Array(total);
  let at = 0;
  for (const sample of samples) {
    assert(sample.learned.length === sample.ids.length, 'a mask has the length of its sample');
    ids.set(sample.ids, at);
    learned.set(sample.learned, at);
    at += sample.ids.length;
  }
  checkSegments(segmentLengths, learned);
  if (samples.every((sample) => sample.labels === undefined)) {
    return { ids, learned, segmentLengths };
  }
  return { ids, learned, labels: joinLabels(samples, total), segmentLengths };
}

/** Labels of all samples; where one has none of its own, each learned token is its label. */
function joinLabels(samples: readonly Packable[], total: number): Int32Array {
  const joined = new Int32Array(total);
  let at = 0;
  for (const { ids, learned, labels } of samples) {
    joined.set(labels ?? ids.map((id, i) => (learned[i] === 1 ? id : IGNORE_LABEL)), at);
    at += ids.length;
  }
  return joined;
}

function checkSegments(segmentLengths: readonly number[], learned: Uint8Array): void {
  let at = 0;
  for (const length of segmentLengths) {
    assert(learned[at] === 0, 'the first token of a sample is never a label');
    at += length;
  }
  assert(at === learned.length, 'segments add up to their row');
}
