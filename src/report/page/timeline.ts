import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Series } from './distribution.ts'
import { Markup, markup, scriptJson } from './markup.ts'

const windows = 300

/** Where a chart of latency over time will be drawn by the page's script, with its data beside it. */
export function timelineChart(id: string, series: readonly Series[]): Markup {
  const drawn = series.filter(({ ns }) => ns.length > 1)
  if (drawn.length === 0) return markup``
  const data = drawn.map(({ kind, ns }) => ({ kind, ...windowed(ns) }))
  const thinned = data.some(({ p90 }) => p90 !== null)
  return markup`<figure><figcaption>Latency in the order measured: a slope or a step is heat, clocks or load.${thinned && ' Medians of short stretches, and their 90th percentile thinly.'}</figcaption>
<div class="timeline" data-source="${id}"><p class="quiet">Drawn by the page’s own script.</p></div><script type="application/json" id="${id}">${scriptJson(data)}</script></figure>`
}

/** uPlot, for the end of the page. Read from the installed package: nothing is fetched. */
export function plotLibrary(): Markup {
  const dist = join(dirname(createRequire(import.meta.url).resolve('uplot/package.json')), 'dist')
  const library = readFileSync(join(dist, 'uPlot.iife.min.js'), 'utf8').replaceAll('</script', '<\\/script')
  const style = readFileSync(join(dist, 'uPlot.min.css'), 'utf8').replaceAll('</style', '<\\/style')
  return markup`<style>${new Markup(style)}</style><script>${new Markup(library)}</script>`
}

/** The few lines that draw the charts with it. */
export function timelineScript(): Markup {
  return markup`<script>${new Markup(drawTimelines)}</script>`
}

/** A long series in windows: medians show drift, the 90th percentile how much the system disturbs. The tail is the distribution’s to show. */
export interface Windowed {
  /** Number of the inference at the middle of each window. */
  readonly x: readonly number[]
  readonly median: readonly number[]
  /** Null where every inference is drawn as it is. */
  readonly p90: readonly number[] | null
}

export function windowed(ns: readonly number[]): Windowed {
  if (ns.length <= 2 * windows) return { x: ns.map((_, i) => i + 1), median: [...ns], p90: null }
  const x: number[] = []
  const median: number[] = []
  const p90: number[] = []
  for (let window = 0; window < windows; window++) {
    const from = Math.floor((window * ns.length) / windows)
    const to = Math.floor(((window + 1) * ns.length) / windows)
    const sorted = ns.slice(from, to).sort((a, b) => a - b)
    x.push(Math.floor((from + to) / 2) + 1)
    median.push(sorted[sorted.length >> 1]!)
    p90.push(sorted[Math.floor(sorted.length * 0.9)]!)
  }
  return { x, median, p90 }
}

// Plain ES2015 for any browser; runs once, and again where the colour scheme or the width changes.
const drawTimelines = `(() => {
  const time = (ns) => ns >= 1e9 ? +(ns / 1e9).toPrecision(3) + ' s' : ns >= 1e6 ? +(ns / 1e6).toPrecision(3) + ' ms' : ns >= 1e3 ? +(ns / 1e3).toPrecision(3) + ' µs' : ns + ' ns';
  const drawn = [];
  const draw = () => {
    for (const chart of drawn.splice(0)) chart.destroy();
    const css = getComputedStyle(document.documentElement);
    const colour = (name) => css.getPropertyValue('--' + name).trim();
    for (const box of document.querySelectorAll('.timeline')) {
      const source = document.getElementById(box.dataset.source);
      if (!source) continue;
      const series = JSON.parse(source.textContent);
      box.textContent = '';
      const lines = [];
      for (const s of series) {
        lines.push({ label: s.kind, colour: colour(s.kind), x: s.x, y: s.median, thin: false });
        if (s.p90) lines.push({ label: s.kind + ' p90', colour: colour(s.kind) + '66', x: s.x, y: s.p90, thin: true });
      }
      const body = 3 * lines.filter((l) => !l.thin).map((l) => l.y.slice().sort((a, b) => a - b)[Math.floor(l.y.length * 0.9)]).reduce((a, b) => Math.max(a, b));
      const axis = { stroke: colour('quiet'), grid: { stroke: colour('line'), width: 1 }, ticks: { stroke: colour('line') }, font: '12px system-ui' };
      drawn.push(new uPlot({
        width: Math.max(280, box.clientWidth), height: 210,
        scales: { x: { time: false }, y: { range: (u, low, high) => { const top = Math.min(high, body), rim = Math.max(1, (top - low) * 0.08); return [Math.max(0, low - rim), top + rim]; } } },
        axes: [Object.assign({}, axis, { values: (u, ticks) => ticks.map((n) => n % 1 ? '' : n) }), Object.assign({}, axis, { size: 64, values: (u, ticks) => ticks.map(time) })],
        series: [{ label: 'inference' }].concat(lines.map((l) => ({
          label: l.label, stroke: l.colour, width: l.thin ? 1 : 1.5, points: { show: false }, spanGaps: true, value: (u, ns) => ns == null ? '' : time(ns),
        }))),
        cursor: { drag: { x: true, y: false } },
      }, uPlot.join(lines.map((l) => [l.x, l.y])), box));
    }
  };
  draw();
  let width = innerWidth;
  addEventListener('resize', () => { if (innerWidth !== width) { width = innerWidth; draw(); } });
  for (const query of ['(prefers-color-scheme: dark)', 'print']) matchMedia(query).addEventListener('change', draw);
})()`
