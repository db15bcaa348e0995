/**
 * Decides whether the byte engine can run a definition, and how.
 *
 * What it takes: byte-level BPE with any split pattern (GPT-2's, Llama-3's and Qwen2's have scanners of
 * their own, others run their regular expression and share the rest), and SentencePiece-type BPE
 * whose spaces become U+2581 and which falls back to bytes. Everything else is for the string engine.
 */

import { byteChar } from '../byte-level.js';
import type {
  AddedToken,
  NormalizerStep,
  PreTokenizerStep,
  TokenizerDefinition,
} from '../definition.js';
import { VIRTUAL_SYMBOL_BASE } from '../definition.js';
import { GGUF_GPT2_SPLIT, GGUF_LLAMA3_SPLIT, GGUF_QWEN2_SPLIT } from '../gguf-pre-tokenizers.js';
import type { ScanRules } from '../kernels/scan-splits.js';
import { literalPattern } from '../normalizers.js';
import { SPACE_MARK } from '../sentencepiece.js';
import { compileSplitPattern, GPT2_SPLIT } from '../split-regex.js';

/** How normalized text becomes pieces. */
export type PiecePlan =
  /** A scanner, after a space is put in front when `addsSpace`. */
  | {
      readonly kind: 'scan';
      readonly rules: Omit<ScanRules, 'classes'>;
      readonly addsSpace: boolean;
    }
  /** The steps of the definition, run on strings. */
  | { readonly kind: 'steps' }
  /** Cuts between characters that no rule joins; see {@link SpacePlan}. */
  | { readonly kind: 'cuts'; readonly cutsBeforeSpace: boolean };

/** Who writes U+2581 for spaces, and when one is put in front. */
export interface SpacePlan {
  /** In the normalizer, before normalized added tokens are looked for, or after that. */
  readonly when: 'normalizer' | 'pre-tokenizer';
  /** `always` also in front of a space; the other two only where the text has none. */
  readonly prepend: 'always' | 'unless-space' | 'unless-space-at-start' | 'never';
}

/** How the byte engine runs a definition. */
export interface ByteEncoderPlan {
  /** Normalizer steps to run on strings first; a lone NFC step has a faster way. */
  readonly textSteps: readonly NormalizerStep[];
  readonly spaces: SpacePlan | null;
  readonly pieces: PiecePlan;
}

