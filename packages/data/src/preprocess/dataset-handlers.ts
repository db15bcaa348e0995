/** Which handler reads a data set, and how it is set. */
import { TuneyardError } from '@tuneyard/core';
import type { OverlengthPolicy } from '../encode/sample-encoder.js';
import { DATA_ERRORS } from '../errors.js';
import type { DatasetSpec } from '../handlers/dataset-spec.js';
import type { HandlerSettings, MapKeys } from '../handlers/handler-settings.js';
import { describeHandlers, findHandler, handlerNameFor } from '../handlers/handler-table.js';

/** What all data sets of a job have in common. */
export interface HandlingOptions {
  /** `pt` reads raw texts, `sft` dialogues; preference sets say themselves what they are. */
  readonly stage: 'sft' | 'pt';
  /** A handler for all data sets; left out = by their form. */
  readonly handler?: string;
  readonly jsonKeys?: readonly string[];
  readonly mapKeys?: MapKeys;
  readonly additionalKeys?: readonly string[];
  readonly appendEod?: boolean;
  readonly cutoffLength: number;
  readonly overlength: OverlengthPolicy;
  readonly maskHistory?: boolean;
  readonly trainOnPrompt?: boolean;
  /** Ends texts; left out = the EOS of the tokenizer. */
  readonly stopTokenId?: number;
}

/** Settings of the handler for a data set. Throws: `DATA_UNKNOWN_HANDLER`. */
export function handlerSettingsFor(spec: DatasetSpec, options: HandlingOptions): HandlerSettings {
  const { stage, handler, jsonKeys, ...common } = options;
  const name = handler === undefined ? handlerByForm(spec, stage) : findHandler(handler).name;
  const textColumn = spec.columns.prompt;
  const keys = jsonKeys ?? (stage === 'pt' && textColumn !== undefined ? [textColumn] : undefined);
  return {
    ...common,
    handler: name,
    columns: spec.columns,
    tags: spec.tags,
    ...(keys === undefined ? {} : { jsonKeys: keys }),
  };
}

/** True when a handler of the job writes dialogues with a prompt template. */
export function needsTemplate(settings: readonly HandlerSettings[]): boolean {
  const names = new Set(settings.map(({ handler }) => handler));
  return describeHandlers().some((entry) => entry.needsTemplate && names.has(entry.name));
}

function handlerByForm(spec: DatasetSpec, stage: 'sft' | 'pt'): string {
  if (stage === 'pt') {
    if (!spec.ranking && !spec.kto) return 'GeneralPretrainHandler';
    throw new TuneyardError(
      DATA_ERRORS.DATA_BAD_OPTION,
      `Data set '${spec.name}' is for preference training; stage pt reads raw texts`,
    );
  }
  if (spec.kto) return handlerNameFor(spec.format, 'kto');
  return handlerNameFor(spec.format, spec.ranking ? 'pairwise' : 'instruction');
}
