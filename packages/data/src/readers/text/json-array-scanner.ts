/**
 * Cuts the top-level elements out of a JSON array without parsing it.
 *
 * A byte scanner follows strings and brackets only; UTF-8 needs no care because its multi-byte units never
 * contain an ASCII byte. Elements are handed out as bytes: a bad one fails alone when it is parsed.
 */
import type { TuneyardError } from '@tuneyard/core';
import { fileError } from '../file-errors.js';
import { createArrayScan, scanToEvent } from '../kernels/scan-json-array.js';
import { MAX_JSON_DEPTH, MAX_RECORD_BYTES } from '../limits.js';

/** A record's bytes as a scanner cuts them out. */
export interface RawRecord {
  /** 1-based position of the element. */
  readonly row: number;
  /** 1-based line on which it begins. */
  readonly line: number;
  readonly bytes: Buffer;
}

/** Cuts a JSON array that arrives in chunks. */
export class JsonArrayScanner {
  readonly #path: string;
  readonly #scan = createArrayScan();
  #row = 0;
  #held: Buffer[] = [];
  #heldBytes = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Takes the next chunk and yields the elements that end in it.
   *
   * Throws: `DATA_BAD_JSON` when text follows the array; `DATA_RECORD_TOO_LARGE` when an element passes the limits of
   * size or depth.
   */
  *push(chunk: Buffer): Generator<RawRecord, void, undefined> {
    let begin = 0;
    while (true) {
      const at = scanToEvent(this.#scan, chunk, begin, MAX_JSON_DEPTH);
      if (this.#scan.fault !== 0) throw this.#faultError();
      if (at === chunk.length) break;
      if (this.#row === 0) this.#row = 1;
      else yield* this.#takeElement(chunk.subarray(begin, at));
      begin = at + 1;
    }
    if (this.#scan.isClosed) return;
    this.#held.push(chunk.subarray(begin));
    this.#heldBytes += chunk.length - begin;
    if (this.#heldBytes > MAX_RECORD_BYTES) throw this.#tooLarge('too long');
  }

  /** Ends the stream. Throws: `DATA_BAD_JSON` when the array is not closed. */
  finish(): void {
    const { isClosed, beginLine, line } = this.#scan;
    if (isClosed) return;
    const begun = beginLine === 0 ? line : beginLine;
    throw fileError(
      'DATA_BAD_JSON',
      { file: this.#path, row: this.#row, line: begun },
      `the JSON array is not closed; element ${this.#row}, begun on line ${begun}, has no end`,
      { hint: 'The file is cut off, or a quote or bracket is missing at that element.' },
    );
  }

  /** Ends the current element. An empty array and a trailing comma give none. */
  *#takeElement(tail: Buffer): Generator<RawRecord, void, undefined> {
    const bytes = this.#held.length === 0 ? tail : Buffer.concat([...this.#held, tail]);
    const { beginLine, line, isClosed } = this.#scan;
    const row = this.#row;
    this.#held = [];
    this.#heldBytes = 0;
    this.#scan.beginLine = 0;
    if (beginLine === 0 && isClosed) return;
    this.#row++;
    yield { row, line: beginLine === 0 ? line : beginLine, bytes };
  }

  #faultError(): TuneyardError {
    if (!this.#scan.isClosed) return this.#tooLarge('nested too deeply');
    return fileError(
      'DATA_BAD_JSON',
      { file: this.#path, line: this.#scan.line },
      'there is text after the end of the JSON array',
      { hint: 'Join the arrays into one, or use one JSON object per line (.jsonl).' },
    );
  }

  #tooLarge(what: string): TuneyardError {
    const { beginLine } = this.#scan;
    return fileError(
      'DATA_RECORD_TOO_LARGE',
      { file: this.#path, row: this.#row, line: beginLine },
      `element ${this.#row}, begun on line ${beginLine}, is ${what}`,
      {
        category: 'resource_exhausted',
        details: { limitBytes: MAX_RECORD_BYTES, limitDepth: MAX_JSON_DEPTH },
        hint: 'A missing quote or bracket at that element has the same effect.',
      },
    );
  }
}
