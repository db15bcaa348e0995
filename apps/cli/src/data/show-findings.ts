/** Findings of the data doctor as text for people. */
import { formatCount } from '@tuneyard/core';
import type { CleanCopyReport, DataSummary, Finding, FindingSeverity } from '@tuneyard/data';
import type { Cli } from '../cli.js';
import { visibleText } from '../terminal/visible-text.js';

const HEADINGS = { error: 'Errors', warning: 'Warnings', note: 'Notes' } as const;
const SEVERITIES: readonly FindingSeverity[] = ['error', 'warning', 'note'];
/** Rows with their details, and rows without any, that a finding shows. */
const ROWS_WITH_DETAIL = 3;
const ROWS_WITHOUT = 10;

/** One block per severity: what was found, where, and what to do. */
export function showFindings(cli: Cli, findings: readonly Finding[]): string[] {
  const paint = { error: cli.out.red, warning: cli.out.yellow, note: cli.out.cyan };
  return SEVERITIES.flatMap((severity) => {
    const some = findings.filter((finding) => finding.severity === severity);
    if (some.length === 0) return [];
    const heading = cli.out.bold(paint[severity](HEADINGS[severity]));
    return [heading, ...some.flatMap((finding) => showFinding(cli, finding, paint[severity]))];
  });
}

function showFinding(cli: Cli, finding: Finding, paint: (text: string) => string): string[] {
  return [
    `  ${paint(finding.code)}  ${visibleText(finding.message)}`,
    ...showRows(finding).map((line) => `    ${visibleText(line)}`),
    `    ${cli.out.dim(`→ ${finding.fix}`)}`,
    '',
  ];
}

function showRows({ rows, count }: Finding): string[] {
  const detailed = rows.filter(({ detail }) => detail !== undefined).slice(0, ROWS_WITH_DETAIL);
  if (detailed.length > 0) {
    const lines = detailed.map(({ source, row, detail }) => `${source}:${row}  ${detail}`);
    const left = count - detailed.length;
    return left > 0 ? [...lines, `and ${formatCount(left)} more`] : lines;
  }
  if (rows.length === 0) return [];
  const shown = rows.slice(0, ROWS_WITHOUT);
  const left = count - shown.length;
  const list = shown.map(({ source, row }, i) =>
    shown[i - 1]?.source === source ? String(row) : `${source}:${row}`,
  );
  return [list.join(', ') + (left > 0 ? ` and ${formatCount(left)} more` : '')];
}

/** The numbers of the data, one line each. */
export function showSummary(summary: DataSummary, cutoff: number): string[] {
  const { rows, samples, heldOut, tokens, learnedTokens, lengths } = summary;
  const held = heldOut > 0 ? `, ${formatCount(heldOut)} held out` : '';
  const share = tokens > 0 ? ` (${Math.round((learnedTokens / tokens) * 100)} %)` : '';
  return [
    `${formatCount(samples)} samples of ${formatCount(rows)} rows${held}, ` +
      `${formatCount(tokens)} tokens, ${formatCount(learnedTokens)} learned${share}`,
    `tokens per sample: median ${lengths.median}, 90 % up to ${lengths.p90}, ` +
      `99 % up to ${lengths.p99}, longest ${lengths.longest}; cutoff_len is ${cutoff}`,
  ];
}

/** How many findings there are of each severity. */
export function showCounts(findings: readonly Finding[]): string {
  return SEVERITIES.map((severity) => {
    const count = findings.filter((finding) => finding.severity === severity).length;
    return `${count} ${severity}${count === 1 ? '' : 's'}`;
  }).join(', ');
}

/** What a clean copy has, and what was left out of it. */
export function showCleanCopy({ path, kept, dropped }: CleanCopyReport): string[] {
  const reasons = Object.entries(dropped).map(([code, count]) => `${formatCount(count)} ${code}`);
  const left = reasons.length === 0 ? 'nothing left out' : `left out: ${reasons.join(', ')}`;
  return [`wrote ${formatCount(kept)} rows to ${path}; ${left}`];
}
