/**
 * Decoders of tokenizer.json, reduced to what each token contributes in bytes.
 *
 * A chain such as Replace, ByteFallback, Fuse, Strip is a function of single tokens but for its ends,
 * so decoding a stream and decoding a whole text give the same result by construction. One difference
 * from the reference is wanted: where a run of byte tokens is not UTF-8, the reference gives up every
 * byte of the run, we keep the characters in it and replace only the broken parts.
 */

import { TextDecoder } from 'node:util';
import { fromByteLevel } from './byte-level.js';
import type { DecoderDefinition } from './definition.js';
import { asArray, asRecord, asString, type JsonRecord, unsupported } from './json-fields.js';
import { metaspacePrepend } from './pre-tokenizers.js';
import type { StreamDecoder } from './tokenizer.js';

const KNOWN = ['Sequence', 'ByteLevel', 'Metaspace', 'ByteFallback', 'Fuse', 'Replace', 'Strip'];
const SPACE = 0x20;
const utf8 = new TextEncoder();

/** A decoder that writes token texts one after another. */
export const PLAIN_DECODER: DecoderDefinition = {
  byteLevel: false,
  byteFallback: false,
  replacements: [],
  dropInFirst: null,
  stripLeadingSpaces: 0,
  separator: '',
};

/**
 * Reads the `decoder` member of tokenizer.json. Null means the reference's default, tokens with spaces
 * between them.
 *
 * Throws: `TOKENIZER_UNSUPPORTED` for a type, or an order of types, outside the known ones.
 */
export function parseDecoder(value: unknown, where: string): DecoderDefinition {
  if (value === null || value === undefined) {
    return { ...PLAIN_DECODER, separator: ' ' };
  }
  let decoder = PLAIN_DECODER;
  let fused = false;
  for (const [step, place] of flatten(value, where)) {
    const type = asString(step['type'], `${place}.type`);
    if (type === 'Fuse') {
      fused = true;
    } else if (type === 'Strip') {
      decoder = { ...decoder, stripLeadingSpaces: parseStrip(step, fused, place) };
    } else if (fused && type !== 'ByteLevel') {
      throw unsupported(place, `a ${type} decoder after Fuse`);
    } else {
      decoder = addStep(decoder, type, step, place);
    }
  }
  return decoder;
}

/** The bytes that `token` contributes, before the ends of the text are trimmed. */
export function tokenBytes(token: string, decoder: DecoderDefinition): Uint8Array {
  if (decoder.byteLevel) {
    return fromByteLevel(token);
  }
  if (decoder.byteFallback) {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
    if (byte !== undefined) {
      return Uint8Array.of(Number.parseInt(byte, 16));
    }
  }
  let text = token;
  for (const { from, to } of decoder.replacements) {
    text = text.replaceAll(from, to);
  }
  return utf8.encode(text);
}

/** What a stream needs to know of its tokenizer. */
export interface TokenSource {
  readonly decoder: DecoderDefinition;
  /** Token text, or undefined for ids without a token and for those to be left out. */
  tokenOf(id: number): string | undefined;
  /** {@link tokenBytes} of the token, possibly cached. */
  bytesOf(id: number): Uint8Array;
}

/** The one decoding routine: {@link StreamDecoder} over a tokenizer's tokens. */
export class ByteStreamDecoder implements StreamDecoder {
  readonly #source: TokenSource;
  #text = newTextDecoder();
  #isFirst = true;
  #spacesToStrip: number;

  constructor(source: TokenSource) {
    this.#source = source;
    this.#spacesToStrip = source.decoder.stripLeadingSpaces;
  }

  push(id: number): string {
    const token = this.#source.tokenOf(id);
    if (token === undefined) {
      return '';
    }
    const { decoder } = this.#source;
    let bytes = this.#source.bytesOf(id);
    let between = '';
    if (this.#isFirst) {
      this.#isFirst = false;
      if (decoder.dropInFirst !== null) {
        bytes = tokenBytes(token.replaceAll(decoder.dropInFirst, ''), decoder);
      }
    } else if (decoder.separator !== '') {
      between = this.#text.decode(utf8.encode(decoder.separator), { stream: true });
    }
    return between + this.#text.decode(this.#strip(bytes), { stream: true });
  }

