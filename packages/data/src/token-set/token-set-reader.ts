/** Reads the parallel fields of a prepared data set together, block by block. */
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { throwIfAborted } from '@tuneyard/core';
import { IndexedDatasetReader, type OpenIndexedDatasetOptions } from '@tuneyard/formats';
import type { HandlerKind } from '../handlers/row-handler.js';
import { findTokenFiles, type TokenFile, type TokenFileSet } from './token-files.js';
import { badSet } from './token-set-error.js';
import { readTokenSetMeta, type TokenSetDescription, tokenSetFiles } from './token-set-meta.js';

/** A prepared data set and what is known of how it was made. */
export interface LocatedTokenSet {
  readonly files: TokenFileSet;
  /** Null for data sets that another tool wrote. */
  readonly description: TokenSetDescription | null;
}

/** Sequences of all fields that were read together. */
export interface FieldBatch {
  /** Number of the first sequence. */
  readonly first: number;
  readonly count: number;
  /** By field, in the order of {@link TokenSetReader.fields}. */
  readonly fields: readonly { readonly tokens: Int32Array; readonly lengths: Int32Array }[];
}

/** Fields of each kind that have the same lengths, sequence by sequence. */
const PARALLEL: readonly (readonly string[])[] = [
  ['input_ids', 'attention_mask', 'labels'],
  ['chosen_input_ids', 'chosen_labels'],
  ['rejected_input_ids', 'rejected_labels'],
];

/**
 * Finds the data sets that a path means: the directory of a token set, or whatever `findTokenFiles` accepts.
 *
 * Throws: as these.
 */
export async function locateTokenSet(path: string): Promise<LocatedTokenSet> {
  const isDirectory = (await stat(path).catch(() => null))?.isDirectory() ?? false;
  const description = isDirectory ? await readTokenSetMeta(path) : null;
  if (description === null && isDirectory) await refuseOlder(path);
  if (description === null) return { files: await findTokenFiles(path), description };
  const { kind, fields } = description;
  const files = tokenSetFiles(path, kind, fields);
  return { files: { kind, prefix: path, level: 'document', files }, description };
}

/** Version 1 kept everything in one safetensors file. */
async function refuseOlder(dir: string): Promise<void> {
  const older = await stat(join(dir, 'tokens.safetensors')).catch(() => null);
  if (older !== null)
    throw badSet(dir, 'the token set has version 1; this program reads version 2');
}

/** An open prepared data set. Cost: the indexes stay in memory, see `IndexedDatasetReader`. */
export class TokenSetReader {
  readonly kind: HandlerKind;
  /** What a user passes to a trainer. */
  readonly prefix: string;
  readonly fields: readonly string[];
  readonly #readers: readonly IndexedDatasetReader[];

  private constructor(
    set: Pick<TokenFileSet, 'kind' | 'prefix'>,
    files: readonly TokenFile[],
    readers: readonly IndexedDatasetReader[],
  ) {
    this.kind = set.kind;
    this.prefix = set.prefix;
    this.fields = files.map((file) => file.field);
    this.#readers = readers;
  }

  /** Opens fields that lie side by side. Throws: `DATA_BAD_TOKEN_SET` when their lengths differ, `INDEXED_DATASET_…`. */
  static async open(
    set: Omit<TokenFileSet, 'level'>,
    options: OpenIndexedDatasetOptions = {},
  ): Promise<TokenSetReader> {
    const readers: IndexedDatasetReader[] = [];
    try {
      for (const { prefix } of set.files) {
        readers.push(await IndexedDatasetReader.open(prefix, options));
      }
      const opened = new TokenSetReader(set, set.files, readers);
      opened.#checkLengths();
      return opened;
    } catch (error) {
      await Promise.all(readers.map((reader) => reader.close()));
      throw error;
    }
  }

  /** The data set of one field; undefined when the set has no such field. */
  field(name: string): IndexedDatasetReader | undefined {
    return this.#readers[this.fields.indexOf(name)];
  }

  /** Sequences of each field. */
  get sequenceCount(): number {
    return this.#main.sequenceCount;
  }

  get documentCount(): number {
    return this.#main.documentCount;
  }

  /** Tokens of all sequences, padding included; of pairs, those of the chosen side. */
  get tokenCount(): number {
    return this.#main.tokenCount;
  }

  /** Reads all fields of sequences in order, many at a time. Throws: `INDEXED_DATASET_…`, `CANCELLED`. */
  async *batches(
    options: { readonly first?: number; readonly end?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<FieldBatch, void, undefined> {
    for await (const { first, lengths, tokens } of this.#main.blocks(options)) {
      throwIfAborted(options.signal);
      const end = first + lengths.length;
      const fields = [{ tokens, lengths }];
      for (const reader of this.#readers.slice(1)) {
        const others = reader.lengths.subarray(first, end);
        fields.push({ tokens: await reader.range(first, end), lengths: others });
      }
      yield { first, count: lengths.length, fields };
    }
  }

  /** Closes all files; closing twice is allowed. */
  async close(): Promise<void> {
    await Promise.all(this.#readers.map((reader) => reader.close()));
  }

  /** Same as {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #main(): IndexedDatasetReader {
    const [main] = this.#readers;
    if (main === undefined) throw badSet(this.prefix, 'the data set has no fields');
    return main;
  }

  #checkLengths(): void {
    const count = this.sequenceCount;
    for (const [i, reader] of this.#readers.entries()) {
      if (reader.sequenceCount === count) continue;
      throw badSet(
        this.prefix,
        `${this.fields[i]} has ${reader.sequenceCount} sequences, ${this.fields[0]} has ${count}`,
      );
    }
    for (const names of PARALLEL) {
      const [main, ...others] = names.flatMap((name) => this.field(name) ?? []);
      for (const other of others) if (main !== undefined) this.#checkParallel(main, other);
    }
  }

  #checkParallel(main: IndexedDatasetReader, other: IndexedDatasetReader): void {
    const at = main.lengths.findIndex((length, i) => length !== other.lengths[i]);
    if (at < 0) return;
    throw badSet(
      this.prefix,
      `sequence ${at} has ${main.lengths[at]} tokens in ${basename(main.prefix)} and ` +
        `${other.lengths[at]} in ${basename(other.prefix)}`,
    );
  }
}

/**
 * Opens a prepared data set for reading block by block.
 *
 * Throws: `DATA_BAD_TOKEN_SET`, `DATA_TOKEN_FILES_…`, `INDEXED_DATASET_…`, `FILE_…`.
 */
export async function openTokenSetReader(path: string): Promise<TokenSetReader> {
  const { files } = await locateTokenSet(path);
  if (files.kind === 'pretrain' && files.files.length > 1) {
    const names = files.files.map((file) => basename(file.prefix)).join(', ');
    throw badSet(path, `the text fields are data sets of their own; pass one of ${names}`);
  }
  return await TokenSetReader.open(files);
}
