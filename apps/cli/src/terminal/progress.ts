/**
 * Shows how far long work has come: one line that redraws itself on a terminal, plain lines elsewhere.
 *
 * Plain lines come when a stage begins, at each tenth of the way, and otherwise at most every five seconds,
 * so that a log file of a long run stays short.
 */
import { formatBytes, formatCount, formatDuration } from '@tuneyard/core';
import type { Colors } from './color.js';
import type { TextSink } from './host.js';
import { truncateText } from './table.js';

/** One report of work in progress. */
export interface ProgressUpdate {
  /** What is being done: `train`, `tokenize`, `merge`. */
  readonly stage: string;
  readonly done: number;
  /** Undefined when the end is not known. */
  readonly total?: number | undefined;
  /** What is counted, in the plural: `steps`, `samples`. */
  readonly unit: string;
  /** Units a second, where the work itself knows better than the clock of this line. */
  readonly rate?: number | undefined;
  /** Milliseconds left, likewise. */
  readonly etaMs?: number | undefined;
  /** More facts in display order, such as `loss 1.234` or `251 tokens/s`. */
  readonly facts?: readonly string[];
}

/** What a progress line is drawn with. */
export interface ProgressOptions {
  readonly sink: TextSink;
  readonly colors: Colors;
  readonly now: () => number;
}

const REDRAW_MS = 100;
const PLAIN_LINE_MS = 5000;
/** Tenths that come faster are not worth a line each. */
const TENTH_LINE_MS = 1000;
const BAR_CELLS = 24;

/** A progress line of one command; stages follow each other on it. */
export class Progress {
  readonly #options: ProgressOptions;
  #stage = '';
  #startedAt = 0;
  #startedWith = 0;
  #lastPrintAt = Number.NEGATIVE_INFINITY;
  #lastTenth = 0;
  #isDrawn = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
  }

  /** Shows an update, or skips it when the last one is too recent. */
  update(update: ProgressUpdate): void {
    const now = this.#options.now();
    if (update.stage !== this.#stage) this.#beginStage(update, now);
    const isLast = update.total !== undefined && update.done >= update.total;
    if (this.#options.sink.isTTY === true) this.#updateBar(update, now, isLast);
    else this.#updateLines(update, now, isLast);
  }

  /** Removes the line from the terminal, so that other text can be printed; the next update redraws it. */
  clear(): void {
    if (!this.#isDrawn) return;
    this.#options.sink.write('\r\u001b[2K');
    this.#isDrawn = false;
    this.#lastPrintAt = Number.NEGATIVE_INFINITY;
  }

  #beginStage(update: ProgressUpdate, now: number): void {
    this.#stage = update.stage;
    this.#startedAt = now;
    this.#startedWith = update.done;
    this.#lastPrintAt = Number.NEGATIVE_INFINITY;
    this.#lastTenth = 0;
  }

  #updateBar(update: ProgressUpdate, now: number, isLast: boolean): void {
    if (!isLast && now - this.#lastPrintAt < REDRAW_MS) return;
    this.#lastPrintAt = now;
    this.#isDrawn = true;
    const { sink, colors } = this.#options;
    const bar = update.total === undefined ? '' : ` ${drawBar(update.done / update.total)}`;
    const width = Math.max(20, (sink.columns ?? 80) - 1 - update.stage.length - bar.length);
    const text = truncateText(` ${this.#facts(update, now).join(' · ')}`, width);
    sink.write(`\r\u001b[2K${colors.bold(update.stage)}${colors.cyan(bar)}${text}`);
  }

  #updateLines(update: ProgressUpdate, now: number, isLast: boolean): void {
    const tenth =
      update.total === undefined || update.total === 0
        ? 0
        : Math.floor((10 * update.done) / update.total);
    const sinceLastMs = now - this.#lastPrintAt;
    const isDue =
      sinceLastMs >= PLAIN_LINE_MS || (tenth > this.#lastTenth && sinceLastMs >= TENTH_LINE_MS);
    if (!isDue && !isLast) return;
    if (isLast && this.#lastTenth >= 10) return;
    this.#lastTenth = Math.max(tenth, this.#lastTenth);
    this.#lastPrintAt = now;
    this.#options.sink.write(`${update.stage}: ${this.#facts(update, now).join(' · ')}\n`);
  }

  #facts(update: ProgressUpdate, now: number): string[] {
    const { done, total, unit } = update;
    const seconds = (now - this.#startedAt) / 1000;
    const measured = seconds > 0 ? (done - this.#startedWith) / seconds : 0;
    const rate = update.rate ?? measured;
    const facts: string[] = [];
    if (total !== undefined && total > 0) facts.push(`${Math.floor((100 * done) / total)} %`);
    facts.push(formatAmount(update));
    if (rate > 0 && unit !== 'bytes') facts.push(`${formatRate(rate)} ${unit}/s`);
    if (rate > 0 && unit === 'bytes') facts.push(`${formatBytes(rate)}/s`);
    if (update.facts !== undefined) facts.push(...update.facts);
    const etaMs = update.etaMs ?? (1000 * ((total ?? done) - done)) / rate;
    if (etaMs > 0 && Number.isFinite(etaMs)) facts.push(`${formatDuration(etaMs)} left`);
    return facts;
  }
}

function formatAmount({ done, total, unit }: ProgressUpdate): string {
  if (unit === 'bytes') {
    return total === undefined
      ? formatBytes(done)
      : `${formatBytes(done)} of ${formatBytes(total)}`;
  }
  return `${formatCount(done)}${total === undefined ? '' : `/${formatCount(total)}`} ${unit}`;
}

function drawBar(share: number): string {
  const filled = Math.round(BAR_CELLS * Math.min(1, Math.max(0, share)));
  return `${'█'.repeat(filled)}${'░'.repeat(BAR_CELLS - filled)}`;
}

function formatRate(rate: number): string {
  if (rate >= 100) return formatCount(Math.round(rate));
  return rate >= 10 ? rate.toFixed(1) : rate.toFixed(2);
}
