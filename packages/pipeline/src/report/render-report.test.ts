import { describe, expect, it } from 'vitest';
import { escapeHtml, html } from './html.js';
import { lossCurve } from './loss-curve.js';
import { renderReport } from './render-report.js';
import type { ReportData } from './report-data.js';

const EVIL = '<script>alert("1")</script>&\'';

function dataWith(text: string): ReportData {
  return {
    title: text,
    recipe: text,
    runId: text,
    startedAt: '2026-11-25T10:00:00.000Z',
    figures: [{ label: text, value: text, note: text }],
    stages: [{ title: text, outcome: 'ran', reason: text, durationMs: 1234, bytes: 2048 }],
    dataParts: [
      {
        title: text,
        samples: 1000,
        tokens: 50000,
        learnedTokens: 20000,
        buckets: [{ name: text, rows: 2 }],
      },
    ],
    curve: {
      train: [
        { step: 1, loss: 2 },
        { step: 2, loss: 1 },
      ],
      heldOut: [{ step: 2, loss: 1.5 }],
    },
    samples: [
      {
        prompt: text,
        expected: text,
        before: { text, isRight: false },
        after: { text, isRight: true },
      },
    ],
    artifacts: [
      {
        title: text,
        kind: text,
        path: text,
        bytes: 1,
        fingerprint: 'ab'.repeat(32),
        parents: [text],
      },
    ],
    commands: [{ label: text, command: text }],
    versions: [{ tool: text, version: text }],
    recipeText: text,
  };
}

/** Checks that tags are closed in order; void elements and self-closing SVG aside. */
function unbalanced(page: string): string[] {
  const open: string[] = [];
  const faults: string[] = [];
  for (const [, closing, name, selfClosing] of page.matchAll(
    /<(\/?)([a-zA-Z][\w-]*)[^>]*?(\/?)>/g,
  )) {
    if (selfClosing === '/' || ['meta', 'br', '!doctype'].includes(name!)) continue;
    if (closing === '') open.push(name!);
    else if (open.pop() !== name) faults.push(name!);
  }
  return [...faults, ...open];
}

describe('renderReport', () => {
  it('shows every part of its data', () => {
    const page = renderReport(dataWith('marker'));
    for (const title of [
      'Loss',
      'Held-out samples, before and after',
      'Data',
      'Stages',
      'Results',
      'Use the result',
      'Lineage',
      'Versions and recipe',
    ]) {
      expect(page).toContain(`>${title}</h2>`);
    }
    expect(page).toContain('50,000');
    expect(page).toContain('2.05 kB');
    expect(page).toContain('✓ right');
    expect(page).toContain('✗ wrong');
    expect(unbalanced(page)).toEqual([]);
  });

  it('escapes everything that comes from data', () => {
    const page = renderReport(dataWith(EVIL));
    expect(page).not.toContain('<script');
    expect(page).not.toContain('alert("1")');
    expect(page).toContain('&lt;script&gt;');
    expect(unbalanced(page)).toEqual([]);
  });

  it('needs nothing from elsewhere', () => {
    const page = renderReport(dataWith('x'));
    expect(page).not.toMatch(/\b(src|href)=|url\(|@import|https?:/);
    expect(page).toContain("default-src 'none'");
  });

  it('leaves out sections that have nothing to show', () => {
    const empty = { ...dataWith('x'), samples: [], commands: [], dataParts: [], figures: [] };
    const page = renderReport({ ...empty, curve: { train: [], heldOut: [] } });
    expect(page).not.toContain('<svg');
    expect(page).not.toContain('Held-out samples');
    expect(page).toContain('Stages');
  });

  it('gives the same bytes for the same data', () => {
    expect(renderReport(dataWith('x'))).toBe(renderReport(dataWith('x')));
  });
});

describe('lossCurve', () => {
  it('stays inside its picture, whatever the losses', () => {
    const train = Array.from({ length: 5000 }, (_, step) => ({
      step: step + 1,
      loss: 3 + 2 * Math.sin(step),
    }));
    const svg = lossCurve(train, [{ step: 5000, loss: 9 }])!.text;
    const points = /polyline class="train" points="([^"]+)"/.exec(svg)![1]!.split(' ');
    expect(points.length).toBeLessThan(700);
    for (const point of points) {
      const [x, y] = point.split(',').map(Number);
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x).toBeLessThanOrEqual(900);
      expect(y).toBeGreaterThanOrEqual(0);
      expect(y).toBeLessThanOrEqual(300);
    }
  });

  it('draws a flat line and leaves out what is not finite', () => {
    const svg = lossCurve(
      [
        { step: 1, loss: 2 },
        { step: 2, loss: Number.NaN },
        { step: 3, loss: 2 },
      ],
      [],
    )!.text;
    expect(svg).not.toContain('NaN');
    expect(svg).toContain('Training ends at 2.000');
    expect(lossCurve([], [])).toBeNull();
  });
});

describe('html', () => {
  it('escapes values and keeps markup', () => {
    expect(html`<b>${'<'}${[html`<i>${1}</i>`, null, false]}</b>`.text).toBe('<b>&lt;<i>1</i></b>');
    expect(escapeHtml(`<>&"'`)).toBe('&lt;&gt;&amp;&quot;&#39;');
  });
});
