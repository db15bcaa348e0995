/** Whether the tokenizer, the model's config and its generation settings speak of the same tokens. */
import type { PromptTemplate } from '../encode/prompt-template.js';
import type { Tokenizer } from '../tokenizer/index.js';
import { type Finding, generalFinding } from './finding.js';

/** What is known of a model besides its tokenizer. */
export interface ModelFacts {
  /** `vocab_size` of the config. */
  readonly vocabSize: number;
  /** Rows of the stored embedding; null when not known. */
  readonly embeddingRows: number | null;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
  readonly padTokenId: number | null;
  /** The object of `generation_config.json`, when there is one. */
  readonly generationConfig: Readonly<Record<string, unknown>> | null;
}

/** Checks a model against its tokenizer and template. Findings are about the model, so they name no rows. */
export function checkModel(
  model: ModelFacts,
  tokenizer: Tokenizer,
  template: Pick<PromptTemplate, 'stopTokenIds' | 'name'> | null,
): Finding[] {
  return [
    ...checkSizes(model, tokenizer),
    ...checkSpecialIds(model, tokenizer),
    ...checkStops(model, tokenizer, template),
  ];
}

function checkSizes(model: ModelFacts, tokenizer: Tokenizer): Finding[] {
  const findings: Finding[] = [];
  const { vocabSize, embeddingRows } = model;
  if (embeddingRows !== null && embeddingRows < vocabSize) {
    const what = `the embedding has ${embeddingRows} rows, vocab_size is ${vocabSize}`;
    findings.push(generalFinding('embedding_rows', { what }));
  }
  const rows = Math.min(vocabSize, embeddingRows ?? vocabSize);
  if (tokenizer.vocabSize > rows) {
    const beyond: string[] = [];
    for (let id = rows; id < tokenizer.vocabSize && beyond.length < 3; id++) {
      const token = tokenizer.idToToken(id);
      if (token !== undefined) beyond.push(`${token} (${id})`);
    }
    const first = beyond.length === 0 ? '' : `; the first: ${beyond.join(', ')}`;
    const what = `the tokenizer has ${tokenizer.vocabSize} ids, the model ${rows}${first}`;
    if (beyond.length > 0) findings.push(generalFinding('tokenizer_larger_than_model', { what }));
  }
  return findings;
}

function checkSpecialIds(model: ModelFacts, tokenizer: Tokenizer): Finding[] {
  const differences: string[] = [];
  const name = (id: number) => `${tokenizer.idToToken(id) ?? '?'} (${id})`;
  const compare = (role: string, ours: number | null, theirs: readonly number[]) => {
    if (ours === null || theirs.length === 0 || theirs.includes(ours)) return;
    differences.push(
      `${role} is ${name(ours)} for the tokenizer, ${theirs.map(name).join(', ')} for the model`,
    );
  };
  const stops = [...model.eosTokenIds, ...eosOf(model.generationConfig)];
  // A tokenizer that adds no BOS often names one that the model never sees.
  if (tokenizer.addBos) compare('BOS', tokenizer.bosTokenId, asList(model.bosTokenId));
  compare('EOS', tokenizer.eosTokenId, stops);
  compare('padding', tokenizer.padTokenId, asList(model.padTokenId));
  if (differences.length === 0) return [];
  return [generalFinding('special_ids_differ', { what: differences.join('; ') })];
}

function checkStops(
  model: ModelFacts,
  tokenizer: Tokenizer,
  template: Pick<PromptTemplate, 'stopTokenIds' | 'name'> | null,
): Finding[] {
  const declared = eosOf(model.generationConfig);
  const known = declared.length > 0 ? declared : model.eosTokenIds;
  const stops = template?.stopTokenIds ?? [];
  if (known.length === 0 || stops.length === 0 || stops.some((id) => known.includes(id))) return [];
  const text = (ids: readonly number[]) =>
    ids.map((id) => `${tokenizer.idToToken(id) ?? '?'} (${id})`).join(', ');
  const where = declared.length > 0 ? 'generation_config.json' : 'config.json';
  const what = `answers end with ${text(stops)}; ${where} stops at ${text(known)}`;
  return [generalFinding('stop_not_in_eos', { what })];
}

function eosOf(generationConfig: ModelFacts['generationConfig']): readonly number[] {
  const declared = generationConfig?.['eos_token_id'];
  const list: readonly unknown[] = Array.isArray(declared) ? declared : [declared];
  return list.filter((id): id is number => typeof id === 'number' && Number.isSafeInteger(id));
}

function asList(id: number | null): readonly number[] {
  return id === null ? [] : [id];
}
