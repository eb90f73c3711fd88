/** The page's style: one column of cards, light and dark by the reader's setting, fit for a phone and for paper. */
export const style = `
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #16191d; --quiet: #5b6570; --line: #e1e5ea;
  --float: #2f6fc4; --int8: #d4690c; --hot: #b3361e; --clock: #5b6570; --power: #6b4fb3; --good: #1a7f45; --warn: #8f5b00; --bad: #b3261e; --warn-back: #fff6e0; --bad-back: #fdecea; --good-back: #e7f6ed; }
@media (prefers-color-scheme: dark) { :root { --page: #101316; --card: #181c21; --ink: #e7eaee; --quiet: #98a2ad; --line: #2b323a;
  --float: #6fa8f0; --int8: #f39a47; --hot: #f2857d; --clock: #98a2ad; --power: #b59cf2; --good: #5ccb8b; --warn: #e6b455; --bad: #f2857d; --warn-back: #2a2313; --bad-back: #2e1a19; --good-back: #14271c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 25px; line-height: 1.25; margin: 0 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 0; overflow-wrap: anywhere; }
h3 { font-size: 14px; margin: 28px 0 10px; }
p { margin: 0 0 8px; }
.quiet, figcaption, .facts { color: var(--quiet); font-size: 13px; }
.facts { display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 0; }
code { font: 12.5px/1.4 ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 22px 24px 24px; margin-top: 20px; }
.lead { font-size: 17px; margin: 10px 0 0; font-weight: 600; }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
.badge { display: inline-block; font-size: 12px; font-weight: 600; border-radius: 20px; padding: 1px 10px; margin-left: 8px; vertical-align: 3px; white-space: nowrap; }
.badge.bad { background: var(--bad-back); } .badge.warn { background: var(--warn-back); } .badge.good { background: var(--good-back); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 10px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; vertical-align: top; }
th:first-child, td:first-child { text-align: left; padding-left: 0; white-space: normal; }
th:last-child, td:last-child { padding-right: 0; }
thead th { font-size: 13px; font-weight: 600; color: var(--quiet); }
tbody th { font-weight: 400; }
tbody tr:last-child > * { border-bottom: 0; }
td.main { font-weight: 650; }
.key { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 6px; }
.key.float, .bar.float { background: var(--float); } .key.int8, .bar.int8 { background: var(--int8); }
.split { display: grid; grid-template-columns: minmax(0, 9fr) minmax(0, 10fr); gap: 8px 40px; margin-top: 16px; align-items: start; }
figure { margin: 0; min-width: 0; } .charts { display: grid; gap: 26px; min-width: 0; } figcaption { margin-bottom: 8px; }
.scroll { overflow-x: auto; }
.chart { width: 100%; height: auto; display: block; } .chart text { font-size: 11.5px; fill: var(--quiet); }
.chart .grid { stroke: var(--line); } .chart .line { fill: none; stroke-width: 2; }
.chart .line.float { stroke: var(--float); } .chart .line.int8 { stroke: var(--int8); }
.chart .dot { stroke: var(--card); stroke-width: 1.5; } .chart .dot.float { fill: var(--float); } .chart .dot.int8 { fill: var(--int8); }
.chart .fill.float { fill: var(--float); } .chart .fill.int8 { fill: var(--int8); } .chart .whisker { stroke: var(--ink); stroke-width: 1.5; fill: none; } .chart.energy, .chart.forest, .chart.blocks { max-width: 720px; }
.chart .band { fill: var(--line); opacity: .6; } .chart .zero { stroke: var(--quiet); } .chart .interval { stroke-width: 3; } .chart .interval.int8 { stroke: var(--int8); } .chart .interval.float { stroke: var(--float); }
.chart .quantile { stroke-width: 2; } .chart .quantile.float { stroke: var(--float); } .chart .quantile.int8 { stroke: var(--int8); } .wide { margin-top: 22px; } .series .uplot + .uplot { margin-top: 2px; } td small { display: block; color: var(--quiet); font-size: 11.5px; font-weight: 400; }
.mark { display: inline-block; font-weight: 600; } .operators { display: grid; grid-template-columns: minmax(96px, max-content) 1fr; gap: 9px 16px; align-items: center; }
.operators .name { font-size: 13.5px; overflow-wrap: anywhere; } .operators .name small { display: block; color: var(--quiet); }
.bars { display: grid; gap: 2px; } .bars div { display: flex; align-items: center; gap: 8px; font-size: 12px; color: var(--quiet); font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar { width: calc((100% - 150px) * var(--share)); height: 11px; border-radius: 2px; min-width: 1px; flex: none; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; margin: 0; font-size: 13.5px; } dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
.note { border-left: 3px solid var(--warn); background: var(--warn-back); padding: 8px 14px; border-radius: 0 6px 6px 0; margin: 10px 0 0; font-size: 14px; overflow-wrap: anywhere; }
.note.bad { border-color: var(--bad); background: var(--bad-back); color: inherit; } .note p { margin: 0; } .note p + p { margin-top: 2px; color: var(--quiet); }
.u-legend { white-space: normal; } ul.plain { margin: 0; padding-left: 18px; font-size: 13.5px; } ul.plain li { margin-bottom: 4px; }
.tensors { overflow-x: auto; margin-top: 14px; } .tensors.tall { max-height: 80vh; overflow: auto; } .tall thead th { position: sticky; top: 0; background: var(--card); z-index: 1; }
.sortable tbody > tr > * { border-bottom: 0; } .sortable tbody + tbody > tr:first-child > * { border-top: 1px solid var(--line); } .sortable tr + tr > td { padding-top: 0; }
.tensors td:first-child { overflow-wrap: anywhere; min-width: 150px; } .search small { display: block; } .found > tr > td { background: var(--warn-back); } .fidelity .u-legend { min-height: 3.2em; } .fidelity .u-legend th, .fidelity .u-legend td { text-align: center; white-space: normal; overflow-wrap: anywhere; } .fidelity .u-legend tr { max-width: 100%; }
.sortable th button { all: unset; cursor: pointer; padding: 2px 0; } .sortable th button:focus-visible, .tensors:focus-visible, summary:focus-visible { outline: 2px solid var(--float); outline-offset: 2px; border-radius: 3px; }
.sortable th[aria-sort] button { color: var(--ink); } .sortable th[aria-sort="ascending"] button::after { content: " ▲"; } .sortable th[aria-sort="descending"] button::after { content: " ▼"; }
details { font-size: 13.5px; } summary { cursor: pointer; color: var(--warn); } summary.quiet { color: var(--quiet); } details p { margin: 4px 0; } details ul { margin: 0 0 6px; }
.uplot { font-family: inherit; } .u-legend { width: auto; } .u-legend th, .u-legend td { border: 0; padding: 2px 4px; } .u-legend { color: var(--quiet); font-size: 12px; } .u-legend .u-marker { border-radius: 2px; }
footer { color: var(--quiet); font-size: 12.5px; margin-top: 28px; }
@media screen and (max-width: 940px) { .split { grid-template-columns: minmax(0, 1fr); gap: 22px; } }
@media screen and (max-width: 760px) { main { padding: 18px 12px 40px; } .card { padding: 16px 14px 18px; } 
  table { font-size: 13.5px; } th, td { padding: 6px 3px; } td small { font-size: 10.5px; } .operators { grid-template-columns: minmax(0, 1fr); gap: 3px; } .operators .bars { margin-bottom: 9px; } .operators .name small { display: inline; margin-left: 6px; } .overview td:first-child { overflow-wrap: anywhere; min-width: 84px; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 6px; } h1 { font-size: 21px; } .chart text { font-size: 15px; } .hide-narrow { display: none; } }
@media print { :root { color-scheme: light; --page: #fff; --card: #fff; --ink: #000; --quiet: #444; --line: #ccc; --float: #2f6fc4; --int8: #d4690c; --hot: #b3361e; --clock: #444; --power: #6b4fb3;
  --good: #1a7f45; --warn: #8f5b00; --bad: #b3261e; --warn-back: #fff; --bad-back: #fff; --good-back: #fff; }
  main { max-width: none; padding: 0; } table { font-size: 12.5px; } th, td { padding: 4px 5px; } .split { gap: 8px 28px; } .card { break-inside: auto; border-radius: 0; } figure, table, .note { break-inside: avoid; } .tensors.tall { max-height: none; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
`
