/**
 * What `JSON.parse` cannot tell about a header: duplicate names, nesting, and the order of names.
 *
 * `JSON.parse` keeps the last of two equal names, so two tensors of one name would silently become one,
 * and it moves names such as `"0"` to the front. One pass over the text finds both before the parse.
 */
import { TuneyardError } from '@tuneyard/core';
import { SAFETENSORS_ERRORS } from '../errors.js';
import { quoteName } from '../io/quote-name.js';
import { MAX_JSON_DEPTH } from './limits.js';

/** A parsed JSON object together with its names in the order of the text. */
export interface JsonObjectText {
  readonly names: readonly string[];
  readonly value: { readonly [name: string]: unknown };
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;

/**
 * Decodes and parses the text of one JSON object, as headers and shard indexes are.
 *
 * Throws: `SAFETENSORS_HEADER_NOT_UTF8`, `SAFETENSORS_HEADER_START`, `SAFETENSORS_HEADER_NOT_JSON`,
 * `SAFETENSORS_DUPLICATE_KEY`. Cost: two passes over the text.
 */
export function parseJsonObject(bytes: Uint8Array, where: string): JsonObjectText {
  const text = decodeUtf8(bytes, where);
  // The format wants the brace first; its reference reader skips white space, and files rely on that.
  if (!/^[ \t\r\n]*\{/.test(text)) {
    throw new TuneyardError(
      SAFETENSORS_ERRORS.SAFETENSORS_HEADER_START,
      `${where}: the JSON must start with {, found ${quoteName(text.slice(0, 8))}`,
    );
  }
  const names = scanNames(text, where);
  const value = parse(text, where);
  // The text starts with a brace, so a successful parse is an object.
  return { names, value: value as { readonly [name: string]: unknown } };
}

/** True for a JSON object, false for null and arrays. */
export function isJsonObject(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function decodeUtf8(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new TuneyardError(
      SAFETENSORS_ERRORS.SAFETENSORS_HEADER_NOT_UTF8,
      `${where}: the JSON header is not valid UTF-8`,
      { cause: error },
    );
  }
}

function parse(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw notJson(where, error instanceof SyntaxError ? error.message : String(error), error);
  }
}

/** Names of the outermost object in order; refuses duplicates at any level and too much nesting. */
function scanNames(text: string, where: string): string[] {
  const scan: NameScan = { outermost: [], objects: [], isNameNext: false, where };
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      const end = stringEnd(text, i);
      if (scan.isNameNext) addName(scan, nameOf(text.slice(i, end + 1), where));
      i = end;
    } else {
      followPunctuation(scan, code);
    }
  }
  return scan.outermost;
}

/** State of a scan: names met in each object that is open, null for an open array. */
interface NameScan {
  readonly outermost: string[];
  readonly objects: (Set<string> | null)[];
  isNameNext: boolean;
  readonly where: string;
}

/** Mutates: `scan`. Text that is not JSON leads to some state, and is refused by the parse afterwards. */
function followPunctuation(scan: NameScan, code: number): void {
  switch (code) {
    case OPEN_BRACE:
    case OPEN_BRACKET:
      if (scan.objects.length === MAX_JSON_DEPTH) {
        throw notJson(scan.where, `it is nested deeper than ${MAX_JSON_DEPTH} levels`);
      }
      scan.objects.push(code === OPEN_BRACE ? new Set() : null);
      scan.isNameNext = code === OPEN_BRACE;
      break;
    case CLOSE_BRACE:
    case CLOSE_BRACKET:
      scan.objects.pop();
      scan.isNameNext = false;
      break;
    case COMMA:
      scan.isNameNext = scan.objects.at(-1) instanceof Set;
      break;
    case COLON:
      scan.isNameNext = false;
      break;
  }
}

/** Index of the closing quote, or of the last character when the string never ends. */
function stringEnd(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) return i;
    if (code === BACKSLASH) i++;
  }
  return text.length - 1;
}

function nameOf(literal: string, where: string): string {
  if (!literal.includes('\\')) return literal.slice(1, -1);
  const name = parse(literal, where);
  return typeof name === 'string' ? name : literal;
}

function addName({ objects, outermost, where }: NameScan, name: string): void {
  const names = objects.at(-1);
  if (!(names instanceof Set)) return;
  if (names.has(name)) {
    throw new TuneyardError(
      SAFETENSORS_ERRORS.SAFETENSORS_DUPLICATE_KEY,
      `${where}: the name ${quoteName(name)} appears twice`,
      { details: { name } },
    );
  }
  names.add(name);
  if (objects.length === 1) outermost.push(name);
}

function notJson(where: string, reason: string, cause?: unknown): TuneyardError {
  return new TuneyardError(
    SAFETENSORS_ERRORS.SAFETENSORS_HEADER_NOT_JSON,
    `${where}: the JSON header cannot be read: ${reason}`,
    { cause },
  );
}
