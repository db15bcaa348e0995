/** Ids with labels: the shape of fine-tuning rows, and what the length policy does to them. */
import type { EncodedSample, SampleEncodeOptions } from '../../encode/sample-encoder.js';
import { checkLength } from '../../encode/sample-encoder.js';
import { IGNORE_LABEL, type TokenizedSample } from '../../encode/samples.js';
import { type Rejection, type RowOrigin, reject } from '../conversation.js';
import type { HandledRow } from '../row-handler.js';

/** Fields of rows with labels. */
export const LABELED_FIELDS = ['input_ids', 'labels'] as const;

/** What each position of a sample is learned as. */
export function labelsOf({ ids, learned, labels }: TokenizedSample): Int32Array {
  return labels ?? Int32Array.from(ids, (id, i) => (learned[i] === 1 ? id : IGNORE_LABEL));
}

/**
 * A row of an encoded sample.
 *
 * Nothing is predicted at the first position, but in a packed row it follows another sample. So an end of an answer that
 * the encoder has as its label, as LLaMA-Factory does for templates with efficient_eos, is masked, as MindSpeed-LLM does.
 */
export function sampleRow({ sample, fullLength }: EncodedSample): HandledRow {
  const labels = labelsOf(sample);
  if (labels[0] === sample.ids[0] || labels[0] === IGNORE_LABEL) {
    return { fields: [sample.ids, labels], fullLength };
  }
  const masked = Int32Array.from(labels);
  masked[0] = IGNORE_LABEL;
  return { fields: [sample.ids, masked], fullLength };
}

/**
 * A row of ids and labels under the length policy: a longer one is refused, or keeps its first tokens, and one that
 * has nothing left to learn is refused.
 *
 * Throws: `DATA_ROW_TOO_LONG` under `overlength: 'error'`.
 */
export function fitRow(
  ids: Int32Array,
  labels: Int32Array,
  fit: {
    readonly origin: RowOrigin;
    readonly policy: Pick<SampleEncodeOptions, 'cutoffLength' | 'overlength'>;
  },
): HandledRow | Rejection {
  const { origin, policy } = fit;
  const refused = checkLength(origin, ids.length, policy);
  if (refused !== undefined) return refused;
  const isCut = ids.length > policy.cutoffLength;
  const keptLabels = isCut ? labels.slice(0, policy.cutoffLength) : labels;
  // The first position is never predicted.
  if (!keptLabels.some((label, i) => i > 0 && label !== IGNORE_LABEL)) {
    return reject('nothing_learned', isCut ? 'no answer is left after cutting' : 'all is masked');
  }
  const keptIds = isCut ? ids.slice(0, policy.cutoffLength) : ids;
  return { fields: [keptIds, keptLabels], fullLength: ids.length };
}
