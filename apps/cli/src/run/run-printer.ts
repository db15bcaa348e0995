/**
 * Shows a run to people while it happens: one block per stage, a progress line in between, the result last.
 */
import { formatBytes, formatCount, formatDuration } from '@tuneyard/core';
import type { RunEvent } from '@tuneyard/pipeline';
import type { Cli } from '../cli.js';
import { formatFacts } from '../terminal/table.js';

type EventOf<T extends RunEvent['type']> = Extract<RunEvent, { type: T }>;

/** Prints the events of one run. With `--json` each event becomes one line of NDJSON instead. */
export class RunPrinter {
  readonly #cli: Cli;
  /** Numbers of the stage at work; not every event repeats them all. */
  #metrics: Readonly<Record<string, number>> = {};

  constructor(cli: Cli) {
    this.#cli = cli;
  }

  /** Prints one event. */
  print(event: RunEvent): void {
    if (this.#cli.isJson) this.#cli.event(event);
    else this.#show(event);
  }

  #show(event: RunEvent): void {
    const { err } = this.#cli;
    switch (event.type) {
      case 'run_started':
        this.#cli.note(`${err.bold('run')} ${event.runId}, ${countStages(event.stages.length)}`);
        return;
      case 'stage_reused':
        this.#cli.note(`${err.green('✓')} ${event.title} ${err.dim(`reused, ${event.reason}`)}`);
        return;
      case 'stage_started':
        this.#metrics = {};
        this.#cli.note(`${err.cyan('▸')} ${event.title} ${err.dim(event.reason)}`);
        return;
      case 'stage_plan':
        for (const line of formatFacts(event.facts.map((f) => [f.label, f.value]))) {
          this.#cli.note(line);
        }
        return;
      case 'stage_progress':
        this.#showProgress(event);
        return;
      case 'stage_log':
        this.#showLog(event);
        return;
      case 'stage_finished':
        this.#showFinished(event);
        return;
      case 'stage_failed':
        this.#cli.note(
          `${err.red('✗')} ${event.title} ${err.dim(`after ${formatDuration(event.durationMs)}`)}`,
        );
        return;
      case 'run_finished':
        this.#showEnd(event);
        return;
    }
  }

  #showProgress(event: EventOf<'stage_progress'>): void {
    this.#metrics = { ...this.#metrics, ...event.metrics };
    this.#cli.progress.update({
      stage: event.stage,
      done: event.done,
      total: event.total ?? undefined,
      unit: event.unit,
      rate: event.rate,
      etaMs: event.etaMs,
      facts: formatMetrics(this.#metrics),
    });
  }

  #showLog({ level, message }: EventOf<'stage_log'>): void {
    if (level === 'debug') {
      if (this.#cli.isDebug) this.#cli.note(this.#cli.err.dim(message));
    } else if (level === 'info') this.#cli.note(message);
    else this.#cli.warn(message);
  }

  #showFinished(event: EventOf<'stage_finished'>): void {
    const { err } = this.#cli;
    const facts = [
      formatDuration(event.durationMs),
      formatBytes(event.bytes),
      ...formatMetrics(event.metrics),
    ];
    this.#cli.note(`${err.green('✓')} ${event.title} ${err.dim(facts.join(' · '))}`);
    this.#cli.note(`  ${err.dim(event.artifact)}`);
  }

  #showEnd(event: EventOf<'run_finished'>): void {
    const how = { succeeded: 'done', failed: 'failed', cancelled: 'stopped' }[event.status];
    this.#cli.note(`${this.#cli.err.bold(how)} in ${formatDuration(event.durationMs)}`);
  }
}

/** Names and display of the numbers that stages report; others are left to `--json`. */
const METRICS: { readonly [name: string]: (value: number) => string } = {
  samples: (value) => `${formatCount(value)} samples`,
  tokens: (value) => `${formatCount(value)} tokens`,
  learnedTokens: (value) => `${formatCount(value)} learned`,
  steps: (value) => `${formatCount(value)} steps`,
  loss: (value) => `loss ${value.toFixed(3)}`,
  finalLoss: (value) => `loss ${value.toFixed(3)}`,
  heldOutLoss: (value) => `held-out loss ${value.toFixed(3)}`,
  perplexity: (value) => `perplexity ${value.toFixed(2)}`,
  learningRate: (value) => `learning rate ${value.toExponential(1)}`,
  tokensPerSecond: (value) => `${formatCount(Math.round(value))} tokens/s`,
};

/** Short phrases for the metrics that people follow, in a fixed order; what is not a number is left out. */
export function formatMetrics(metrics: { readonly [name: string]: unknown }): string[] {
  const phrases = Object.entries(METRICS).flatMap(([name, show]) => {
    const value = metrics[name];
    return typeof value === 'number' ? [show(value)] : [];
  });
  return [
    ...phrases,
    ...formatHeldOutLoss(metrics['heldOutLossBefore'], metrics['heldOutLossAfter']),
    ...formatExactMatch(metrics['exactMatch']),
  ];
}

function formatHeldOutLoss(before: unknown, after: unknown): string[] {
  if (typeof before !== 'number' || typeof after !== 'number') return [];
  return [`held-out loss ${before.toFixed(3)} → ${after.toFixed(3)}`];
}

function formatExactMatch(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const { right, asked } = value as { readonly right?: unknown; readonly asked?: unknown };
  return [`${String(right)} of ${String(asked)} answers right`];
}

function countStages(count: number): string {
  return count === 1 ? '1 stage' : `${count} stages`;
}
