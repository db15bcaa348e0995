/**
 * `training_loss.svg`: training loss as logged and smoothed, and validation loss, over steps.
 *
 * Pure: data in, one self-contained SVG out, without scripts, fonts or styles that could leak into a page that
 * embeds it. Long runs are thinned to the extremes of each pixel column, so that spikes survive.
 */
import { type Axis, planAxis } from './axis-ticks.js';
import type { LogEntry } from './training-log.js';

/** The plot's file name in the output directory. */
export const LOSS_PLOT_FILE = 'training_loss.svg';

/** One value. */
export interface LossPoint {
  readonly step: number;
  readonly loss: number;
}

/** What the plot shows. */
export interface LossPlotData {
  readonly title: string;
  readonly training: readonly LossPoint[];
  readonly validation: readonly LossPoint[];
}

const WIDTH = 720;
const HEIGHT = 420;
const PLOT = { left: 64, right: 696, top: 70, bottom: 368 } as const;
const TRAINING = '#2563a8';
const VALIDATION = '#d1495b';
const INK = '#24292f';
const QUIET = '#57606a';
const GRID = '#e4e7eb';
const FONT = 'system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif';
const TITLE_LETTERS = 78;

/** Collects the points of a log; values that are not finite are left out. */
export function lossPlotData(title: string, log: readonly LogEntry[]): LossPlotData {
  const points = (of: (entry: LogEntry) => number | null | undefined): LossPoint[] =>
    log.flatMap((entry) => {
      const loss = of(entry);
      return typeof loss === 'number' && Number.isFinite(loss)
        ? [{ step: entry.current_steps, loss }]
        : [];
    });
  return {
    title,
    training: points((entry) => entry.loss),
    validation: points((entry) => entry.eval_loss),
  };
}

/**
 * Smooths by an exponential moving average whose weight grows with the number of values, as LLaMA-Factory does.
 */
export function smoothLosses(losses: readonly number[]): number[] {
  const weight = 1.8 * (1 / (1 + Math.exp(-0.05 * losses.length)) - 0.5);
  let last = losses[0] ?? 0;
  return losses.map((loss) => {
    last = last * weight + (1 - weight) * loss;
    return last;
  });
}

