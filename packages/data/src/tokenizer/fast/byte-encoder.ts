/**
 * The fast engine: runs the usual definitions on UTF-8 bytes.
 *
 * A text goes through added tokens, normalization, normalized added tokens, pieces and merges as in
 * the string engine, but as positions in one piece of reused memory: no substring, no regular
 * expression and no object per token. Ids are the same; test/tokenizer-corpus.slow.test.ts compares
 * whole corpora with the reference.
 *
 * Stretches between tokens may be rewritten in place, so the next token is always looked for before
 * the stretch in front of it is encoded.
 */

import { isUtf8 } from 'node:buffer';
import { TextDecoder } from 'node:util';
import { TuneyardError } from '@tuneyard/core';
import type { NormalizerStep, TokenizerDefinition } from '../definition.js';
import { TOKENIZER_ERRORS } from '../errors.js';
import type { IdBuffer } from '../id-buffer.js';
import { encodePieces, type PieceMemory } from '../kernels/encode-pieces.js';
import { MERGE_SYMBOLS_MAX } from '../kernels/merge.js';
import { type JoinRules, scanCuts } from '../kernels/scan-cuts.js';
import { type ScanRules, scanSplits } from '../kernels/scan-splits.js';
import { foldSpaceMarks } from '../kernels/scan-text.js';
import { normalize } from '../normalizers.js';
import { preTokenize } from '../pre-tokenizers.js';
import { SPACE_MARK } from '../sentencepiece.js';
import type { TextEngine } from '../text-engine.js';
import { ByteTokenFinder } from './byte-token-finder.js';
import { codePointClasses } from './code-point-classes.js';
import { composeStretch } from './compose-stretch.js';
import { characterJoins } from './join-rules.js';
import { createPieceMemory } from './piece-memory.js';
import { type ByteEncoderPlan, planByteEncoder } from './plan-byte-encoder.js';
import { TEXT_START, TextBuffer } from './text-buffer.js';

const BLANK = 0x20;
/** Pieces scanned at a time. */
const BATCH_PIECES = 1024;
/** Slots of one generation of remembered pieces: 16 MB, with its arenas up to 48 MB. */
const CACHE_SLOTS = 1 << 20;
const CACHE_SLOTS_MIN = 64;

/** Part of a text under work: character boundaries in a buffer. */
interface Stretch {
  readonly text: TextBuffer;
  readonly from: number;
  readonly to: number;
  /** The stretch opens the document. */
  readonly isStart: boolean;
}

/** A scanner with what it needs; null: pieces come from the definition's own steps. */
type Scanner =
  | { readonly kind: 'scan'; readonly rules: ScanRules; readonly addsSpace: boolean }
  | { readonly kind: 'cuts'; readonly rules: JoinRules }
  | null;

/**
 * The byte engine for a definition, or null when only the string engine can run it. `cacheSlots`
 * (default 2^20, rounded up to a power of two from 64) bounds each of the two generations of remembered pieces.
 */
export function createByteEncoder(
  definition: TokenizerDefinition,
  cacheSlots: number = CACHE_SLOTS,
): TextEngine | null {
  const plan = planByteEncoder(definition);
  if (plan === null) {
    return null;
  }
  const { pieces } = plan;
  let scanner: Scanner = null;
  if (pieces.kind === 'scan') {
    const rules = { ...pieces.rules, classes: codePointClasses() };
    scanner = { kind: 'scan', rules, addsSpace: pieces.addsSpace };
  } else if (pieces.kind === 'cuts') {
    const rules = characterJoins(definition.model, pieces.cutsBeforeSpace);
    if (rules === null) {
      return null;
    }
    scanner = { kind: 'cuts', rules };
  }
  const slots = 2 ** Math.ceil(Math.log2(Math.max(CACHE_SLOTS_MIN, cacheSlots)));
  const memory = createPieceMemory(definition, plan, slots);
  return memory === null ? null : new ByteEncoder({ definition, plan, scanner, memory });
}

