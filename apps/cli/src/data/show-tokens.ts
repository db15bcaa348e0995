/** Prepared data sets as text for people. */
import { formatBytes, formatCount } from '@tuneyard/core';
import type { CombinedField, TokenLengths, TokenSummary } from '@tuneyard/data';
import { formatFacts, formatTable } from '../terminal/table.js';

const BAR_WIDTH = 40;

/** Fields, how the tokens were made, and lengths. */
export function showTokenSummary(summary: TokenSummary): string[] {
  const { prefix, kind, fields, meta, lengths } = summary;
  const [first] = fields;
  const head =
    `${prefix}: ${kind}, ${formatCount(first?.sequences ?? 0)} sequences, ` +
    `${formatCount(first?.tokens ?? 0)} tokens`;
  const table = formatTable(
    [
      { title: '  field' },
      { title: 'type' },
      { title: 'sequences', align: 'right' },
      { title: 'documents', align: 'right' },
      { title: 'tokens', align: 'right' },
    ],
    fields.map(({ field, dtype, sequences, documents, tokens }) => [
      `  ${field}`,
      dtype,
      ...[sequences, documents, tokens].map(formatCount),
    ]),
  );
  const made = meta === null ? [] : formatFacts(madeWith(meta));
  return [head, ...table, ...made, ...showLengths(lengths)];
}

function madeWith(meta: NonNullable<TokenSummary['meta']>): [string, string][] {
  const { packing = null } = meta;
  return [
    ['template', meta.template ?? 'none: raw text'],
    ['vocabulary', formatCount(meta.vocabSize)],
    ['cutoff', `${formatCount(meta.cutoffLength)} tokens`],
    ...(packing === null ? [] : [['packing', packingText(packing)] as [string, string]]),
  ];
}

function packingText({
  style,
  padTo,
  isNeat,
}: NonNullable<NonNullable<TokenSummary['meta']>['packing']>): string {
  return `${style}${isNeat ? ', neat' : ''}, rows of ${formatCount(padTo)} tokens`;
}

function showLengths({ shortest, mean, longest, histogram }: TokenLengths): string[] {
  const most = histogram.reduce((max, { count }) => Math.max(max, count), 0);
  const rows = histogram.map(({ from, to, count }) => [
    `  ${from === to ? from : `${from}–${to}`}`,
    formatCount(count),
    '█'.repeat(most === 0 ? 0 : Math.ceil((BAR_WIDTH * count) / most)),
  ]);
  return [
    `tokens a sequence: shortest ${shortest}, mean ${mean.toFixed(1)}, longest ${longest}`,
    ...formatTable([{ title: '' }, { title: '', align: 'right' }, { title: '' }], rows),
  ];
}

/** What was written for each field. */
export function showWrittenFields(fields: readonly CombinedField[]): string[] {
  return formatTable(
    [{ title: '' }, { title: '', align: 'right' }, { title: '', align: 'right' }],
    fields.map(({ field, documents, bytes }) => [
      `  ${field}`,
      `${formatCount(documents)} documents`,
      formatBytes(bytes),
    ]),
  );
}
