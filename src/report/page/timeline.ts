import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Series } from './distribution.ts'
import { Markup, markup, scriptJson } from './markup.ts'

const buckets = 600

/** Where a chart of latency over time will be drawn by the page's script, with its data beside it. */
export function timelineChart(id: string, series: readonly Series[]): Markup {
  const drawn = series.filter(({ ns }) => ns.length > 1)
  if (drawn.length === 0) return markup``
  const data = drawn.map(({ kind, ns }) => ({ kind, ...decimate(ns) }))
  return markup`<figure><figcaption>Latency in the order measured: a slope or a step is heat, clocks or load.</figcaption>
<div class="timeline" data-source="${id}"><p class="quiet">Drawn by the page’s own script.</p></div><script type="application/json" id="${id}">${scriptJson(data)}</script></figure>`
}

/** uPlot and the few lines that use it, for the end of the page. Read from the installed package: nothing is fetched. */
export function timelineScript(): Markup {
  const dist = join(dirname(createRequire(import.meta.url).resolve('uplot/package.json')), 'dist')
  const library = readFileSync(join(dist, 'uPlot.iife.min.js'), 'utf8').replaceAll('</script', '<\\/script')
  const style = readFileSync(join(dist, 'uPlot.min.css'), 'utf8').replaceAll('</style', '<\\/style')
  return markup`<style>${new Markup(style)}</style><script>${new Markup(library)}</script><script>${new Markup(drawTimelines)}</script>`
}

/** Keeps the extremes of each bucket, so that no spike is lost on the way to a few hundred pixels. */
export function decimate(ns: readonly number[]): { x: number[]; y: number[] } {
  if (ns.length <= 2 * buckets) return { x: ns.map((_, i) => i + 1), y: [...ns] }
  const x: number[] = []
  const y: number[] = []
  for (let bucket = 0; bucket < buckets; bucket++) {
    const from = Math.floor((bucket * ns.length) / buckets)
    const to = Math.floor(((bucket + 1) * ns.length) / buckets)
    let least = from
    let most = from
    for (let i = from; i < to; i++) {
      if (ns[i]! < ns[least]!) least = i
      if (ns[i]! > ns[most]!) most = i
    }
    for (const i of least === most ? [least] : [Math.min(least, most), Math.max(least, most)]) {
      x.push(i + 1)
      y.push(ns[i]!)
    }
  }
  return { x, y }
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
      const axis = { stroke: colour('quiet'), grid: { stroke: colour('line'), width: 1 }, ticks: { stroke: colour('line') }, font: '12px system-ui' };
      drawn.push(new uPlot({
        width: Math.max(280, box.clientWidth), height: 210,
        scales: { x: { time: false } },
        axes: [Object.assign({}, axis, { values: (u, ticks) => ticks.map((n) => n % 1 ? '' : n) }), Object.assign({}, axis, { size: 64, values: (u, ticks) => ticks.map(time) })],
        series: [{ label: 'inference' }].concat(series.map((s) => ({
          label: s.kind, stroke: colour(s.kind), width: 1.25, points: { show: false }, spanGaps: true, value: (u, ns) => ns == null ? '' : time(ns),
        }))),
        cursor: { drag: { x: true, y: false } },
      }, uPlot.join(series.map((s) => [s.x, s.y])), box));
    }
  };
  draw();
  let width = innerWidth;
  addEventListener('resize', () => { if (innerWidth !== width) { width = innerWidth; draw(); } });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
})()`
