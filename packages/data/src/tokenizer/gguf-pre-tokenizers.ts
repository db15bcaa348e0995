/**
 * The split patterns behind `tokenizer.ggml.pre`, by the names llama.cpp gives them.
 *
 * A pure table. Each name stands for a list of patterns, applied one after the other, every match and
 * every gap a piece. Source: llama.cpp `src/llama-vocab.cpp` (patterns and flags by name). Where its
 * pattern is an adaptation of the model's own, the adaptation is kept: a GGUF file promises llama.cpp's
 * ids. Not listed, so refused: kimi-k2, afmoe and superbpe (hand-written splitters there),
 * deepseek-llm, chameleon, exaone-moe, gemma4 and the embedding models.
 */

import { TuneyardError } from '@tuneyard/core';
import { nearestNames } from '../nearest-names.js';
import { TOKENIZER_ERRORS } from './errors.js';

/** How one `tokenizer.ggml.pre` value splits text. */
export interface GgufPreTokenizer {
  readonly patterns: readonly string[];
  /** Whole pieces are looked up before merging. */
  readonly ignoreMerges: boolean;
  /** BOS is put in front unless `tokenizer.ggml.add_bos_token` says otherwise. */
  readonly addBos: boolean;
}

const CONTRACTIONS = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";
const TAIL = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const WORDS = '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+';
const SIGNS = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*';
/** GPT-2's pattern as llama.cpp has it. */
export const GGUF_GPT2_SPLIT =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)";
/** Llama-3's. */
export const GGUF_LLAMA3_SPLIT = `${CONTRACTIONS}|${WORDS}|\\p{N}{1,3}|${SIGNS}|${TAIL}`;
/** Qwen2's. */
export const GGUF_QWEN2_SPLIT = `${CONTRACTIONS}|${WORDS}|\\p{N}|${SIGNS}|${TAIL}`;
const QWEN35 = `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${TAIL}`;
const DEEPSEEK3 = `[!"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_\`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|${TAIL}`;
const CASED = '((?=[\\p{L}])([^a-z]))*((?=[\\p{L}])([^A-Z]))+';
const UPPER_FIRST = '((?=[\\p{L}])([^a-z]))+((?=[\\p{L}])([^A-Z]))*';
const TEKKEN = `[^\\r\\n\\p{L}\\p{N}]?${CASED}|[^\\r\\n\\p{L}\\p{N}]?${UPPER_FIRST}|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${TAIL}`;
const GPT4O = `[^\\r\\n\\p{L}\\p{N}]?${CASED}${CONTRACTIONS}?|[^\\r\\n\\p{L}\\p{N}]?${UPPER_FIRST}${CONTRACTIONS}?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${TAIL}`;

interface Group {
  readonly names: readonly string[];
  readonly patterns: readonly string[];
  readonly ignoreMerges?: boolean;
  readonly addBos?: boolean;
}

const GROUPS: readonly Group[] = [
  {
    names: ['default'],
    patterns: ['[\\p{P}\\$\\+<=>\\^~\\|]+', GGUF_GPT2_SPLIT, '\\p{N}+', '[0-9][0-9][0-9]'],
  },
  {
    names: ['gpt-2', 'phi-2', 'gigachat', 'mellum', 'exaone4', 'mpt', 'olmo', 'jais', 'trillion'],
    patterns: [GGUF_GPT2_SPLIT],
  },
  {
    names: ['starcoder', 'refact', 'command-r', 'smollm', 'codeshell', 'exaone', 'minerva-7b'],
    patterns: ['\\p{N}', GGUF_GPT2_SPLIT],
  },
  {
    names: ['llama3', 'llama-v3', 'llama-bpe', 'falcon3', 'falcon-h1', 'pixtral', 'lfm2'],
    patterns: [GGUF_LLAMA3_SPLIT],
    ignoreMerges: true,
    addBos: true,
  },
  { names: ['dbrx', 'smaug-bpe', 'glm4', 'chatglm-bpe'], patterns: [GGUF_LLAMA3_SPLIT] },
  {
    names: ['qwen2', 'deepseek-r1-qwen', 'stablelm2', 'megrez', 'hunyuan', 'grok-2', 'solar-open'],
    patterns: [GGUF_QWEN2_SPLIT],
  },
  { names: ['qwen35'], patterns: [QWEN35] },
  {
    names: ['deepseek-coder'],
    patterns: ['[\\r\\n]', '\\s?\\p{L}+', '\\s?\\p{P}+', '[一-龥ࠀ-一가-퟿]+', '\\p{N}'],
  },
  {
    names: ['deepseek-v3', 'hunyuan-dense'],
    patterns: ['\\p{N}{1,3}', '[一-龥぀-ゟ゠-ヿ]+', DEEPSEEK3],
  },
  {
    names: ['falcon'],
    patterns: ['[\\p{P}\\$\\+<=>\\^~\\|`]+', GGUF_GPT2_SPLIT, '[0-9][0-9][0-9]'],
  },
  { names: ['tekken'], patterns: [TEKKEN], ignoreMerges: true, addBos: true },
  { names: ['gpt-4o', 'llama4'], patterns: [GPT4O] },
];

/** Every `tokenizer.ggml.pre` value that is known. */
export const GGUF_PRE_TOKENIZERS: readonly string[] = GROUPS.flatMap((group) => group.names);

/**
 * Looks a `tokenizer.ggml.pre` value up.
 *
 * Throws: `TOKENIZER_UNKNOWN_PRE_TOKENIZER` with the nearest known names.
 */
export function ggufPreTokenizer(name: string, origin: string): GgufPreTokenizer {
  const group = GROUPS.find((candidate) => candidate.names.includes(name));
  if (group === undefined) {
    throw new TuneyardError(
      TOKENIZER_ERRORS.TOKENIZER_UNKNOWN_PRE_TOKENIZER,
      `${origin}: tokenizer.ggml.pre ${JSON.stringify(name)} is not known; known: ${GGUF_PRE_TOKENIZERS.join(', ')}`,
      {
        details: { origin, name, nearest: nearestNames(name, GGUF_PRE_TOKENIZERS) },
        hint: 'Load the tokenizer from the Hugging Face directory of the model instead.',
      },
    );
  }
  return {
    patterns: group.patterns,
    ignoreMerges: group.ignoreMerges ?? false,
    addBos: group.addBos ?? false,
  };
}
