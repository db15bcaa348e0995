/**
 * The report of a run as one self-contained HTML page: no script, no font, no image from elsewhere.
 *
 * A pure function of {@link ReportData}; all data is escaped.
 */
import { formatBytes, formatCount, formatDuration } from '@tuneyard/core';
import { Html, html } from './html.js';
import { lossCurve } from './loss-curve.js';
import type {
  ReportAnswer,
  ReportArtifact,
  ReportData,
  ReportDataPart,
  ReportSample,
  ReportStage,
} from './report-data.js';
import { REPORT_STYLE } from './report-style.js';

/** Renders the page. */
export function renderReport(data: ReportData): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${data.title}</title>
<style>${new Html(REPORT_STYLE)}</style>
</head>
<body>
<header><h1>${data.title}</h1>
<p class="subtitle">Recipe ${data.recipe}, run ${data.runId}, started ${data.startedAt}</p></header>
<main>
${figures(data)}
${section('Loss', lossCurve(data.curve.train, data.curve.heldOut))}
${section('Held-out samples, before and after', samples(data.samples))}
${section('Data', dataTable(data.dataParts))}
${section('Stages', stageTable(data.stages))}
${section('Results', artifactTable(data.artifacts))}
${section('Use the result', commands(data))}
${section('Lineage', lineage(data.artifacts))}
${section('Versions and recipe', versions(data))}
</main>
</body>
</html>
`.text;
}

function section(title: string, content: Html | null): Html | null {
  if (content === null) return null;
  const id = title.toLowerCase().replace(/[^a-z]+/g, '-');
  return html`<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2>${content}</section>`;
}

function figures(data: ReportData): Html | null {
  if (data.figures.length === 0) return null;
  return html`<dl class="figures">${data.figures.map(
    (figure) =>
      html`<div><dt>${figure.label}</dt><dd><span class="value">${figure.value}</span>${
        figure.note === undefined ? null : html`<br><span class="note">${figure.note}</span>`
      }</dd></div>`,
  )}</dl>`;
}

function samples(all: readonly ReportSample[]): Html | null {
  if (all.length === 0) return null;
  return html`<div>${all.map(
    (sample) => html`<article><h3>Prompt</h3><p>${sample.prompt}</p>
<h3>Expected</h3><p>${sample.expected}</p>
<div class="pair">${answer('Before', sample.before)}${answer('After', sample.after)}</div></article>
`,
  )}</div>`;
}

function answer(label: string, given: ReportAnswer | null): Html | null {
  if (given === null) return null;
  const mark =
    given.isRight === null
      ? null
      : given.isRight
        ? html` <span class="right">✓ right</span>`
        : html` <span class="wrong">✗ wrong</span>`;
  return html`<div><h3>${label}${mark}</h3><p>${given.text}</p></div>`;
}

function dataTable(parts: readonly ReportDataPart[]): Html | null {
  if (parts.length === 0) return null;
  return html`<div class="scroll"><table>
<caption>What became of the rows; a row in a bucket other than “used” gave no sample or was changed.</caption>
<thead><tr><th scope="col">Data</th><th scope="col">Bucket</th><th scope="col" class="number">Rows</th>
<th scope="col" class="number">Tokens</th><th scope="col" class="number">Learned</th></tr></thead>
<tbody>${parts.map(
    (
      part,
    ) => html`<tr><th scope="row">${part.title}</th><td>used</td><td class="number">${formatCount(part.samples)}</td>
<td class="number">${formatCount(part.tokens)}</td><td class="number">${formatCount(part.learnedTokens)}</td></tr>
${part.buckets.map(
  (
    bucket,
  ) => html`<tr><th scope="row"><span class="soft">${part.title}</span></th><td>${bucket.name}</td>
<td class="number">${formatCount(bucket.rows)}</td><td></td><td></td></tr>
`,
)}`,
  )}</tbody></table></div>`;
}

function stageTable(stages: readonly ReportStage[]): Html | null {
  if (stages.length === 0) return null;
  return html`<div class="scroll"><table>
<caption>A stage runs only when its inputs, parameters or code changed.</caption>
<thead><tr><th scope="col">Stage</th><th scope="col">What happened</th>
<th scope="col" class="number">Time</th><th scope="col" class="number">Size</th></tr></thead>
<tbody>${stages.map(
    (stage) => html`<tr><th scope="row">${stage.title}</th><td>${stage.outcome}
<span class="soft">${stage.reason}</span></td>
<td class="number">${stage.durationMs === null ? '–' : formatDuration(stage.durationMs)}</td>
<td class="number">${formatBytes(stage.bytes)}</td></tr>
`,
  )}</tbody></table></div>`;
}

function artifactTable(artifacts: readonly ReportArtifact[]): Html | null {
  if (artifacts.length === 0) return null;
  return html`<div class="scroll"><table>
<thead><tr><th scope="col">Artifact</th><th scope="col">Kind</th><th scope="col" class="number">Size</th>
<th scope="col">Path</th></tr></thead>
<tbody>${artifacts.map(
    (artifact) => html`<tr><th scope="row">${artifact.title}</th><td>${artifact.kind}</td>
<td class="number">${formatBytes(artifact.bytes)}</td><td><code>${artifact.path}</code></td></tr>
`,
  )}</tbody></table></div>`;
}

function commands(data: ReportData): Html | null {
  if (data.commands.length === 0) return null;
  return html`<div>${data.commands.map(
    ({ label, command }) => html`<h3>${label}</h3><pre>${command}</pre>`,
  )}</div>`;
}

function lineage(artifacts: readonly ReportArtifact[]): Html | null {
  if (artifacts.length === 0) return null;
  return html`<ul class="lineage">${artifacts.map(
    (
      artifact,
    ) => html`<li>${artifact.title} <code>${artifact.fingerprint.slice(0, 12)}</code> from ${
      artifact.parents.length === 0 ? 'nothing' : artifact.parents.join('; ')
    }</li>
`,
  )}</ul>`;
}

function versions(data: ReportData): Html {
  return html`<table><tbody>${data.versions.map(
    ({ tool, version }) => html`<tr><th scope="row">${tool}</th><td>${version}</td></tr>`,
  )}</tbody></table>
<details><summary>Recipe as it was run</summary><pre>${data.recipeText}</pre></details>`;
}