  flush(): string {
    const rest = this.#text.decode();
    this.#text = newTextDecoder();
    this.#isFirst = true;
    this.#spacesToStrip = this.#source.decoder.stripLeadingSpaces;
    return rest;
  }

  #strip(bytes: Uint8Array): Uint8Array {
    let from = 0;
    while (this.#spacesToStrip > 0 && from < bytes.length) {
      if (bytes[from] !== SPACE) {
        this.#spacesToStrip = 0;
        break;
      }
      from++;
      this.#spacesToStrip--;
    }
    return from === 0 ? bytes : bytes.subarray(from);
  }
}

/** Decodes a whole list of ids: the text of a {@link ByteStreamDecoder}, in one go. */
export function decodeAll(ids: ArrayLike<number>, source: TokenSource): string {
  const { decoder } = source;
  if (decoder.separator !== '') {
    const stream = new ByteStreamDecoder(source);
    let text = '';
    for (let i = 0; i < ids.length; i++) {
      text += stream.push(ids[i] ?? -1);
    }
    return text + stream.flush();
  }
  const pieces: Uint8Array[] = [];
  let total = 0;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] ?? -1;
    const token = source.tokenOf(id);
    if (token !== undefined) {
      const isFirst = pieces.length === 0 && decoder.dropInFirst !== null;
      const bytes = isFirst
        ? tokenBytes(token.replaceAll(decoder.dropInFirst ?? '', ''), decoder)
        : source.bytesOf(id);
      pieces.push(bytes);
      total += bytes.length;
    }
  }
  const joined = Buffer.concat(pieces, total);
  let from = 0;
  while (from < decoder.stripLeadingSpaces && joined[from] === SPACE) {
    from++;
  }
  return newTextDecoder().decode(joined.subarray(from));
}

/** `ignoreBOM` keeps a leading U+FEFF in the text. */
function newTextDecoder(): TextDecoder {
  return new TextDecoder('utf-8', { ignoreBOM: true });
}

function flatten(value: unknown, where: string): readonly (readonly [JsonRecord, string])[] {
  const record = asRecord(value, where);
  if (record['type'] !== 'Sequence') {
    return [[record, where]];
  }
  return asArray(record['decoders'], `${where}.decoders`).flatMap((step, i) =>
    flatten(step, `${where}.decoders[${i}]`),
  );
}

function addStep(
  decoder: DecoderDefinition,
  type: string,
  step: JsonRecord,
  where: string,
): DecoderDefinition {
  switch (type) {
    case 'ByteLevel':
      return { ...decoder, byteLevel: true };
    case 'ByteFallback':
      return { ...decoder, byteFallback: true };
    case 'Replace': {
      const pattern = asRecord(step['pattern'], `${where}.pattern`);
      if (typeof pattern['String'] !== 'string') {
        throw unsupported(where, 'a Replace decoder with a regular expression');
      }
      const to = asString(step['content'], `${where}.content`);
      return withReplacement(decoder, pattern['String'], to);
    }
    case 'Metaspace': {
      const mark = asString(step['replacement'] ?? '\u2581', `${where}.replacement`);
      const dropInFirst = metaspacePrepend(step, where) === 'never' ? null : mark;
      return { ...withReplacement(decoder, mark, ' '), dropInFirst };
    }
    default:
      throw unsupported(where, `the decoder ${type}`, KNOWN);
  }
}

function withReplacement(decoder: DecoderDefinition, from: string, to: string): DecoderDefinition {
  return { ...decoder, replacements: [...decoder.replacements, { from, to }] };
}

function parseStrip(step: JsonRecord, fused: boolean, where: string): number {
  const { content, start, stop } = step;
  if (!fused || content !== ' ' || typeof start !== 'number' || stop !== 0) {
    throw unsupported(
      where,
      `the decoder Strip ${JSON.stringify({ content, start, stop })}${fused ? '' : ' before Fuse'}`,
      ['Strip of leading spaces after Fuse'],
    );
  }
  return start;
}
