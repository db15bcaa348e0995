/** A report as text for a terminal or a log: plain characters, one thought a line. */
import { formatCount } from '@tuneyard/core';
import type { RowOrigin } from '../handlers/conversation.js';
import type { CountedRows, DataReport, LengthBin, SourceCounts } from './data-report.js';

/** Options of {@link formatDataReport}. */
export interface FormatReportOptions {
  /** Columns of a line, at least 40; default 100. Longer lines are cut with an ellipsis. */
  readonly width?: number;
  /** Rows named of each list; default 3. */
  readonly examples?: number;
}

/** Columns of the labels at the left. */
const LABEL_WIDTH = 24;

/** Data sets that get a line of their own. */
const DATASETS_LISTED = 20;

/** Writes a report as lines of text; ends without a line feed. */
export function formatDataReport(report: DataReport, options: FormatReportOptions = {}): string {
  const width = Math.max(40, options.width ?? 100);
  const examples = options.examples ?? 3;
  return [
    ...rowLines(report, examples),
    ...datasetLines(report.datasets),
    '',
    ...tokenLines(report),
    ...histogramLines(report.lengthHistogram, width),
  ]
    .map((line) => cut(line, width))
    .join('\n');
}

function rowLines(report: DataReport, examples: number): string[] {
  const { rows, keptRows, truncated, split, dropped } = report;
  const droppedCount = Object.values(dropped).reduce((sum, { count }) => sum + count, 0);
  const examplesOf = <Row extends RowOrigin>(
    list: CountedRows<Row>,
    tell: (row: Row) => string,
  ): string[] => {
    const named = list.rows.slice(0, examples).map((row) => `    ${placeOf(row)}: ${tell(row)}`);
    const left = list.count - named.length;
    return left > 0 && named.length > 0 ? [...named, `    and ${formatCount(left)} more`] : named;
  };
  const lines = [
    counted('rows read', rows),
    counted('  kept', keptRows, rows),
    counted('  dropped', droppedCount, rows),
  ];
  for (const [bucket, list] of Object.entries(dropped)) {
    lines.push(counted(`  · ${bucket.replaceAll('_', ' ')}`, list.count, rows));
    lines.push(...examplesOf(list, ({ reason }) => reason));
  }
  lines.push(counted('samples', report.samples));
  if (split.count > 0) {
    lines.push(counted('  rows that gave several', split.count, keptRows));
    lines.push(...examplesOf(split, ({ samples }) => plural(samples, 'sample')));
  }
  if (truncated.count > 0) {
    lines.push(counted('  truncated', truncated.count, report.samples));
    lines.push(
      ...examplesOf(
        truncated,
        ({ tokensBefore, tokensAfter }) =>
          `${formatCount(tokensBefore)} tokens cut to ${formatCount(tokensAfter)}`,
      ),
    );
  }
  return lines;
}

function datasetLines(datasets: readonly SourceCounts[]): string[] {
  if (datasets.length < 2) return [];
  const named = datasets.slice(0, DATASETS_LISTED).map(({ source, rows, samples, tokens }) => {
    const counts = [plural(rows, 'row'), plural(samples, 'sample'), plural(tokens, 'token')];
    return `  ${clean(source)}: ${counts.join(', ')}`;
  });
  const left = datasets.length - named.length;
  return ['', 'data sets', ...named, ...(left > 0 ? [`  and ${formatCount(left)} more`] : [])];
}

function tokenLines(report: DataReport): string[] {
  const { tokens, learnedTokens, longest, samples, packing } = report;
  const lines = [
    counted('tokens', tokens),
    counted('  learned', learnedTokens, tokens),
    counted('longest sample', longest),
  ];
  if (samples > 0) {
    lines.push(labelled('padding to the longest', percent(report.paddingShare)));
    if (report.paddingShareAtCutoff !== null) {
      lines.push(labelled('padding to the cutoff', percent(report.paddingShareAtCutoff)));
    }
  }
  if (packing !== null) {
    const { rows, capacity, emptyShare } = packing;
    const text = `${formatCount(rows)} rows of ${formatCount(capacity)}, ${percent(emptyShare)} empty`;
    lines.push(labelled('packed', text));
  }
  return lines;
}

function histogramLines(bins: readonly LengthBin[], width: number): string[] {
  if (bins.length === 0) return [];
  const most = Math.max(...bins.map(({ count }) => count));
  const label = ({ from, to }: LengthBin): string => `${formatCount(from)}–${formatCount(to)}`;
  const labelWidth = Math.max(...bins.map((bin) => label(bin).length));
  const countWidth = formatCount(most).length;
  const room = Math.max(8, Math.min(50, width - labelWidth - countWidth - 4));
  const lines = bins.map((bin) => {
    const name = label(bin).padStart(labelWidth);
    return `${name}  ${bar(bin.count / most, room)} ${formatCount(bin.count)}`.trimEnd();
  });
  return ['', 'samples by length in tokens', ...lines];
}

/** Full blocks and one of eight parts; anything above nothing is seen. */
function bar(share: number, room: number): string {
  const eighths = share > 0 ? Math.max(1, Math.round(share * room * 8)) : 0;
  const part = eighths % 8;
  const blocks = '█'.repeat(Math.floor(eighths / 8));
  return part === 0 ? blocks : blocks + String.fromCodePoint(0x2590 - part);
}

function counted(label: string, count: number, of?: number): string {
  const share = of === undefined || of === 0 ? '' : `  ${percent(count / of)}`;
  return labelled(label, `${formatCount(count).padStart(11)}${share}`);
}

function labelled(label: string, text: string): string {
  return `${label.padEnd(LABEL_WIDTH)} ${text}`;
}

/** Never 0 % for something, nor 100 % for less than all. */
function percent(share: number): string {
  const text = (share * 100).toFixed(1);
  if (text === '0.0' && share > 0) return '< 0.1 %';
  return text === '100.0' && share < 1 ? '> 99.9 %' : `${text} %`;
}

function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

function placeOf({ source, row }: RowOrigin): string {
  return `${clean(source)}, row ${formatCount(row)}`;
}

/** Names and reasons come from data: control characters must not reach a terminal. */
function clean(text: string): string {
  return text.replace(/\p{Cc}|\p{Zl}|\p{Zp}/gu, '·');
}

function cut(line: string, width: number): string {
  const characters = [...clean(line)];
  return characters.length <= width
    ? characters.join('')
    : `${characters.slice(0, width - 1).join('')}…`;
}
