/** Applies and parses the pre-tokenizers of tokenizer.json. */

import { toByteLevel } from './byte-level.js';
import type { PreTokenizerStep, SplitBehavior } from './definition.js';
import {
  asArray,
  asRecord,
  asString,
  booleanField,
  type JsonRecord,
  unsupported,
} from './json-fields.js';
import { withoutNewer } from './newer-characters.js';
import { parsePattern } from './normalizers.js';
import { compileSplitPattern, GPT2_SPLIT } from './split-regex.js';

const KNOWN = [
  'Sequence',
  'ByteLevel',
  'Split',
  'Digits',
  'Metaspace',
  'Punctuation',
  'Whitespace',
  'WhitespaceSplit',
];
const BEHAVIORS: readonly SplitBehavior[] = [
  'Isolated',
  'Removed',
  'MergedWithPrevious',
  'MergedWithNext',
  'Contiguous',
];
/** Rust's `char::is_ascii_punctuation` or Unicode punctuation. */
const PUNCTUATION = /[!-/:-@[-`{-~\p{P}]/gu;

/**
 * Splits one normalized text into pieces. A byte-level step that ends the list only splits: the model
 * reads such pieces as UTF-8 bytes itself; anywhere else it also rewrites them in the byte alphabet.
 *
 * `isStart` says that the text opens the document, for Metaspace's "first" scheme.
 */
export function preTokenize(
  text: string,
  steps: readonly PreTokenizerStep[],
  isStart: boolean,
): readonly string[] {
  let pieces: readonly string[] = text === '' ? [] : [text];
  let opensDocument = isStart;
  for (const [i, step] of steps.entries()) {
    const isLast = i === steps.length - 1;
    const out: string[] = [];
    for (const [j, piece] of pieces.entries()) {
      applyStep(piece, step, { isStart: opensDocument && j === 0, isLast }, out);
    }
    opensDocument = opensDocument && keepsStart(pieces[0], step);
    pieces = out;
  }
  return pieces;
}

/**
 * Reads the `pre_tokenizer` member of tokenizer.json; null means none.
 *
 * Throws: `TOKENIZER_UNSUPPORTED` for a type or behaviour outside the known ones.
 */
export function parsePreTokenizer(value: unknown, where: string): readonly PreTokenizerStep[] {
  if (value === null || value === undefined) {
    return [];
  }
  const record = asRecord(value, where);
  const type = asString(record['type'], `${where}.type`);
  switch (type) {
    case 'Sequence':
      return asArray(record['pretokenizers'], `${where}.pretokenizers`).flatMap((step, i) =>
        parsePreTokenizer(step, `${where}.pretokenizers[${i}]`),
      );
    case 'ByteLevel':
      return [byteLevelStep(record, where)];
    case 'Split':
      return [
        {
          type: 'split',
          pattern: parsePattern(record['pattern'], `${where}.pattern`),
          behavior: parseBehavior(record['behavior'], `${where}.behavior`),
          invert: booleanField(record, 'invert', false),
        },
      ];
    case 'Digits':
      return [
        splitStep(
          /\p{N}/gu,
          booleanField(record, 'individual_digits', false) ? 'Isolated' : 'Contiguous',
        ),
      ];
    case 'Punctuation':
      return [
        splitStep(
          PUNCTUATION,
          parseBehavior(record['behavior'] ?? 'Isolated', `${where}.behavior`),
        ),
      ];
    case 'WhitespaceSplit':
      return [splitStep(/\p{White_Space}/gu, 'Removed')];
    case 'Whitespace':
      return [
        { ...splitStep(compileSplitPattern('\\w+|[^\\w\\s]+', where), 'Removed'), invert: true },
      ];
    case 'Metaspace':
      return [metaspaceStep(record, where)];
    default:
      throw unsupported(where, `the pre-tokenizer ${type}`, KNOWN);
  }
}

/** A split step that is not inverted. */
export function splitStep(
  pattern: RegExp,
  behavior: SplitBehavior,
): Extract<PreTokenizerStep, { type: 'split' }> {
  return { type: 'split', pattern, behavior, invert: false };
}

/** How a Metaspace record, old or new, treats the first word. */
export function metaspacePrepend(record: JsonRecord, where: string): 'always' | 'first' | 'never' {
  const scheme = record['prepend_scheme'];
  if (scheme === 'always' || scheme === 'first' || scheme === 'never') {
    return scheme;
  }
  if (scheme !== undefined && scheme !== null) {
    throw unsupported(where, `the prepend_scheme ${JSON.stringify(scheme)}`, [
      'always',
      'first',
      'never',
    ]);
  }
  return booleanField(record, 'add_prefix_space', true) ? 'always' : 'never';
}

function byteLevelStep(record: JsonRecord, where: string): PreTokenizerStep {
  return {
    type: 'byte-level',
    addPrefixSpace: booleanField(record, 'add_prefix_space', true),
    pattern: booleanField(record, 'use_regex', true)
      ? compileSplitPattern(GPT2_SPLIT, where)
      : null,
  };
}

function metaspaceStep(record: JsonRecord, where: string): PreTokenizerStep {
  return {
    type: 'metaspace',
    replacement: asString(record['replacement'] ?? '\u2581', `${where}.replacement`),
    prepend: metaspacePrepend(record, where),
    split: booleanField(record, 'split', true),
  };
}

function parseBehavior(value: unknown, where: string): SplitBehavior {
  const name = asString(value, where);
  const found = BEHAVIORS.find((behavior) => behavior === name);
  if (found === undefined) {
    throw unsupported(where, `the split behavior ${name}`, BEHAVIORS);
  }
  return found;
}

function applyStep(
  piece: string,
  step: PreTokenizerStep,
  place: { readonly isStart: boolean; readonly isLast: boolean },
  out: string[],
): void {
  switch (step.type) {
    case 'split':
      splitPiece(piece, step, out);
      return;
    case 'byte-level': {
      const text = step.addPrefixSpace && !piece.startsWith(' ') ? ` ${piece}` : piece;
      const from = out.length;
      if (step.pattern === null) {
        out.push(text);
      } else {
        splitPiece(text, splitStep(step.pattern, 'Isolated'), out);
      }
      for (let i = from; !place.isLast && i < out.length; i++) {
        out[i] = toByteLevel(out[i] ?? '');
      }
      return;
    }
    case 'metaspace':
      splitMetaspace(piece, step, place.isStart, out);
  }
}

/** False when the step removes the text at the start of `piece`. */
function keepsStart(piece: string | undefined, step: PreTokenizerStep): boolean {
  if (piece === undefined || step.type !== 'split' || step.behavior !== 'Removed') {
    return true;
  }
  return findStretches(piece, step.pattern, step.invert)[0]?.matched === false;
}

function splitMetaspace(
  piece: string,
  step: Extract<PreTokenizerStep, { type: 'metaspace' }>,
  isStart: boolean,
  out: string[],
): void {
  const mark = step.replacement;
  let text = piece.replaceAll(' ', mark);
  const prepends = step.prepend === 'always' || (step.prepend === 'first' && isStart);
  if (prepends && !text.startsWith(mark)) {
    text = mark + text;
  }
  if (!step.split) {
    out.push(text);
    return;
  }
  let from = 0;
  while (from < text.length) {
    const next = text.indexOf(mark, from + 1);
    const end = next < 0 ? text.length : next;
    out.push(text.slice(from, end));
    from = end;
  }
}

function splitPiece(
  text: string,
  step: Extract<PreTokenizerStep, { type: 'split' }>,
  out: string[],
): void {
  const { pattern, behavior } = step;
  if (behavior === 'Isolated') {
    // Inverting changes nothing here: every stretch is a piece of its own either way.
    isolate(text, pattern, out);
    return;
  }
  const stretches = findStretches(text, pattern, step.invert);
  if (behavior === 'Removed') {
    for (const stretch of stretches) {
      if (!stretch.matched) {
        out.push(stretch.text);
      }
    }
    return;
  }
  mergeStretches(stretches, behavior, out);
}

function isolate(text: string, pattern: RegExp, out: string[]): void {
  const seen = withoutNewer(text);
  let from = 0;
  pattern.lastIndex = 0;
  for (let match = pattern.exec(seen); match !== null; match = pattern.exec(seen)) {
    const length = match[0].length;
    if (length === 0) {
      pattern.lastIndex++;
      continue;
    }
    if (match.index > from) {
      out.push(text.slice(from, match.index));
    }
    from = match.index + length;
    out.push(text.slice(match.index, from));
  }
  if (from < text.length) {
    out.push(text.slice(from));
  }
}

interface Stretch {
  readonly text: string;
  readonly matched: boolean;
}

function findStretches(text: string, pattern: RegExp, invert: boolean): readonly Stretch[] {
  const stretches: Stretch[] = [];
  let from = 0;
  for (const match of withoutNewer(text).matchAll(pattern)) {
    if (match[0] === '') {
      continue;
    }
    if (match.index > from) {
      stretches.push({ text: text.slice(from, match.index), matched: invert });
    }
    from = match.index + match[0].length;
    stretches.push({ text: text.slice(match.index, from), matched: !invert });
  }
  if (from < text.length) {
    stretches.push({ text: text.slice(from), matched: invert });
  }
  return stretches;
}

/** Joins neighbours: matches to what is before or after them, or equals to equals. */
function mergeStretches(
  stretches: readonly Stretch[],
  behavior: Exclude<SplitBehavior, 'Isolated' | 'Removed'>,
  out: string[],
): void {
  let current = '';
  let previous: Stretch | undefined;
  for (const stretch of stretches) {
    if (previous === undefined || joins(previous, stretch, behavior)) {
      current += stretch.text;
    } else {
      out.push(current);
      current = stretch.text;
    }
    previous = stretch;
  }
  if (current !== '') {
    out.push(current);
  }
}

function joins(
  previous: Stretch,
  next: Stretch,
  behavior: Exclude<SplitBehavior, 'Isolated' | 'Removed'>,
): boolean {
  switch (behavior) {
    case 'Contiguous':
      return previous.matched === next.matched;
    case 'MergedWithPrevious':
      return next.matched && !previous.matched;
    case 'MergedWithNext':
      return previous.matched && !next.matched;
  }
}