class ByteEncoder implements TextEngine {
  readonly #definition: TokenizerDefinition;
  readonly #plan: ByteEncoderPlan;
  readonly #scanner: Scanner;
  readonly #memory: PieceMemory;
  readonly #rawFinder: ByteTokenFinder | null;
  readonly #normalizedFinder: ByteTokenFinder | null;
  readonly #raw = new TextBuffer();
  readonly #normalized = new TextBuffer();
  readonly #stepped = new TextBuffer();
  readonly #ends = new Int32Array(BATCH_PIECES);
  readonly #utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(parts: {
    readonly definition: TokenizerDefinition;
    readonly plan: ByteEncoderPlan;
    readonly scanner: Scanner;
    readonly memory: PieceMemory;
  }) {
    this.#definition = parts.definition;
    this.#plan = parts.plan;
    this.#scanner = parts.scanner;
    this.#memory = parts.memory;
    this.#rawFinder = createFinder(parts.definition, false, false);
    const spacesAreMarks = parts.plan.spaces?.when === 'normalizer';
    this.#normalizedFinder = createFinder(parts.definition, true, spacesAreMarks);
  }

  encodeText(text: string, parseSpecial: boolean, out: IdBuffer): void {
    this.#encode(this.#raw.setText(text), parseSpecial, out);
  }

  encodeBytes(bytes: Uint8Array, parseSpecial: boolean, out: IdBuffer): void {
    const end = isUtf8(bytes)
      ? this.#raw.setBytes(bytes)
      : this.#raw.setText(this.#utf8.decode(bytes));
    this.#encode(end, parseSpecial, out);
  }

  #encode(to: number, parseSpecial: boolean, out: IdBuffer): void {
    const whole = { text: this.#raw, from: TEXT_START, to, isStart: true };
    splitByTokens(this.#rawFinder, whole, parseSpecial, out, (stretch) => {
      this.#encodeStretch(stretch, parseSpecial, out);
    });
    this.#raw.release();
    this.#normalized.release();
    this.#stepped.release();
  }

  #encodeStretch(stretch: Stretch, parseSpecial: boolean, out: IdBuffer): void {
    let { text, from, to } = this.#runTextSteps(stretch);
    const { spaces } = this.#plan;
    if (from === to) {
      return;
    }
    if (spaces?.when === 'normalizer') {
      to = foldSpaceMarks(text.bytes, from, to);
      if (spaces.prepend === 'always') {
        text.bytes[--from] = BLANK;
      }
    }
    const normalized = { text, from, to, isStart: stretch.isStart };
    if (this.#normalizedFinder === null) {
      this.#encodePart(normalized, out);
      return;
    }
    splitByTokens(this.#normalizedFinder, normalized, parseSpecial, out, (part) => {
      this.#encodePart(part, out);
    });
  }

  #runTextSteps(stretch: Stretch): { text: TextBuffer; from: number; to: number } {
    const steps = this.#plan.textSteps;
    const { text, from, to } = stretch;
    if (steps.length === 0) {
      return { text, from, to };
    }
    if (isCompose(steps)) {
      return composeStretch(text, from, to, this.#normalized);
    }
    const end = this.#normalized.setText(normalize(text.read(from, to), steps));
    return { text: this.#normalized, from: TEXT_START, to: end };
  }

  #encodePart(part: Stretch, out: IdBuffer): void {
    const scanner = this.#scanner;
    if (scanner === null) {
      this.#encodeBySteps(part, out);
      return;
    }
    const { text } = part;
    let { from, to } = part;
    const { spaces } = this.#plan;
    if (spaces?.when === 'pre-tokenizer') {
      to = foldSpaceMarks(text.bytes, from, to);
    }
    if (this.#needsSpace(part) && text.bytes[from] !== BLANK) {
      text.bytes[--from] = BLANK;
    }
    const ends = this.#ends;
    while (from < to) {
      const count =
        scanner.kind === 'scan'
          ? scanSplits(text.bytes, from, to, scanner.rules, ends)
          : scanCuts(text.bytes, from, to, scanner.rules, ends);
      this.#encodeBatch(text, from, count, out);
      from = ends[count - 1] ?? to;
    }
  }

  /** Whether the splitter puts a space in front of a text that has none there. */
  #needsSpace(part: Stretch): boolean {
    if (this.#scanner?.kind === 'scan') {
      return this.#scanner.addsSpace;
    }
    const prepend = this.#plan.spaces?.prepend;
    return prepend === 'unless-space' || (prepend === 'unless-space-at-start' && part.isStart);
  }

  #encodeBySteps(part: Stretch, out: IdBuffer): void {
    const text = this.#stepped;
    const pieces = preTokenize(
      part.text.read(part.from, part.to),
      this.#definition.preTokenizer,
      part.isStart,
    );
    let next = 0;
    while (next < pieces.length) {
      const batch = pieces.slice(next, next + BATCH_PIECES);
      next += batch.length;
      text.reserve(batch.reduce((sum, piece) => sum + piece.length * 3, 0));
      let end = TEXT_START;
      let count = 0;
      for (const piece of batch) {
        if (piece !== '') {
          end = text.write(piece, end);
          this.#ends[count++] = end;
        }
      }
      this.#encodeBatch(text, TEXT_START, count, out);
    }
  }

  #encodeBatch(text: TextBuffer, from: number, count: number, out: IdBuffer): void {
    const ends = this.#ends;
    const last = ends[count - 1] ?? from;
    if (last - from > MERGE_SYMBOLS_MAX) {
      refuseLongPiece(from, ends, count);
    }
    encodePieces(this.#memory, text, from, ends, count, out);
  }
}

