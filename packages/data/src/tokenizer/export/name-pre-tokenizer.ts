/**
 * Finds the `tokenizer.ggml.pre` name of a byte-level tokenizer by what its pre-tokenizer does.
 *
 * llama.cpp's converter knows a tokenizer by a hash of the ids it gives; here the split patterns
 * themselves are compared, after both sides have gone through the same translation. Two differences of
 * spelling are levelled: `(?i:'s)` also takes U+017F where llama.cpp's `'[sS]` does not, and a closing
 * `|\s+` after `\s+(?!\S)` only names what would be a piece anyway.
 */

import { TuneyardError } from '@tuneyard/core';
import type { PreTokenizerStep, TokenizerDefinition } from '../definition.js';
import { TOKENIZER_ERRORS } from '../errors.js';
import { type GgufPreTokenizer, ggufPreTokenizer } from '../gguf-pre-tokenizers.js';
import { compileSplitPattern } from '../split-regex.js';

/** One name per way of splitting: the one that most models of that kind carry. */
const NAMES = [
  'gpt-2',
  'smollm',
  'llama-bpe',
  'dbrx',
  'qwen2',
  'qwen35',
  'deepseek-coder',
  'deepseek-v3',
  'falcon',
  'tekken',
  'gpt-4o',
  'default',
] as const;

const CASED_START = '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const CASED_END = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';
const CASED_TAIL = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)';
const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?";

/** Patterns as tokenizer.json has them, where llama.cpp runs an approximation under the name. */
const APPROXIMATED: readonly { readonly name: string; readonly pattern: string }[] = [
  {
    name: 'tekken',
    pattern: `${CASED_START}*${CASED_END}+|${CASED_START}+${CASED_END}*|\\p{N}|${CASED_TAIL}`,
  },
  {
    name: 'gpt-4o',
    pattern: `${CASED_START}*${CASED_END}+${CONTRACTIONS}|${CASED_START}+${CASED_END}*${CONTRACTIONS}|\\p{N}{1,3}|${CASED_TAIL}`,
  },
];

/** A name and how well it fits. */
export interface PreTokenizerName {
  readonly name: string;
  /** False: llama.cpp splits almost, but not always, like the tokenizer. */
  readonly isExact: boolean;
}

/**
 * Names the splitter of a byte-level tokenizer.
 *
 * Throws: `TOKENIZER_UNKNOWN_PRE_TOKENIZER` with the names there are, when none of them splits alike.
 */
export function namePreTokenizer(definition: TokenizerDefinition): PreTokenizerName {
  const { origin, preTokenizer, model } = definition;
  const patterns = splitPatterns(preTokenizer);
  const wanted = patterns?.join('\n');
  for (const name of NAMES) {
    const known = ggufPreTokenizer(name, origin);
    if (known.ignoreMerges === model.ignoreMerges && signature(known) === wanted) {
      return { name, isExact: true };
    }
  }
  const approximated = APPROXIMATED.find(
    ({ name, pattern }) =>
      ggufPreTokenizer(name, origin).ignoreMerges === model.ignoreMerges &&
      level(compileSplitPattern(pattern, name).source) === wanted,
  );
  if (approximated !== undefined) return { name: approximated.name, isExact: false };
  throw unknownSplitter(definition, patterns);
}

function signature(known: GgufPreTokenizer): string {
  return known.patterns
    .map((pattern) => level(compileSplitPattern(pattern, 'gguf').source))
    .join('\n');
}

/** The levelled patterns of the steps in order; null when a step does more than cut at matches. */
function splitPatterns(steps: readonly PreTokenizerStep[]): readonly string[] | null {
  const patterns: string[] = [];
  for (const [i, step] of steps.entries()) {
    if (step.type === 'byte-level' && i === steps.length - 1) {
      if (step.pattern !== null) patterns.push(level(step.pattern.source));
    } else if (step.type === 'split' && cutsOnly(step)) {
      patterns.push(level(step.pattern.source));
    } else {
      return null;
    }
  }
  return patterns;
}

/** Keeping the matches alone loses nothing when the pattern ends in "any white space". */
function cutsOnly(step: Extract<PreTokenizerStep, { type: 'split' }>): boolean {
  const keepsMatches = step.behavior === 'Removed' && step.invert;
  return step.behavior === 'Isolated' || (keepsMatches && ANY_SPACE.test(step.pattern.source));
}

const ANY_SPACE = /\|\\p\{White_Space\}\+\(\?!\\P\{White_Space\}\)\|\\p\{White_Space\}\+$/;

function level(source: string): string {
  const plain = source.replaceAll('\u017f', '').replaceAll('\u212a', '');
  return ANY_SPACE.test(plain) ? plain.slice(0, plain.lastIndexOf('|')) : plain;
}

function unknownSplitter(
  { origin, model }: TokenizerDefinition,
  patterns: readonly string[] | null,
): TuneyardError {
  const what =
    patterns === null
      ? 'a pre-tokenizer that does more than split'
      : `the split ${patterns.map((pattern) => JSON.stringify(pattern)).join(', ')}${model.ignoreMerges ? ' with ignore_merges' : ''}`;
  return new TuneyardError(
    TOKENIZER_ERRORS.TOKENIZER_UNKNOWN_PRE_TOKENIZER,
    `${origin}: ${what} has no name in GGUF; known: ${NAMES.join(', ')}`,
    {
      details: { origin, patterns: patterns === null ? null : [...patterns], known: [...NAMES] },
      hint: 'Export the model as a Hugging Face directory instead, or take the tokenizer from a GGUF file of the same model.',
    },
  );
}
