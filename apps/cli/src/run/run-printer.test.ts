import type { RunEvent } from '@tuneyard/pipeline';
import { describe, expect, it } from 'vitest';
import { Cli } from '../cli.js';
import { TextBuffer } from '../testing/fake-host.js';
import { formatMetrics, RunPrinter } from './run-printer.js';

const at = '2026-11-25T10:00:00.000Z';
const stamp = { at, stage: 'train' };

const events: RunEvent[] = [
  {
    type: 'run_started',
    at,
    runId: 'r1',
    recipe: 'quick',
    stages: [{ id: 'train', title: 'Train', status: 'run' }],
  },
  {
    ...stamp,
    type: 'stage_reused',
    title: 'Tokenize',
    reason: 'unchanged since 2026-11-24',
    artifact: '/a',
    metrics: {},
  },
  { ...stamp, type: 'stage_started', title: 'Train', reason: 'not made yet', resumed: false },
  {
    ...stamp,
    type: 'stage_plan',
    facts: [
      { label: 'Steps', value: '20' },
      { label: 'Memory', value: '1 GB' },
    ],
  },
  {
    ...stamp,
    type: 'stage_progress',
    done: 2,
    total: 20,
    unit: 'steps',
    rate: 4,
    etaMs: 4500,
    metrics: { loss: 1.23456 },
  },
  { ...stamp, type: 'stage_log', level: 'debug', message: 'chatter' },
  { ...stamp, type: 'stage_log', level: 'warn', message: 'step 3 was skipped' },
  {
    ...stamp,
    type: 'stage_finished',
    title: 'Train',
    durationMs: 5000,
    artifact: '/b',
    bytes: 2_000_000,
    metrics: { steps: 20, finalLoss: 0.5 },
  },
  {
    ...stamp,
    type: 'stage_failed',
    title: 'Merge',
    durationMs: 1500,
    resumable: true,
    error: { code: 'X', category: 'internal', message: 'x', details: {} },
  },
  { type: 'run_finished', at, runId: 'r1', status: 'cancelled', durationMs: 65_000, report: null },
];

function show(options: { json?: boolean; debug?: boolean }) {
  const [stdout, stderr] = [new TextBuffer(), new TextBuffer()];
  const host = {
    stdout,
    stderr,
    stdin: process.stdin,
    env: {},
    cwd: process.cwd(),
    now: () => 0,
    interrupt: new AbortController().signal,
  };
  const printer = new RunPrinter(new Cli(host, options));
  for (const event of events) printer.print(event);
  return { stdout: stdout.text, stderr: stderr.text };
}

describe('RunPrinter', () => {
  it('tells people one line per happening, on stderr', () => {
    const { stdout, stderr } = show({});
    expect(stdout).toBe('');
    expect(stderr.split('\n')).toEqual([
      'run r1, 1 stage',
      '✓ Tokenize reused, unchanged since 2026-11-24',
      '▸ Train not made yet',
      '  Steps   20',
      '  Memory  1 GB',
      'train: 10 % · 2/20 steps · 4.00 steps/s · loss 1.235 · 4.5 s left',
      'warning: step 3 was skipped',
      '✓ Train 5.0 s · 2.00 MB · 20 steps · loss 0.500',
      '  /b',
      '✗ Merge after 1.5 s',
      'stopped in 1 min 05 s',
      '',
    ]);
  });

  it('shows the output of stage processes with --debug', () => {
    expect(show({ debug: true }).stderr).toContain('chatter\n');
  });

  it('writes every event as one line of JSON with --json and nothing else', () => {
    const { stdout, stderr } = show({ json: true });
    expect(stderr).toBe('');
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual(events);
  });
});

describe('formatMetrics', () => {
  it('knows answers that are right and leaves out what is no number', () => {
    expect(
      formatMetrics({ perplexity: 2, exactMatch: { right: 3, asked: 4 }, buckets: {} }),
    ).toEqual(['perplexity 2.00', '3 of 4 answers right']);
    expect(formatMetrics({ heldOutLossBefore: 5, heldOutLossAfter: 0.5 })).toEqual([
      'held-out loss 5.000 → 0.500',
    ]);
    expect(formatMetrics({ heldOutLossBefore: null, exactMatch: null })).toEqual([]);
  });
});
