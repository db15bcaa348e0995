/** Writes samples as indexed data sets, one per field. */
import { defined } from '@tuneyard/core';
import { IndexedDatasetWriter, type WrittenDtype } from '@tuneyard/formats';
import type { HandlerKind } from '../handlers/row-handler.js';
import { describeOutputs } from '../token-set/token-files.js';
import type { SampleBatch } from './sample-batch.js';

/** Ids below this fit uint16, with room for what Megatron pads vocabularies by. Source: Megatron-LM. */
const UINT16_VOCABULARY = 65_500;

/** What is written, and where. */
export interface TokenOutputOptions {
  readonly prefix: string;
  readonly kind: HandlerKind;
  /** Fields of the samples, as the handler gives them. */
  readonly fields: readonly string[];
  /** `auto`: raw text as uint16 where the vocabulary fits, everything else int32, because labels hold −100. */
  readonly dtype: WrittenDtype | 'auto';
  readonly vocabSize: number;
  readonly signal?: AbortSignal;
}

/** One indexed data set that was written. */
export interface WrittenField {
  readonly field: string;
  /** Path without `.bin` and `.idx`. */
  readonly prefix: string;
  readonly sequences: number;
  readonly tokens: number;
  readonly bytes: number;
}

/** The writers of one set of fields. */
export class TokenOutput {
  readonly #options: TokenOutputOptions;
  readonly #writers: readonly { readonly field: string; readonly writer: IndexedDatasetWriter }[];
  #samples = 0;

  private constructor(
    options: TokenOutputOptions,
    writers: readonly { readonly field: string; readonly writer: IndexedDatasetWriter }[],
  ) {
    this.#options = options;
    this.#writers = writers;
  }

  /** Opens the files under temporary names. Throws: `FILE_…`. */
  static async open(options: TokenOutputOptions): Promise<TokenOutput> {
    const { prefix, kind, fields, signal } = options;
    const writers: { field: string; writer: IndexedDatasetWriter }[] = [];
    for (const file of describeOutputs(prefix, kind, fields)) {
      const writer = await IndexedDatasetWriter.create(file.prefix, {
        dtype: dtypeOf(options),
        ...(signal === undefined ? {} : { signal }),
      });
      writers.push({ field: file.field, writer });
    }
    return new TokenOutput(options, writers);
  }

  /** Samples so far. */
  get samples(): number {
    return this.#samples;
  }

  /** Appends samples; a text without tokens adds no document. Throws: `INDEXED_DATASET_…`, `FILE_…`, `CANCELLED`. */
  async append(batch: SampleBatch): Promise<void> {
    const { kind, fields } = this.#options;
    for (const { field, writer } of this.#writers) {
      const index = fields.indexOf(field);
      const lengths = defined(batch.lengths[Math.max(index, 0)], 'lengths of a field');
      // Unpacked samples attend to themselves alone, so their mask is all ones and no handler makes it.
      const tokens = index < 0 ? ones(lengths) : defined(batch.tokens[index], 'tokens of a field');
      const isText = kind === 'pretrain';
      await writer.appendDocuments(
        tokens,
        isText ? lengths.filter((length) => length > 0) : lengths,
      );
    }
    this.#samples += batch.rows.length;
  }

  /** Moves the files to their names. Throws: `FILE_…`. */
  async commit(): Promise<WrittenField[]> {
    const written: WrittenField[] = [];
    for (const { field, writer } of this.#writers) {
      const { prefix, sequences, tokens, bytes } = await writer.commit();
      written.push({ field, prefix, sequences, tokens, bytes });
    }
    return written;
  }

  /** Removes what was not committed. */
  async discard(): Promise<void> {
    for (const { writer } of this.#writers) await writer.discard();
  }
}

function dtypeOf({ dtype, kind, fields, vocabSize }: TokenOutputOptions): WrittenDtype {
  if (dtype !== 'auto') return dtype;
  // Prompts without answers are written like texts, but MindSpeed-LLM reads them as parallel fields.
  const isText = kind === 'pretrain' && !fields.some((field) => field.startsWith('packed_'));
  return isText && vocabSize < UINT16_VOCABULARY ? 'uint16' : 'int32';
}

function ones(lengths: Int32Array): Int32Array {
  return new Int32Array(lengths.reduce((sum, length) => sum + length, 0)).fill(1);
}
