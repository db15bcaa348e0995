/** Reads metadata and tensors of a GGUF file; tensors by byte range, on demand. */
import { TuneyardError } from '@tuneyard/core';
import { GGUF_ERRORS } from '../errors.js';
import { quoteName } from '../io/quote-name.js';
import { destinationSlice, RandomAccessFile } from '../io/random-access-file.js';
import { type GgufHeader, type GgufTensor, readGgufHeader } from './header.js';
import {
  findValue,
  missingKey,
  toBoolean,
  toNumber,
  toNumbers,
  toText,
  toTexts,
} from './metadata-access.js';
import type { GgufValue } from './value.js';

/**
 * An open GGUF file of version 2 or 3.
 *
 * `get…` accessors throw `GGUF_KEY_MISSING` for an absent key, `find…` return undefined; both throw
 * `GGUF_KEY_TYPE` for a value of another type.
 */
export class GgufReader {
  readonly path: string;
  readonly version: number;
  /** Bytes to a multiple of which tensor data are aligned. */
  readonly alignment: number;
  /** Metadata in the order of the file. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** Tensors in the order of the file. */
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly #file: RandomAccessFile;

  private constructor(file: RandomAccessFile, header: GgufHeader) {
    this.path = file.path;
    this.version = header.version;
    this.alignment = header.alignment;
    this.metadata = header.metadata;
    this.tensors = new Map(header.tensors.map((tensor) => [tensor.name, tensor]));
    this.#file = file;
  }

  /**
   * Opens a file and reads its header.
   *
   * Throws: `GGUF_…` for a malformed file, `FILE_…`. Cost: the metadata in memory, tensors not.
   */
  static async open(path: string): Promise<GgufReader> {
    const file = await RandomAccessFile.open(path);
    try {
      return new GgufReader(file, await readGgufHeader(file));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /**
   * Reads one tensor into a fresh buffer that starts at an 8-byte boundary.
   *
   * Throws: `GGUF_TENSOR_NOT_FOUND`, `FILE_SHORT_READ` when the file shrank since it was opened.
   */
  async read(name: string): Promise<Uint8Array> {
    const tensor = this.#locate(name);
    return await this.#file.readFresh(tensor.byteLength, tensor.begin);
  }

  /** Reads one tensor to `byteOffset` of a buffer at hand. Mutates: `dst`. Throws: as {@link read}. */
  async readInto(name: string, dst: Uint8Array, byteOffset = 0): Promise<void> {
    const tensor = this.#locate(name);
    await this.#file.readExact(destinationSlice(dst, byteOffset, tensor), tensor.begin);
  }

  /** A string value. */
  getString(key: string): string {
    return this.#required(key, this.findString(key));
  }

  /** A numeric value; 64-bit integers must fit below 2^53. */
  getNumber(key: string): number {
    return this.#required(key, this.findNumber(key));
  }

  /** A boolean value. */
  getBoolean(key: string): boolean {
    return this.#required(key, this.findBoolean(key));
  }

  /** An array of strings. */
  getStringArray(key: string): readonly string[] {
    return this.#required(key, this.findStringArray(key));
  }

  /** An array of numbers, or of booleans as 0 and 1. */
  getNumberArray(key: string): ArrayLike<number> {
    return this.#required(key, this.findNumberArray(key));
  }

  /** As {@link getString}, or undefined. */
  findString(key: string): string | undefined {
    const access = { convert: toText, wanted: 'a string', path: this.path };
    return findValue(this.metadata, key, access);
  }

  /** As {@link getNumber}, or undefined. */
  findNumber(key: string): number | undefined {
    const access = { convert: toNumber, wanted: 'a number below 2^53', path: this.path };
    return findValue(this.metadata, key, access);
  }

  /** As {@link getBoolean}, or undefined. */
  findBoolean(key: string): boolean | undefined {
    const access = { convert: toBoolean, wanted: 'a boolean', path: this.path };
    return findValue(this.metadata, key, access);
  }

  /** As {@link getStringArray}, or undefined. */
  findStringArray(key: string): readonly string[] | undefined {
    const access = { convert: toTexts, wanted: 'an array of strings', path: this.path };
    return findValue(this.metadata, key, access);
  }

  /** As {@link getNumberArray}, or undefined. */
  findNumberArray(key: string): ArrayLike<number> | undefined {
    const access = { convert: toNumbers, wanted: 'an array of numbers', path: this.path };
    return findValue(this.metadata, key, access);
  }

  /** Closes the file; closing twice is allowed. */
  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Same as {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #required<T>(key: string, value: T | undefined): T {
    if (value === undefined) throw missingKey(key, this.path);
    return value;
  }

  #locate(name: string): GgufTensor {
    const tensor = this.tensors.get(name);
    if (tensor !== undefined) return tensor;
    throw new TuneyardError(
      GGUF_ERRORS.GGUF_TENSOR_NOT_FOUND,
      `${this.path} holds no tensor ${quoteName(name)}; it has ${this.tensors.size} others`,
      { category: 'not_found', details: { path: this.path, tensor: name } },
    );
  }
}
