/** Refuses to train on tokens that would ruin the run without a word. */
import { formatCount, TuneyardError } from '@tuneyard/core';
import {
  checkBeforeTraining,
  type Finding,
  loadTokenizer,
  TEMPLATE_NAMES,
  type TokenSet,
} from '@tuneyard/data';
import { openModel } from '@tuneyard/weights';
import { PIPELINE_ERRORS } from '../errors.js';
import type { StageIo } from './stage.js';

/** What tokens are checked against. */
export interface TokenCheckOptions {
  readonly modelPath: string;
  /** Codes of findings that are known and accepted; `all` = nothing stops the run. */
  readonly ignored: 'all' | readonly string[];
  readonly cutoffLength: number;
}

/**
 * Looks at every sample before the first step; tells warnings.
 *
 * Throws: `TRAIN_DATA_REFUSED` when a finding of severity `error` is not ignored; the codes of models and tokenizers.
 */
export async function checkTokens(
  { samples, meta, report }: TokenSet,
  io: Pick<StageIo, 'emit'>,
  { modelPath, ignored, cutoffLength }: TokenCheckOptions,
): Promise<void> {
  if (ignored === 'all') return;
  const source = await openModel(modelPath);
  await source.close();
  const form = TEMPLATE_NAMES.includes(meta.template ?? '') ? 'slots' : 'text';
  const findings = checkBeforeTraining(
    { samples, truncated: report.truncated.rows, cutoffLength },
    {
      tokenizer: await loadTokenizer(modelPath),
      // Raw text ends where its document does, and another tool's tokens do not say by what.
      template: meta.template === null ? null : { stopTokenIds: meta.stopTokenIds, form },
      modelVocabSize: source.config.vocabSize,
      padTokenId: source.config.padTokenId,
    },
  ).filter(({ code }) => !ignored.includes(code));
  const errors = findings.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw refused(errors);
  for (const finding of findings) {
    const level = finding.severity === 'warning' ? 'warn' : 'info';
    io.emit({ type: 'stage_log', level, message: `data: ${tell(finding)}` });
  }
}

function refused(errors: readonly Finding[]): TuneyardError {
  const codes = errors.map(({ code }) => code);
  return new TuneyardError(
    PIPELINE_ERRORS.TRAIN_DATA_REFUSED,
    `The training data would ruin the run: ${errors.map(tell).join('; ')}`,
    {
      details: { findings: codes },
      hint: `${errors[0]?.fix ?? ''} To train on it all the same, set data.ignore_findings: [${codes.join(', ')}].`,
    },
  );
}

function tell({ code, message, count, rows }: Finding): string {
  const first = rows[0];
  const where = first === undefined ? '' : `, first in ${first.source}, row ${first.row}`;
  return `${message} (${code}: ${formatCount(count)} rows${where})`;
}
