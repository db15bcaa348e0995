/** Batches of samples on their way from parts to the output. */
import { Int32List } from './int32-list.js';
import { readPart } from './part-file.js';
import type { PlacedPart } from './part-survey.js';

/** Tokens of a gathered batch before it is handed on. */
const BATCH_TOKENS = 1 << 20;

/** Samples end to end, field by field. */
export interface SampleBatch {
  readonly tokens: readonly Int32Array[];
  /** Tokens of each sample, by field. */
  readonly lengths: readonly Int32Array[];
  /** 1-based row of the data set of each sample. */
  readonly rows: Int32Array;
  /** Index of the data set of each sample. */
  readonly datasets: Int32Array;
}

/** A part in memory, with the place of each sample. */
export interface LoadedPart extends SampleBatch {
  /** First token of each sample, by field. */
  readonly begins: readonly Int32Array[];
  readonly repeated: Uint8Array | null;
}

/** Reads a part. Throws: `DATA_PART_DAMAGED`. */
export async function loadPart(part: PlacedPart, fields: number): Promise<LoadedPart> {
  const { tokens, lengths, rows } = await readPart(part.path, fields);
  return {
    tokens,
    lengths,
    rows: rows.map((row) => row + part.rowsBefore),
    datasets: new Int32Array(rows.length).fill(part.dataset),
    begins: lengths.map(beginsOf),
    repeated: part.repeated,
  };
}

/** The samples of a batch for which `isWanted` says so; the batch itself when that is all of them. */
export function selectSamples(
  batch: SampleBatch,
  isWanted: (index: number) => boolean,
): SampleBatch {
  const wanted: number[] = [];
  for (let i = 0; i < batch.rows.length; i++) if (isWanted(i)) wanted.push(i);
  if (wanted.length === batch.rows.length) return batch;
  const begins = batch.lengths.map(beginsOf);
  const builder = new BatchBuilder(batch.tokens.length);
  for (const index of wanted) builder.add({ ...batch, begins }, index);
  return builder.take();
}

/** Gathers samples one by one. */
export class BatchBuilder {
  readonly #tokens: readonly Int32List[];
  readonly #lengths: readonly Int32List[];
  readonly #rows = new Int32List();
  readonly #datasets = new Int32List();
  #count = 0;

  constructor(fields: number) {
    this.#tokens = Array.from({ length: fields }, () => new Int32List());
    this.#lengths = Array.from({ length: fields }, () => new Int32List());
  }

  /** True when it is time to take the batch. */
  get isFull(): boolean {
    return this.#count >= BATCH_TOKENS;
  }

  add(from: Omit<LoadedPart, 'repeated'>, index: number): void {
    for (const [i, tokens] of from.tokens.entries()) {
      const begin = from.begins[i]?.[index] ?? 0;
      const length = from.lengths[i]?.[index] ?? 0;
      this.#tokens[i]?.append(tokens.subarray(begin, begin + length));
      this.#lengths[i]?.push(length);
      this.#count += length;
    }
    this.#rows.push(from.rows[index] ?? 0);
    this.#datasets.push(from.datasets[index] ?? 0);
  }

  /** The samples so far; the builder is then empty. */
  take(): SampleBatch {
    this.#count = 0;
    return {
      tokens: this.#tokens.map((list) => list.take()),
      lengths: this.#lengths.map((list) => list.take()),
      rows: this.#rows.take(),
      datasets: this.#datasets.take(),
    };
  }
}

function beginsOf(lengths: Int32Array): Int32Array {
  const begins = new Int32Array(lengths.length);
  let at = 0;
  for (const [i, length] of lengths.entries()) {
    begins[i] = at;
    at += length;
  }
  return begins;
}
