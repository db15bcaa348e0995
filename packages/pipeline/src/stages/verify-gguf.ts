/**
 * Proves that llama.cpp understands an exported file as this engine does.
 *
 * Both continue the same prompts greedily, token by token. Two implementations round differently, so where
 * llama.cpp's own two best scores lie within a narrow margin, another choice is a tie and not a fault.
 */
import { isQuantizedType, TuneyardError, throwIfAborted } from '@tuneyard/core';
import { generateBatch } from '@tuneyard/engine';
import { LlamaModel } from '@tuneyard/ggml';
import { PIPELINE_ERRORS } from '../errors.js';
import { openForReading } from './open-for-reading.js';
import type { StageIo, StageJob } from './stage.js';

/** Starts that any text model can go on from; English, code, digits and a name. */
const PROMPTS = [
  'Once upon a time, there was a little girl named',
  'The capital of France is',
  'def add(a, b):\n    return',
  '1, 2, 3, 4,',
] as const;

/** Tokens compared after each prompt. */
const NEW_TOKENS = 24;

/**
 * Margins, in logits, below which llama.cpp's best token counts as tied with its second best. Quantized weights
 * are multiplied with activations rounded to 8 bits, where the last bit of a sum decides a rounding and thirty
 * layers pass it on: margins of a 135M model differed by 0.01 in f16 and by up to 0.4 in q8_0.
 */
const TIE_MARGIN = { plain: 0.1, quantized: 0.5 } as const;

/** What was compared. */
export interface GgufVerification {
  readonly prompts: number;
  /** Tokens that both chose alike. */
  readonly equalTokens: number;
  /** Prompts whose continuation parted at a tie. */
  readonly ties: number;
}

/**
 * Continues every prompt with both and compares.
 *
 * Throws: `EXPORT_VERIFY_FAILED` naming the prompt, the position and both tokens.
 */
export async function verifyGguf(
  file: string,
  job: StageJob,
  { signal }: Pick<StageIo, 'signal'>,
): Promise<GgufVerification> {
  const { model, threads } = await openForReading(job, { path: file, signal });
  using ours = model;
  using theirs = new LlamaModel(file, { threads });
  const prompts = PROMPTS.map((prompt) => {
    const ids = [...ours.tokenizer.encode(prompt)];
    const same = theirs.tokenize(prompt, { addSpecial: true, parseSpecial: true });
    if (ids.join() !== same.join()) throw tokensDiffer(file, prompt, { ours: ids, llama: same });
    return { prompt, ids };
  });
  // Without stop tokens both go on past the end of a text, so that every prompt is compared
  // in full.
  const stopTokenIds: readonly number[] = [];
  const { generations } = await generateBatch(
    ours,
    prompts.map(({ ids }) => ids),
    { temperature: 0, maxNewTokens: NEW_TOKENS, stopTokenIds, signal },
  );
  const isQuantized = ours.model.placement.parameters.some((p) => isQuantizedType(p.type));
  const tieMargin = isQuantized ? TIE_MARGIN.quantized : TIE_MARGIN.plain;
  let equalTokens = 0;
  let ties = 0;
  for (const [i, { prompt, ids }] of prompts.entries()) {
    throwIfAborted(signal);
    const llama = await theirs.greedy(ids, { maxNewTokens: NEW_TOKENS, stopTokenIds });
    const mine = generations[i]?.ids ?? [];
    const equal = equalStart(mine, llama.ids);
    equalTokens += equal;
    if (equal < llama.ids.length) {
      if ((llama.margins[equal] ?? 0) > tieMargin) {
        const chosen = { ours: mine[equal] ?? -1, llama: llama.ids[equal] ?? -1 };
        throw choicesDiffer(file, { prompt, position: equal, ...chosen });
      }
      ties++;
    }
  }
  return { prompts: prompts.length, equalTokens, ties };
}

/** How many tokens two continuations have in common before they part. */
export function equalStart(a: readonly number[], b: readonly number[]): number {
  const at = b.findIndex((id, i) => a[i] !== id);
  return at < 0 ? b.length : at;
}

function tokensDiffer(
  file: string,
  prompt: string,
  ids: { readonly ours: readonly number[]; readonly llama: readonly number[] },
): TuneyardError {
  return new TuneyardError(
    PIPELINE_ERRORS.EXPORT_VERIFY_FAILED,
    `${file}: llama.cpp reads ${JSON.stringify(prompt)} as tokens ${ids.llama.join(' ')}, ` +
      `this engine as ${ids.ours.join(' ')}`,
    {
      category: 'internal',
      details: { file, prompt, ours: [...ids.ours], llama: [...ids.llama] },
      hint: 'Set export.verify: false to keep the file anyway.',
    },
  );
}

function choicesDiffer(
  file: string,
  at: {
    readonly prompt: string;
    readonly position: number;
    readonly ours: number;
    readonly llama: number;
  },
): TuneyardError {
  return new TuneyardError(
    PIPELINE_ERRORS.EXPORT_VERIFY_FAILED,
    `${file}: after ${JSON.stringify(at.prompt)} and ${at.position} equal tokens, llama.cpp goes on ` +
      `with token ${at.llama}, this engine with ${at.ours}`,
    {
      category: 'internal',
      details: { file, ...at },
      hint: 'Set export.verify: false to keep the file anyway.',
    },
  );
}
