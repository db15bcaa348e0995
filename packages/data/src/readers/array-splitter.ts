/**
 * Cuts the top-level elements out of a JSON array without parsing it.
 *
 * A byte scanner follows strings and brackets only; UTF-8 needs no care because its multi-byte units never
 * contain an ASCII byte. Elements are handed out as bytes: a bad one fails alone when it is parsed.
 */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import { MAX_JSON_DEPTH, MAX_RECORD_BYTES } from './limits.js';
import type { RawRecord, RecordSplitter } from './read-records.js';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;

/** What the scanner remembers between chunks. */
interface ScanState {
  /** 0 before and after the array, 1 between its elements. */
  depth: number;
  inString: boolean;
  escaped: boolean;
  closed: boolean;
  line: number;
  /** 0 before the array opens, then the 1-based position of the current element. */
  row: number;
  /** Line on which the current element began; 0 while none has begun. */
  beginLine: number;
  held: Buffer[];
  heldBytes: number;
}

/**
 * Creates a splitter for a file that is one JSON array; `row` is the 1-based position of the element.
 *
 * Throws: `DATA_BAD_JSON` when the array is not closed or text follows it; `DATA_RECORD_TOO_LARGE` when an
 * element passes the size or depth limit.
 */
export function createArraySplitter(path: string): RecordSplitter {
  const state: ScanState = {
    depth: 0,
    inString: false,
    escaped: false,
    closed: false,
    line: 1,
    row: 0,
    beginLine: 0,
    held: [],
    heldBytes: 0,
  };
  return {
    *push(chunk) {
      let begin = 0;
      let at = scanToEvent(state, chunk, 0, path);
      while (at < chunk.length) {
        const record = state.row === 0 ? openArray(state) : takeElement(state, chunk, begin, at);
        if (record !== undefined) yield record;
        begin = at + 1;
        at = scanToEvent(state, chunk, begin, path);
      }
      if (state.closed) return;
      state.held.push(chunk.subarray(begin));
      state.heldBytes += chunk.length - begin;
      if (state.heldBytes > MAX_RECORD_BYTES) throw tooLarge(path, state, 'too long');
    },
    finish() {
      if (!state.closed) throw notClosed(path, state);
      return [];
    },
  };
}

function openArray(state: ScanState): undefined {
  state.row = 1;
}

/** Returns the index of the next byte that opens the array or ends an element, else the length. */
function scanToEvent(state: ScanState, chunk: Buffer, from: number, path: string): number {
  for (let at = from; at < chunk.length; at++) {
    const byte = chunk[at] as number;
    if (state.inString) scanString(state, byte);
    else if (state.closed && byte > 0x20) throw textAfterArray(path, state);
    else if (scanOutside(state, byte)) return at;
    if (state.depth > MAX_JSON_DEPTH) throw tooLarge(path, state, 'nested too deeply');
  }
  return chunk.length;
}

function scanString(state: ScanState, byte: number): void {
  if (byte === 0x0a) state.line++;
  if (state.escaped) state.escaped = false;
  else if (byte === BACKSLASH) state.escaped = true;
  else if (byte === QUOTE) state.inString = false;
}

/** Advances over one byte outside strings; true where the array opens and where an element ends. */
function scanOutside(state: ScanState, byte: number): boolean {
  if (byte === 0x0a) state.line++;
  if (byte <= 0x20) return false;
  if (byte === COMMA && state.depth === 1) return true;
  const isClose = byte === 0x5d || byte === 0x7d;
  if (isClose) {
    state.depth--;
    state.closed = state.depth === 0;
    return state.closed;
  }
  if (state.depth === 0) {
    state.depth = 1;
    return true;
  }
  if (state.beginLine === 0) state.beginLine = state.line;
  if (byte === QUOTE) state.inString = true;
  else if (byte === 0x5b || byte === 0x7b) state.depth++;
  return false;
}

/** Ends the current element. An empty array and a trailing comma give none. */
function takeElement(
  state: ScanState,
  chunk: Buffer,
  begin: number,
  end: number,
): RawRecord | undefined {
  const tail = chunk.subarray(begin, end);
  const bytes = state.held.length === 0 ? tail : Buffer.concat([...state.held, tail]);
  const isEmpty = state.beginLine === 0;
  const record = { row: state.row, line: isEmpty ? state.line : state.beginLine, bytes };
  state.held = [];
  state.heldBytes = 0;
  state.beginLine = 0;
  if (isEmpty && state.closed) return undefined;
  state.row++;
  return record;
}

function notClosed(path: string, state: ScanState): TuneyardError {
  const begun = state.beginLine === 0 ? state.line : state.beginLine;
  return new TuneyardError(
    DATA_ERRORS.DATA_BAD_JSON,
    `${path}: the JSON array is not closed; element ${state.row}, begun on line ${begun}, has no end`,
    {
      details: { file: path, row: state.row, line: begun },
      hint: 'The file is cut off, or a quote or bracket is missing at that element.',
    },
  );
}

function textAfterArray(path: string, state: ScanState): TuneyardError {
  return new TuneyardError(
    DATA_ERRORS.DATA_BAD_JSON,
    `${path}:${state.line}: there is text after the end of the JSON array`,
    {
      details: { file: path, line: state.line },
      hint: 'Join the arrays into one, or use one JSON object per line (.jsonl).',
    },
  );
}

function tooLarge(path: string, state: ScanState, what: string): TuneyardError {
  return new TuneyardError(
    DATA_ERRORS.DATA_RECORD_TOO_LARGE,
    `${path}: element ${state.row}, begun on line ${state.beginLine}, is ${what}`,
    {
      category: 'resource_exhausted',
      details: {
        file: path,
        row: state.row,
        line: state.beginLine,
        limitBytes: MAX_RECORD_BYTES,
        limitDepth: MAX_JSON_DEPTH,
      },
      hint: 'A missing quote or bracket at that element has the same effect.',
    },
  );
}
