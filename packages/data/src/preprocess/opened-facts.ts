/** What is known of a job once its tokenizer, template and handlers are open: plain data, so a thread can tell it. */
import { defined, TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import type { HandlerKind, RowHandler } from '../handlers/row-handler.js';
import type { OpenedEncoding } from './encode-settings.js';

/** Facts of an opened job. */
export interface OpenedFacts {
  readonly kind: HandlerKind;
  readonly fields: readonly string[];
  /** Canonical handler names, by data set. */
  readonly handlers: readonly string[];
  readonly vocabSize: number;
  /** Name of the template; null where no handler renders dialogues. */
  readonly template: string | null;
  /** Ids that end its answers. */
  readonly stopTokenIds: readonly number[];
  /** Milliseconds that opening took. */
  readonly openMs: number;
}

/** Adds facts up. Throws: `DATA_MIXED_KINDS` when data sets would be written with different fields. */
export function openedFacts(
  { tokenizer, template }: OpenedEncoding,
  datasets: readonly { readonly name: string; readonly handler: RowHandler }[],
  openMs: number,
): OpenedFacts {
  const first = defined(datasets[0], 'the first data set of a job');
  for (const other of datasets) {
    if (other.handler.fields.join() === first.handler.fields.join()) continue;
    throw new TuneyardError(
      DATA_ERRORS.DATA_MIXED_KINDS,
      `${written(first)}, ${written(other)}; data sets prepared together have the same fields`,
      { hint: 'Prepare data sets of different tasks one by one.' },
    );
  }
  const { kind, fields } = first.handler;
  return {
    kind,
    fields,
    handlers: datasets.map(({ handler }) => handler.name),
    vocabSize: tokenizer.vocabSize,
    template: template?.name ?? null,
    stopTokenIds: template?.stopTokenIds ?? [],
    openMs,
  };
}

function written({
  name,
  handler,
}: {
  readonly name: string;
  readonly handler: RowHandler;
}): string {
  return `${name} is written by ${handler.name} as ${handler.fields.join(', ')}`;
}
