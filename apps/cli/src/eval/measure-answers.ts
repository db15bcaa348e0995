/** Lets a model answer the questions of samples and counts exact answers. */
import type { TokenizedSample } from '@tuneyard/data';
import type { TextModel } from '@tuneyard/engine';
import type { Cli } from '../cli.js';

/** What is asked of which model. */
export interface AnswerRequest {
  readonly model: TextModel;
  readonly samples: readonly TokenizedSample[];
  /** End an answer, beside the model's own. */
  readonly stopTokenIds: readonly number[];
  readonly maxNewTokens: number;
  readonly batchSize: number;
}

/** One question with both answers. */
export interface AnsweredSample {
  readonly row: number;
  readonly prompt: string;
  readonly expected: string;
  readonly answer: string;
  readonly isRight: boolean;
}

/** How many answers were right. */
export interface AnswerReport {
  readonly right: number;
  readonly asked: number;
  /** 95 % interval of the share that is right. */
  readonly interval: { readonly low: number; readonly high: number };
  readonly samples: readonly AnsweredSample[];
}

/**
 * Generates greedily and compares, outer blanks aside. Null when no sample has a question before its answer.
 */
export async function measureAnswers(
  cli: Cli,
  request: AnswerRequest,
): Promise<AnswerReport | null> {
  const { exactMatch, generateBatch } = await import('@tuneyard/engine');
  const { model, maxNewTokens, batchSize } = request;
  const asked = request.samples.flatMap((sample) => splitAnswer(sample) ?? []);
  if (asked.length === 0) return null;
  const stopTokenIds = [...new Set([...model.stopTokenIds, ...request.stopTokenIds])];
  const { generations } = await generateBatch(
    model,
    asked.map(({ prompt }) => prompt),
    {
      temperature: 0,
      maxNewTokens,
      batchSize,
      stopTokenIds,
      signal: cli.signal,
      onProgress: (done, total) => {
        if (!cli.isJson) cli.progress.update({ stage: 'answers', done, total, unit: 'answers' });
      },
    },
  );
  const toText = (ids: Int32Array): string => {
    const kept = ids.filter((id) => !stopTokenIds.includes(id));
    return model.tokenizer.decode(kept, { skipSpecialTokens: true });
  };
  const expected = asked.map(({ answer }) => toText(answer));
  const given = generations.map(({ text }) => text);
  const match = exactMatch(given, expected, { trim: true });
  return {
    right: match.matched,
    asked: match.total,
    interval: match.interval,
    samples: asked.map(({ row, prompt }, i) => ({
      row,
      prompt: toText(prompt),
      expected: expected[i] ?? '',
      answer: given[i] ?? '',
      isRight: match.matches[i] ?? false,
    })),
  };
}

/** Splits a sample at its last run of learned tokens. */
function splitAnswer({
  ids,
  learned,
  row,
}: TokenizedSample): { row: number; prompt: Int32Array; answer: Int32Array } | null {
  const end = learned.lastIndexOf(1) + 1;
  const begin = learned.lastIndexOf(0, end - 1) + 1;
  // Position 0 is never learned: raw text begins at 1 and asks nothing.
  return end === 0 || begin <= 1
    ? null
    : { row, prompt: ids.slice(0, begin), answer: ids.slice(begin, end) };
}