/** Draws the plot, 720 by 420 units. */
export function renderLossPlot(data: LossPlotData): string {
  const all = [...data.training, ...data.validation];
  const body = all.length === 0 ? [emptyNote()] : renderCurves(data, all);
  const label = `${data.title}: training and validation loss over steps`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${escapeXml(label)}" font-family="${FONT}">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" rx="8" fill="#ffffff"/>`,
    text(shorten(data.title), { x: PLOT.left, y: 30, size: 16, fill: INK, weight: 600 }),
    ...body,
    '</svg>',
    '',
  ].join('\n');
}

interface Scale {
  readonly x: (step: number) => number;
  readonly y: (loss: number) => number;
}

interface Series {
  readonly name: string;
  readonly color: string;
  readonly opacity: number;
  readonly width: number;
  readonly hasMarkers: boolean;
  readonly points: readonly LossPoint[];
}

function renderCurves(data: LossPlotData, all: readonly LossPoint[]): string[] {
  const steps = extremes(all.map((point) => point.step));
  const losses = extremes(all.map((point) => point.loss));
  const xAxis = planAxis(steps.min, steps.max, { intervals: 8, isWhole: true, isTight: true });
  const yAxis = planAxis(losses.min, losses.max, { intervals: 6 });
  const scale = {
    x: toPixels(xAxis, PLOT.left + 8, PLOT.right - 8),
    y: toPixels(yAxis, PLOT.bottom, PLOT.top),
  };
  const series = planSeries(data);
  return [
    ...renderGrid(xAxis, yAxis, scale),
    ...series.map((one) => renderSeries(one, scale)),
    ...renderLegend(series),
  ];
}

function planSeries(data: LossPlotData): readonly Series[] {
  const { training, validation } = data;
  const smoothed = smoothLosses(training.map((point) => point.loss));
  const smooth = training.map(({ step }, i) => ({ step, loss: smoothed[i] ?? 0 }));
  const line = { color: TRAINING, hasMarkers: training.length === 1 };
  const series: Series[] = [
    { ...line, name: 'training', opacity: 0.35, width: 1.25, points: training },
    { ...line, name: 'training, smoothed', opacity: 1, width: 2, points: smooth },
    {
      name: 'validation',
      color: VALIDATION,
      opacity: 1,
      width: 1.75,
      hasMarkers: validation.length <= 60,
      points: validation,
    },
  ];
  return series.filter((one) => one.points.length > 0);
}

function renderGrid(xAxis: Axis, yAxis: Axis, scale: Scale): string[] {
  const rows = yAxis.ticks.flatMap((tick) => {
    const y = pixel(scale.y(tick));
    const label = text(tick.toFixed(yAxis.decimals), {
      x: PLOT.left - 8,
      y: Number(y) + 4,
      anchor: 'end',
    });
    return [segment([PLOT.left, y], [PLOT.right, y], GRID), label];
  });
  const columns = xAxis.ticks.flatMap((tick) => {
    const x = pixel(scale.x(tick));
    const label = text(tick.toLocaleString('en-US'), { x, y: PLOT.bottom + 20, anchor: 'middle' });
    return [segment([x, PLOT.bottom], [x, PLOT.bottom + 5], QUIET), label];
  });
  const centre = (PLOT.left + PLOT.right) / 2;
  const middle = (PLOT.top + PLOT.bottom) / 2;
  return [
    ...rows,
    segment([PLOT.left, PLOT.bottom], [PLOT.right, PLOT.bottom], QUIET),
    ...columns,
    text('step', { x: centre, y: HEIGHT - 14, anchor: 'middle' }),
    `<g transform="rotate(-90 18 ${middle})">${text('loss per token', { x: 18, y: middle, anchor: 'middle' })}</g>`,
  ];
}

function renderSeries(series: Series, scale: Scale): string {
  const { color, opacity, width } = series;
  const at = series.points.map((p) => ({ x: scale.x(p.step), y: scale.y(p.loss) }));
  const path = thin(at).map(({ x, y }, i) => `${i === 0 ? 'M' : 'L'}${pixel(x)} ${pixel(y)}`);
  const curve = `<path d="${path.join('')}" fill="none" stroke="${color}" stroke-opacity="${opacity}" stroke-width="${width}" stroke-linejoin="round" stroke-linecap="round"/>`;
  if (!series.hasMarkers) return curve;
  const dots = at.map(({ x, y }) => marker(pixel(x), pixel(y), color));
  return [curve, ...dots].join('\n');
}

function renderLegend(series: readonly Series[]): string[] {
  let x: number = PLOT.left;
  return series.flatMap((one) => {
    const last = one.points.at(-1)?.loss ?? 0;
    const label = `${one.name} ${last.toPrecision(4)}`;
    const begin = x;
    x += 44 + label.length * 6.6;
    const line = `<line x1="${begin}" y1="50" x2="${begin + 22}" y2="50" stroke="${one.color}" stroke-opacity="${one.opacity}" stroke-width="${one.width + 0.5}" stroke-linecap="round"/>`;
    const dot = one.hasMarkers ? [marker(begin + 11, 50, one.color)] : [];
    return [line, ...dot, text(label, { x: begin + 28, y: 54, fill: INK })];
  });
}

interface Pixels {
  readonly x: number;
  readonly y: number;
}

/** Keeps the first, lowest, highest and last point of each pixel column; short curves stay as they are. */
function thin(points: readonly Pixels[]): readonly Pixels[] {
  if (points.length <= 2 * (PLOT.right - PLOT.left)) return points;
  return groupByColumn(points).flatMap((column) => {
    const byHeight = [...column].sort((a, b) => a.y - b.y);
    const kept = new Set([column[0], byHeight[0], byHeight.at(-1), column.at(-1)]);
    return column.filter((point) => kept.has(point));
  });
}

function groupByColumn(points: readonly Pixels[]): Pixels[][] {
  const columns = new Map<number, Pixels[]>();
  for (const point of points) {
    const column = Math.floor(point.x);
    const group = columns.get(column);
    if (group === undefined) columns.set(column, [point]);
    else group.push(point);
  }
  return [...columns.values()];
}

function toPixels(axis: Axis, from: number, to: number): (value: number) => number {
  return (value) => from + ((value - axis.low) / (axis.high - axis.low)) * (to - from);
}

function extremes(values: readonly number[]): { readonly min: number; readonly max: number } {
  return {
    min: values.reduce((a, b) => Math.min(a, b)),
    max: values.reduce((a, b) => Math.max(a, b)),
  };
}

interface TextStyle {
  readonly x: number;
  readonly y: number;
  readonly size?: number;
  readonly fill?: string;
  readonly weight?: number;
  readonly anchor?: 'start' | 'middle' | 'end';
}

function text(content: string, style: TextStyle): string {
  const { x, y, size = 12, fill = QUIET, weight = 400, anchor = 'start' } = style;
  return `<text x="${x}" y="${y}" font-size="${size}" font-weight="${weight}" fill="${fill}" text-anchor="${anchor}">${escapeXml(content)}</text>`;
}

type Point = readonly [number, number];

function segment([x1, y1]: Point, [x2, y2]: Point, color: string): string {
  return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${color}" stroke-width="1"/>`;
}

function marker(x: number, y: number, color: string): string {
  return `<circle cx="${x}" cy="${y}" r="3.5" fill="${color}" stroke="#ffffff" stroke-width="1.25"/>`;
}

function emptyNote(): string {
  const style = { x: WIDTH / 2, y: HEIGHT / 2, size: 14, anchor: 'middle' } as const;
  return text('No step has been logged yet', style);
}

function pixel(value: number): number {
  return Math.round(value * 10) / 10;
}

function shorten(title: string): string {
  const letters = [...title];
  return letters.length <= TITLE_LETTERS
    ? title
    : `${letters.slice(0, TITLE_LETTERS - 1).join('')}…`;
}

/** Control characters are not allowed in XML at all, so they become spaces. */
function escapeXml(content: string): string {
  const named: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return content.replace(/\p{Cc}/gu, ' ').replace(/[&<>"]/g, (letter) => named[letter] ?? letter);
}
