/** The hand-written scanners against the regular expressions and the normalization they stand for. */

import { createRng } from '@tuneyard/core';
import { describe, expect, it } from 'vitest';
import { codePointClasses } from '../src/tokenizer/fast/code-point-classes.js';
import { composeStretch } from '../src/tokenizer/fast/compose-stretch.js';
import { SCANNED_SPLITS } from '../src/tokenizer/fast/plan-byte-encoder.js';
import { TEXT_START, TextBuffer } from '../src/tokenizer/fast/text-buffer.js';
import { scanSplits } from '../src/tokenizer/kernels/scan-splits.js';
import { normalizeForm } from '../src/tokenizer/newer-forms.js';
import { preTokenize, splitStep } from '../src/tokenizer/pre-tokenizers.js';
import { compileSplitPattern } from '../src/tokenizer/split-regex.js';
import { pick, randomText } from './tokenizer-fixtures.js';

const LONE_SURROGATE = /\p{Surrogate}/gu;
const classes = codePointClasses();

describe.each(SCANNED_SPLITS)('the scanner for %s', (pattern, rules) => {
  const step = splitStep(compileSplitPattern(pattern, 'test'), 'Isolated');
  const text = new TextBuffer();
  const ends = new Int32Array(7);

  function scan(sample: string): string[] {
    const to = text.setText(sample);
    const pieces: string[] = [];
    let from = TEXT_START;
    while (from < to) {
      const count = scanSplits(text.bytes, from, to, { ...rules, classes }, ends);
      for (const end of ends.subarray(0, count)) {
        pieces.push(text.read(from, end));
        from = end;
      }
    }
    return pieces;
  }

  it('cuts random text where the pattern does', () => {
    const rng = createRng(1);
    for (let i = 0; i < 1500; i++) {
      const sample = randomText(rng).replace(LONE_SURROGATE, '\ufffd');
      expect(scan(sample), JSON.stringify(sample)).toEqual(preTokenize(sample, [step], true));
    }
  });

  it('cuts every short text over an alphabet of one character per rule', () => {
    const alphabet = ["'", 's', 'L', 'l', '\u017f', '1', ' ', '\u00a0', '\n', '\r', '.', '中', '½'];
    const rng = createRng(2);
    for (let i = 0; i < 20_000; i++) {
      const length = 1 + rng.nextInt(8);
      const sample = Array.from({ length }, () => pick(rng, alphabet)).join('');
      expect(scan(sample), JSON.stringify(sample)).toEqual(preTokenize(sample, [step], true));
    }
  });
});

describe('normalization form C in place', () => {
  const source = new TextBuffer();
  const target = new TextBuffer();

  function compose(sample: string): string {
    const to = source.setText(sample);
    const result = composeStretch(source, TEXT_START, to, target);
    return result.text.read(result.from, result.to);
  }

  it('gives every character between letters and marks the form of the reference', () => {
    for (let first = 0; first < 0x30000; first += 128) {
      if (first >= 0xd800 && first < 0xe000) {
        continue;
      }
      let sample = '';
      for (let codePoint = first; codePoint < first + 128; codePoint++) {
        const char = String.fromCodePoint(codePoint);
        sample += `a${char}x${char}\u0301\u0327b\u1100${char}\u09c7${char}`;
      }
      expect(compose(sample) === normalizeForm(sample, 'NFC'), first.toString(16)).toBe(true);
    }
  });

  it('gives random text the form of the reference', () => {
    const rng = createRng(3);
    for (let i = 0; i < 4000; i++) {
      const sample = randomText(rng).replace(LONE_SURROGATE, '\ufffd');
      expect(compose(sample)).toBe(normalizeForm(sample, 'NFC'));
      const decomposed = normalizeForm(sample, 'NFD');
      expect(compose(decomposed)).toBe(normalizeForm(decomposed, 'NFC'));
    }
  });
});
