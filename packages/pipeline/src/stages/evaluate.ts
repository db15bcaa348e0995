/** Measures a model on held-out tokens: loss, and how many generated answers equal the expected ones. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { formatCount } from '@tuneyard/core';
import {
  buildUnpackedRows,
  openTokenSet,
  type TokenizedSample,
  type TokenSet,
} from '@tuneyard/data';
import {
  type BaseType,
  evaluateLoss,
  exactMatch,
  generateBatch,
  type TextModel,
} from '@tuneyard/engine';
import { splitAnswer } from './answer-span.js';
import { flagOf, inputPath, numberOf, textOf } from './job-values.js';
import { openForReading } from './open-for-reading.js';
import { createProgressMeter } from './progress-meter.js';
import type { StageFunction, StageIo, StageJob } from './stage.js';
import { EVALUATION_FILE, type EvaluateMetrics, type EvaluationFile } from './stage-outputs.js';

/** Evaluates the base model, the base with an adapter, or trained weights. */
export const evaluateStage: StageFunction = async (job, io) => {
  const tokens = await openTokenSet(inputPath(job, 'validation'));
  const adapterPath = job.inputs['adapter'];
  const opened = await openForReading(job, {
    path: inputPath(job, 'model'),
    ...(adapterPath === undefined ? {} : { adapterPath }),
    baseType: textOf(job, 'model.base_type') as BaseType,
    signal: io.signal,
  });
  using model = opened.model;
  const loss = await measureLoss(model, tokens.samples, job, io);
  const answers = flagOf(job, 'evaluate.exact_match')
    ? await measureAnswers(model, tokens, job, io)
    : null;
  const file: EvaluationFile = { samples: answers?.samples ?? [] };
  await writeFile(path.join(io.dir, EVALUATION_FILE), `${JSON.stringify(file, null, 1)}\n`);
  const metrics: EvaluateMetrics = {
    loss: loss.loss,
    perplexity: loss.perplexity,
    learnedTokens: loss.learnedTokens,
    exactMatch: answers?.exactMatch ?? null,
    exactMatchInterval: answers?.interval ?? null,
  };
  return { ...metrics };
};

async function measureLoss(
  model: TextModel,
  samples: readonly TokenizedSample[],
  job: StageJob,
  io: StageIo,
): ReturnType<typeof evaluateLoss> {
  const report = createProgressMeter({ unit: 'samples', total: samples.length, emit: io.emit });
  const batchSize = numberOf(job, 'evaluate.batch_size');
  const result = await evaluateLoss(model.model, buildUnpackedRows(samples), batchSize, {
    signal: io.signal,
    onProgress: ({ rowsDone }) => report(rowsDone),
  });
  io.emit({
    type: 'stage_log',
    level: 'info',
    message:
      `loss ${result.loss.toFixed(4)}, perplexity ${result.perplexity.toPrecision(4)}, ` +
      `over ${formatCount(result.learnedTokens)} learned tokens`,
  });
  return result;
}

interface Answers {
  readonly samples: EvaluationFile['samples'];
  readonly exactMatch: EvaluateMetrics['exactMatch'];
  readonly interval: EvaluateMetrics['exactMatchInterval'];
}

/** Generates greedily from each prompt and compares with the expected answer, outer blanks aside. */
async function measureAnswers(
  model: TextModel,
  { samples, meta }: TokenSet,
  job: StageJob,
  io: StageIo,
): Promise<Answers | null> {
  const asked = samples
    .flatMap((sample) => splitAnswer(sample) ?? [])
    .slice(0, numberOf(job, 'evaluate.samples'));
  if (asked.length === 0) {
    const message = 'no held-out sample has a prompt before its answer: exact match is left out';
    io.emit({ type: 'stage_log', level: 'warn', message });
    return null;
  }
  const stops = [...new Set([...model.stopTokenIds, ...meta.stopTokenIds])];
  const report = createProgressMeter({ unit: 'answers', total: asked.length, emit: io.emit });
  const prompts = asked.map((sample) => sample.prompt);
  const { generations } = await generateBatch(model, prompts, {
    temperature: 0,
    maxNewTokens: numberOf(job, 'evaluate.max_new_tokens'),
    batchSize: numberOf(job, 'evaluate.batch_size'),
    stopTokenIds: stops,
    signal: io.signal,
    onProgress: (done) => report(done),
  });
  const text = (ids: Int32Array): string =>
    model.tokenizer.decode(
      ids.filter((id) => !stops.includes(id)),
      { skipSpecialTokens: true },
    );
  const expected = asked.map((sample) => text(sample.answer));
  const given = generations.map((generation) => generation.text);
  const match = exactMatch(given, expected, { trim: true });
  return {
    exactMatch: { right: match.matched, asked: match.total },
    interval: match.interval,
    samples: asked.map((sample, i) => ({
      row: sample.row,
      prompt: text(sample.prompt),
      expected: expected[i] ?? '',
      answer: given[i] ?? '',
      isMatch: match.matches[i] ?? false,
    })),
  };
}