const WORDS = '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}';
const TAIL = '| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const LLAMA3_SPLIT = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|${WORDS}{1,3}${TAIL}`;
const QWEN2_SPLIT = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|${WORDS}${TAIL}`;

/** The patterns that have a scanner, as tokenizer.json and llama.cpp write them. */
export const SCANNED_SPLITS: readonly (readonly [string, Omit<ScanRules, 'classes'>])[] = [
  [GPT2_SPLIT, { isGpt2: true, digitsMax: 0, foldsLongS: false }],
  // Without the last alternative a lone space is a gap, and gaps are pieces too.
  [GGUF_GPT2_SPLIT, { isGpt2: true, digitsMax: 0, foldsLongS: false }],
  [LLAMA3_SPLIT, { isGpt2: false, digitsMax: 3, foldsLongS: true }],
  [GGUF_LLAMA3_SPLIT, { isGpt2: false, digitsMax: 3, foldsLongS: false }],
  [QWEN2_SPLIT, { isGpt2: false, digitsMax: 1, foldsLongS: true }],
  [GGUF_QWEN2_SPLIT, { isGpt2: false, digitsMax: 1, foldsLongS: false }],
];

/** The plan for a definition, or null when the string engine has to run it. */
export function planByteEncoder(definition: TokenizerDefinition): ByteEncoderPlan | null {
  return definition.preTokenizer.at(-1)?.type === 'byte-level'
    ? planByteLevel(definition)
    : planSpaceMarked(definition);
}

function planByteLevel(definition: TokenizerDefinition): ByteEncoderPlan | null {
  const { model, normalizer, preTokenizer } = definition;
  const hasAllBytes = Array.from({ length: 256 }, (_, byte) => byteChar(byte)).every((char) =>
    model.symbols.has(char),
  );
  if ((model.unkId !== null && !hasAllBytes) || hasVirtualSymbols(definition)) {
    return null;
  }
  return { textSteps: normalizer, spaces: null, pieces: planSplits(preTokenizer) };
}

function planSplits(steps: readonly PreTokenizerStep[]): PiecePlan {
  const last = steps.at(-1);
  const first = steps[0];
  if (last?.type === 'byte-level' && first !== undefined) {
    const rules =
      steps.length === 1
        ? scanRules(last.pattern)
        : steps.length === 2 &&
            first.type === 'split' &&
            first.behavior === 'Isolated' &&
            last.pattern === null &&
            !last.addPrefixSpace
          ? scanRules(first.pattern)
          : null;
    if (rules !== null) {
      return { kind: 'scan', rules, addsSpace: last.addPrefixSpace };
    }
  }
  return { kind: 'steps' };
}

function scanRules(pattern: RegExp | null): Omit<ScanRules, 'classes'> | null {
  const source = pattern?.source;
  return (
    SCANNED_SPLITS.find(([known]) => compileSplitPattern(known, '').source === source)?.[1] ?? null
  );
}

function planSpaceMarked(definition: TokenizerDefinition): ByteEncoderPlan | null {
  const { model, addedTokens, preTokenizer } = definition;
  const mark = model.symbols.get(SPACE_MARK);
  const hasBytes = model.byteFallback?.every((id) => id >= 0) ?? false;
  if (!hasBytes || mark === undefined || mark >= VIRTUAL_SYMBOL_BASE || model.ignoreMerges) {
    return null;
  }
  const plan =
    preTokenizer.length === 0 ? planMarkedByNormalizer(definition) : planMetaspace(definition);
  return plan !== null && addedTokens.every((token) => canBeFound(token, plan)) ? plan : null;
}

function planMarkedByNormalizer(definition: TokenizerDefinition): ByteEncoderPlan | null {
  const steps = [...definition.normalizer];
  const replaces = takeLast(steps, isSpaceReplacement);
  const prepends = takeLast(steps, isMarkPrepend);
  const replacesFirst = !replaces && takeLast(steps, isSpaceReplacement);
  if (!replaces && !replacesFirst) {
    return null;
  }
  return {
    textSteps: steps,
    spaces: { when: 'normalizer', prepend: prepends ? 'always' : 'never' },
    pieces: { kind: 'cuts', cutsBeforeSpace: false },
  };
}

function planMetaspace(definition: TokenizerDefinition): ByteEncoderPlan | null {
  const step = definition.preTokenizer[0];
  if (
    definition.preTokenizer.length !== 1 ||
    step?.type !== 'metaspace' ||
    step.replacement !== SPACE_MARK
  ) {
    return null;
  }
  const prepend = {
    always: 'unless-space',
    first: 'unless-space-at-start',
    never: 'never',
  } as const;
  return {
    textSteps: definition.normalizer,
    spaces: { when: 'pre-tokenizer', prepend: prepend[step.prepend] },
    pieces: { kind: 'cuts', cutsBeforeSpace: step.split },
  };
}

/**
 * Once marks are written as spaces, a spelling with the wrong one of the two would match too much.
 */
function canBeFound(token: AddedToken, plan: ByteEncoderPlan): boolean {
  const spelling = token.normalizedContent ?? '';
  return plan.spaces?.when === 'normalizer'
    ? !spelling.includes(' ')
    : !spelling.includes(' ') && !spelling.includes(SPACE_MARK);
}

function takeLast(steps: NormalizerStep[], matches: (step: NormalizerStep) => boolean): boolean {
  const last = steps.at(-1);
  if (last === undefined || !matches(last)) {
    return false;
  }
  steps.pop();
  return true;
}

function isSpaceReplacement(step: NormalizerStep): boolean {
  return (
    step.type === 'replace' &&
    step.pattern.source === literalPattern(' ').source &&
    step.content === SPACE_MARK
  );
}

function isMarkPrepend(step: NormalizerStep): boolean {
  return step.type === 'prepend' && step.text === SPACE_MARK;
}

function hasVirtualSymbols(definition: TokenizerDefinition): boolean {
  for (const id of definition.model.symbols.values()) {
    if (id >= VIRTUAL_SYMBOL_BASE) {
      return true;
    }
  }
  return false;
}
