/** The loss curve as inline SVG that follows the page's colours. */
import { type Html, type HtmlValue, html } from './html.js';
import type { ReportPoint } from './report-data.js';

const WIDTH = 900;
const HEIGHT = 300;
const MARGIN = { left: 52, right: 90, top: 14, bottom: 34 };
/** Most points drawn of a curve; longer ones are thinned evenly, keeping the last. */
const POINTS_MAX = 600;
const LABEL_HEIGHT = 15;

/** Both curves over steps; null when there is nothing to draw. */
export function lossCurve(
  train: readonly ReportPoint[],
  heldOut: readonly ReportPoint[],
): Html | null {
  const all = [...train, ...heldOut].filter((point) => Number.isFinite(point.loss));
  if (all.length < 2) return null;
  const scale = scaleOf(all);
  const labels = labelPlaces(train, heldOut, scale);
  const last = (points: readonly ReportPoint[]): string => points.at(-1)?.loss.toFixed(3) ?? '–';
  const label =
    `Loss over ${scale.stepMax} steps. Training ends at ${last(train)}` +
    (heldOut.length > 0 ? `, held-out at ${last(heldOut)}.` : '.');
  return html`<figure><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}">
${grid(scale)}
${curve(train, scale, { name: 'train', label: 'training', labelY: labels.train })}
${curve(heldOut, scale, { name: 'held-out', label: 'held-out', labelY: labels.heldOut })}
${heldOut.map((p) => html`<circle class="held-out-dot" r="3" cx="${scale.x(p.step)}" cy="${scale.y(p.loss)}"/>`)}
</svg><figcaption>${label}</figcaption></figure>`;
}

interface Scale {
  readonly stepMax: number;
  readonly lossTicks: readonly number[];
  readonly stepTicks: readonly number[];
  readonly x: (step: number) => number;
  readonly y: (loss: number) => number;
}

function scaleOf(points: readonly ReportPoint[]): Scale {
  const losses = points.map((point) => point.loss);
  const stepMax = Math.max(1, ...points.map((point) => point.step));
  const lossTicks = ticks(Math.min(...losses), Math.max(...losses), 5);
  const low = lossTicks[0] ?? 0;
  const high = lossTicks.at(-1) ?? 1;
  const innerWidth = WIDTH - MARGIN.left - MARGIN.right;
  const innerHeight = HEIGHT - MARGIN.top - MARGIN.bottom;
  const round = (value: number): number => Math.round(value * 10) / 10;
  return {
    stepMax,
    lossTicks,
    stepTicks: ticks(0, stepMax, 6).filter((tick) => tick <= stepMax && Number.isInteger(tick)),
    x: (step) => round(MARGIN.left + (step / stepMax) * innerWidth),
    y: (loss) => round(MARGIN.top + ((high - loss) / (high - low)) * innerHeight),
  };
}

/** Round numbers that enclose [low, high], about `count` of them. */
function ticks(low: number, high: number, count: number): number[] {
  const span = high - low || Math.abs(high) || 1;
  const power = 10 ** Math.floor(Math.log10(span / count));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => span / s <= count) ?? power;
  const first = Math.floor(low / step);
  const last = Math.max(first + 1, Math.ceil(high / step));
  return Array.from({ length: last - first + 1 }, (_, i) =>
    Number(((first + i) * step).toPrecision(10)),
  );
}

function grid(scale: Scale): HtmlValue {
  const right = WIDTH - MARGIN.right;
  const bottom = HEIGHT - MARGIN.bottom;
  return [
    scale.lossTicks.map(
      (
        tick,
      ) => html`<line class="grid" x1="${MARGIN.left}" x2="${right}" y1="${scale.y(tick)}" y2="${scale.y(tick)}"/>
<text x="${MARGIN.left - 8}" y="${scale.y(tick) + 4}" text-anchor="end">${tick}</text>`,
    ),
    scale.stepTicks.map(
      (tick) =>
        html`<text x="${scale.x(tick)}" y="${bottom + 18}" text-anchor="middle">${tick}</text>`,
    ),
    html`<line class="axis" x1="${MARGIN.left}" x2="${right}" y1="${bottom}" y2="${bottom}"/>
<text x="${right}" y="${HEIGHT - 2}" text-anchor="end">step</text>`,
  ];
}

/** Heights of the curves' names at their ends, kept apart where the curves meet. */
function labelPlaces(
  train: readonly ReportPoint[],
  heldOut: readonly ReportPoint[],
  scale: Scale,
): { train: number; heldOut: number } {
  const place = (points: readonly ReportPoint[]): number => {
    const loss = points.at(-1)?.loss ?? Number.NaN;
    return Number.isFinite(loss) ? scale.y(loss) + 4 : MARGIN.top;
  };
  const [a, b] = [place(train), place(heldOut)];
  const missing = LABEL_HEIGHT - Math.abs(a - b);
  if (heldOut.length === 0 || missing <= 0) return { train: a, heldOut: b };
  return a <= b ? { train: a - missing, heldOut: b } : { train: a, heldOut: b - missing };
}

function curve(
  points: readonly ReportPoint[],
  scale: Scale,
  { name, label, labelY }: { name: string; label: string; labelY: number },
): Html | null {
  const end = points.at(-1);
  if (end === undefined) return null;
  const every = Math.max(1, Math.ceil(points.length / POINTS_MAX));
  const drawn = points.filter(
    (point, i) => Number.isFinite(point.loss) && (i % every === 0 || point === end),
  );
  const line = drawn.map((point) => `${scale.x(point.step)},${scale.y(point.loss)}`).join(' ');
  return html`<polyline class="${name}" points="${line}"/>
<text class="label-${name}" x="${scale.x(end.step) + 8}" y="${labelY}">${label}</text>`;
}