function isCompose(steps: readonly NormalizerStep[]): boolean {
  const step = steps[0];
  return steps.length === 1 && step?.type === 'unicode' && step.form === 'NFC';
}

function createFinder(
  definition: TokenizerDefinition,
  normalized: boolean,
  spacesAreMarks: boolean,
): ByteTokenFinder | null {
  const tokens = definition.addedTokens.flatMap((token) => {
    if ((token.normalizedContent !== null) !== normalized) {
      return [];
    }
    const spelling = token.normalizedContent ?? token.content;
    return spelling === ''
      ? []
      : [{ spelling: spacesAreMarks ? spelling.replaceAll(SPACE_MARK, ' ') : spelling, token }];
  });
  return tokens.length === 0 ? null : new ByteTokenFinder(tokens, spacesAreMarks);
}

/** Pushes the tokens in a stretch and hands what is between them to `encode`, in order. */
function splitByTokens(
  finder: ByteTokenFinder | null,
  whole: Stretch,
  parseSpecial: boolean,
  out: IdBuffer,
  encode: (stretch: Stretch) => void,
): void {
  const { text, to } = whole;
  const textStart = whole.from;
  let from = textStart;
  let searchFrom = from;
  while (finder !== null) {
    const range = { textStart, searchFrom, stripFrom: from, to };
    const match = finder.find(text.bytes, range, parseSpecial);
    if (match === null) {
      break;
    }
    if (from < match.start) {
      encode({ text, from, to: match.start, isStart: whole.isStart && from === textStart });
    }
    out.push(match.id);
    from = match.stop;
    searchFrom = match.searchFrom;
  }
  if (from < to) {
    encode({ text, from, to, isStart: whole.isStart && from === textStart });
  }
}

function refuseLongPiece(from: number, ends: Int32Array, count: number): void {
  let start = from;
  for (const end of ends.subarray(0, count)) {
    if (end - start > MERGE_SYMBOLS_MAX) {
      throw new TuneyardError(
        TOKENIZER_ERRORS.TOKENIZER_TEXT_TOO_LONG,
        `A stretch of ${end - start} bytes without a split point needs more than the ${MERGE_SYMBOLS_MAX} symbols that can be merged at once`,
        { hint: 'Cut the document into smaller ones.' },
      );
    }
    start = end;
  }
}
