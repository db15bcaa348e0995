import { readFileSync } from 'node:fs';
import { TuneyardError } from '@tuneyard/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTokenizer } from './bpe-tokenizer.js';
import { readSentencePiece } from './sentencepiece.js';

const file = readFileSync(
  new URL('../../test/fixtures/tokenizer/stories260k/tokenizer.model', import.meta.url),
);

/** One protobuf field; payloads stay below 128 bytes. */
function field(number: number, value: number | string | Uint8Array): Uint8Array {
  if (typeof value === 'number') {
    return Uint8Array.of(...varint(number * 8), ...varint(value));
  }
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return Uint8Array.of(...varint(number * 8 + 2), bytes.length, ...bytes);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
}

function score(value: number): Uint8Array {
  const bytes = new Uint8Array(5);
  bytes[0] = 2 * 8 + 5;
  new DataView(bytes.buffer).setFloat32(1, value, true);
  return bytes;
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function piece(text: string, value: number, type = 1): Uint8Array {
  return field(1, join(field(1, text), score(value), field(3, type)));
}

const PIECES = [piece('<unk>', 0, 2), piece('<s>', 0, 3), piece('</s>', 0, 3)];
const BPE = field(2, field(3, 2));
const AS_IS = field(3, join(field(3, 0), field(4, 0)));

describe('the SentencePiece reader', () => {
  it('merges the higher score first, also across characters that are no pieces', () => {
    const bytes = join(...PIECES, piece('ab', -2), piece('bc', -1), piece('abc', -3), BPE, AS_IS);
    const tokenizer = createTokenizer(readSentencePiece(bytes, 'test'));
    const names = (text: string) =>
      [...tokenizer.encode(text, { addSpecialTokens: false })].map((id) => tokenizer.idToToken(id));
    expect(names('ab')).toEqual(['ab']);
    // bc wins over ab; a alone is unknown and then joins bc, since "abc" is a piece.
    expect(names('abc')).toEqual(['abc']);
    expect(names('abbc')).toEqual(['ab', 'bc']);
    expect(names('xy ab')).toEqual(['<unk>', 'ab']);
    expect(tokenizer.vocabSize).toBe(6);
  });

  it('finds user-defined pieces in text and keeps control pieces special', () => {
    const bytes = join(...PIECES, piece('a', -1), piece('[x]', 0, 4), BPE, AS_IS);
    const tokenizer = createTokenizer(readSentencePiece(bytes, 'test'));
    expect([...tokenizer.encode('a[x]a</s>')]).toEqual([1, 3, 4, 3, 2]);
    expect(tokenizer.isSpecial(4)).toBe(false);
    expect([...tokenizer.encode('</s>', { addSpecialTokens: false, parseSpecial: false })]).toEqual(
      [0],
    );
  });

  it.each([
    [
      'a unigram model',
      join(...PIECES, field(2, field(3, 1))),
      /type unigram is not supported; known: bpe/,
    ],
    ['a model that states no type', join(...PIECES), /type unigram/],
    [
      'a character map',
      join(...PIECES, BPE, field(3, join(field(1, 'nmt_nfkc'), field(2, 'xx')))),
      /nmt_nfkc/,
    ],
    [
      'white space as a suffix',
      join(...PIECES, field(2, join(field(3, 2), field(24, 1)))),
      /suffix/,
    ],
    ['unused pieces', join(...PIECES, piece('a', 0, 5), BPE), /unused piece \(id 3\)/],
  ])('refuses %s by name', (_what, bytes, message) => {
    expect(() => readSentencePiece(bytes, 'test')).toThrow(
      expect.objectContaining({
        code: 'TOKENIZER_UNSUPPORTED',
        message: expect.stringMatching(message) as string,
      }) as Error,
    );
  });

  it('refuses an empty file and bytes that are no protobuf', () => {
    for (const bytes of [new Uint8Array(0), new TextEncoder().encode('{"model": 1}')]) {
      expect(() => readSentencePiece(bytes, 'test')).toThrow(
        expect.objectContaining({ code: 'TOKENIZER_BAD_FILE' }) as Error,
      );
    }
  });

  it('throws nothing but its own errors on truncated or damaged files', () => {
    const attempt = (bytes: Uint8Array) => {
      try {
        readSentencePiece(bytes, 'test');
      } catch (error) {
        expect(error).toBeInstanceOf(TuneyardError);
      }
    };
    for (let length = 0; length < 400; length++) {
      attempt(file.subarray(0, length));
    }
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.nat(255), (at, byte) => {
        const damaged = Uint8Array.from(file);
        damaged[at] = byte;
        attempt(damaged);
      }),
      { numRuns: 60, seed: 2 },
    );
  });
});
