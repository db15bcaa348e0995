/** Generation: greedy or sampled, one prompt streamed or many side by side. */
import { createRng, defined, type Rng, TuneyardError, throwIfAborted } from '@tuneyard/core';
import { createStreamDecoder } from '@tuneyard/data';
import type { DecodeStep } from '../model/decode-graph.js';
import { MODEL_ERRORS } from '../model/errors.js';
import { type SamplingOptions, sampleToken } from './sampling.js';
import type { TextModel } from './text-model.js';

/** Options of a generation. */
export interface GenerateOptions extends SamplingOptions {
  /** 0 is greedy, which is the default here. */
  readonly temperature?: number | undefined;
  /** Upper bound of new tokens; default 256. */
  readonly maxNewTokens?: number | undefined;
  /** Seeds sampling; default 0. The same seed gives the same tokens. */
  readonly seed?: number | undefined;
  /** Texts that end the answer; they are not part of it. */
  readonly stop?: readonly string[] | undefined;
  /** Token ids that end the answer; default the model's. */
  readonly stopTokenIds?: readonly number[] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with each piece of complete text of the first sequence. */
  readonly onText?: ((piece: string) => void) | undefined;
  /** Called after every sequence that has ended, with how many have. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** One generated answer. */
export interface Generation {
  /** New ids, without the stop token. */
  readonly ids: readonly number[];
  readonly text: string;
  readonly finishReason: 'stop' | 'length';
  readonly promptTokens: number;
}

/** Generations and how fast they came. */
export interface GenerationResult {
  readonly generations: readonly Generation[];
  /** New tokens per second over the whole call, prompts included in the time. */
  readonly tokensPerSecond: number;
}

/**
 * Continues every prompt. Prompts run side by side in groups of `batchSize`.
 *
 * Throws: `MODEL_CONTEXT_EXCEEDED` when a prompt leaves no room, `MODEL_TOKEN_OUT_OF_RANGE`, `CANCELLED`.
 */
export async function generateBatch(
  model: TextModel,
  prompts: readonly ArrayLike<number>[],
  options: GenerateOptions & { readonly batchSize?: number } = {},
): Promise<GenerationResult> {
  const started = performance.now();
  const batchSize = options.batchSize ?? 16;
  const generations: Generation[] = [];
  // Prompts of like length share a batch, so that little padding is computed.
  const order = [...prompts.keys()].sort((a, b) => length(prompts, a) - length(prompts, b));
  const byPrompt = new Map<number, Generation>();
  for (let i = 0; i < order.length; i += batchSize) {
    const group = order.slice(i, i + batchSize);
    const done = await generateGroup(
      model,
      group.map((g) => defined(prompts[g], 'prompt')),
      options,
    );
    for (const [j, g] of group.entries()) byPrompt.set(g, defined(done[j], 'generation'));
    options.onProgress?.(byPrompt.size, prompts.length);
  }
  for (const i of prompts.keys()) generations.push(defined(byPrompt.get(i), 'generation'));
  const tokens = generations.reduce((sum, g) => sum + g.ids.length, 0);
  return { generations, tokensPerSecond: (tokens / (performance.now() - started)) * 1000 };
}

/** Continues one prompt, streaming its text through `onText`. */
export async function generate(
  model: TextModel,
  prompt: ArrayLike<number>,
  options: GenerateOptions = {},
): Promise<Generation & { readonly tokensPerSecond: number }> {
  const { generations, tokensPerSecond } = await generateBatch(model, [prompt], options);
  return { ...defined(generations[0], 'generation'), tokensPerSecond };
}

interface Sequence {
  readonly prompt: ArrayLike<number>;
  readonly ids: number[];
  readonly rng: Rng;
  readonly stream: ReturnType<typeof createStreamDecoder>;
  text: string;
  emitted: number;
  finish: Generation['finishReason'] | null;
}

async function generateGroup(
  model: TextModel,
  prompts: readonly ArrayLike<number>[],
  options: GenerateOptions,
): Promise<Generation[]> {
  const maxNewTokens = options.maxNewTokens ?? 256;
  for (const prompt of prompts) checkPrompt(model, prompt, maxNewTokens);
  const sequences = prompts.map(
    (prompt, i): Sequence => ({
      prompt,
      ids: [],
      rng: createRng((options.seed ?? 0) + i),
      stream: createStreamDecoder(model.tokenizer),
      text: '',
      emitted: 0,
      finish: null,
    }),
  );
  const longest = prompts.reduce((max, p) => Math.max(max, p.length), 1);
  using decoder = model.model.openDecoder({
    sequences: prompts.length,
    capacity: longest + maxNewTokens,
  });
  let logits = await decoder.step(prompts.map((ids) => ({ ids, position: 0 })));
  while (true) {
    throwIfAborted(options.signal);
    for (const [s, sequence] of sequences.entries()) {
      if (sequence.finish === null)
        advance(model, sequence, {
          logits: defined(logits[s], 'scores'),
          options,
          maxNewTokens,
          isFirst: s === 0,
        });
    }
    if (sequences.every((s) => s.finish !== null)) break;
    logits = await decoder.step(sequences.map(nextStep));
  }
  return sequences.map(({ ids, text, finish, prompt }) => ({
    ids,
    text,
    finishReason: finish ?? 'length',
    promptTokens: prompt.length,
  }));
}

/** A finished sequence repeats its last token in place: it costs its share of the batch, nothing more. */
function nextStep({ prompt, ids, finish }: Sequence): DecodeStep {
  if (finish !== null) return { ids: [], position: 0 };
  const last = ids.at(-1) ?? 0;
  return { ids: [last], position: prompt.length + ids.length - 1 };
}

function advance(
  model: TextModel,
  sequence: Sequence,
  at: { logits: Float32Array; options: GenerateOptions; maxNewTokens: number; isFirst: boolean },
): void {
  const { options, maxNewTokens } = at;
  const history = [...Array.from(sequence.prompt), ...sequence.ids];
  const sampling = { ...options, temperature: options.temperature ?? 0 };
  const token = sampleToken(at.logits, sampling, { rng: sequence.rng, history });
  if ((options.stopTokenIds ?? model.stopTokenIds).includes(token)) sequence.finish = 'stop';
  else {
    sequence.ids.push(token);
    sequence.text += sequence.stream.push(token);
    if (sequence.ids.length >= maxNewTokens) sequence.finish = 'length';
  }
  if (sequence.finish !== null) sequence.text += sequence.stream.flush();
  cutAtStopText(sequence, options.stop ?? []);
  if (at.isFirst) emit(sequence, options);
}

function cutAtStopText(sequence: Sequence, stop: readonly string[]): void {
  const cut = stop.map((s) => sequence.text.indexOf(s)).filter((i) => i >= 0);
  if (cut.length === 0) return;
  sequence.text = sequence.text.slice(0, Math.min(...cut));
  sequence.finish = 'stop';
}

/** Holds back text that may be the beginning of a stop text. */
function emit(sequence: Sequence, { stop = [], onText }: GenerateOptions): void {
  if (onText === undefined) return;
  const longestStop = stop.reduce((max, s) => Math.max(max, s.length), 0);
  const held = sequence.finish === null ? Math.max(0, longestStop - 1) : 0;
  const end = Math.max(sequence.emitted, sequence.text.length - held);
  if (end > sequence.emitted) onText(sequence.text.slice(sequence.emitted, end));
  sequence.emitted = end;
}

function checkPrompt(model: TextModel, prompt: ArrayLike<number>, maxNewTokens: number): void {
  model.model.checkIds(prompt);
  const limit = model.model.config.maxPositionEmbeddings;
  if (prompt.length > 0 && prompt.length + maxNewTokens <= limit) return;
  throw new TuneyardError(
    MODEL_ERRORS.MODEL_CONTEXT_EXCEEDED,
    prompt.length === 0
      ? 'The prompt is empty'
      : `A prompt of ${prompt.length} tokens and ${maxNewTokens} new ones exceed the model's context of ${limit}`,
    {
      details: { promptTokens: prompt.length, maxNewTokens, context: limit },
      hint:
        prompt.length === 0
          ? 'Give at least one token.'
          : 'Shorten the prompt or lower the number of new tokens.',
    },
  );
}

function length(prompts: readonly ArrayLike<number>[], i: number): number {
  return prompts[i]?.length ?? 0;
}
