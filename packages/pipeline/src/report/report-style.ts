/** The report's style sheet: one column, light and dark by the reader's setting, plain on paper. */
export const REPORT_STYLE = `
:root { color-scheme: light dark; --page:#fdfdfc; --ink:#1d2125; --soft:#5c6670; --line:#dfe3e6;
  --panel:#f4f6f7; --accent:#0b6e99; --second:#b4531a; --good:#1a7f4b; --bad:#b3261e; }
@media (prefers-color-scheme: dark) { :root { --page:#15181b; --ink:#e6e9eb; --soft:#9aa5ae; --line:#30373d;
  --panel:#1d2226; --accent:#5bb8e0; --second:#f0a06a; --good:#5fca92; --bad:#f28b82; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0; } h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; }
.subtitle { color: var(--soft); margin: .3rem 0 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; margin: 1.5rem 0; padding: 0; }
.figures > div { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem; }
.figures dt { color: var(--soft); font-size: .85rem; } .figures dd { margin: 0; }
.figures .value { font-size: 1.4rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.figures .note { color: var(--soft); font-size: .82rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } .number { text-align: right; white-space: nowrap; }
code, pre { font: .86em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: .75rem 1rem; margin: .4rem 0 1rem;
  white-space: pre-wrap; }
.soft { color: var(--soft); } .right { color: var(--good); } .wrong { color: var(--bad); }
article { border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem; margin: 0 0 .9rem; break-inside: avoid; }
article p { margin: .2rem 0 .6rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(16rem, 1fr)); gap: 1rem; }
h3 { font-size: .85rem; margin: 0; color: var(--soft); font-weight: 600; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
svg .axis, svg .grid { stroke: var(--line); } svg .train { stroke: var(--accent); } svg .held-out { stroke: var(--second); }
svg .held-out-dot { fill: var(--second); } svg .train, svg .held-out { fill: none; stroke-width: 2; }
svg .label-train { fill: var(--accent); } svg .label-held-out { fill: var(--second); }
figure { margin: 0; } figcaption { color: var(--soft); font-size: .85rem; }
ul.lineage { padding-left: 1.2rem; } summary { cursor: pointer; }
@media print { body { max-width: none; padding: 0; font-size: 11pt; } details > * { display: block; }
  .figures > div, pre, article { background: none; } h2 { break-after: avoid; } }
`;
