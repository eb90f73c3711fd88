import type { RawSeries } from '../../store/document.ts'
import { Markup, markup, scriptJson } from './markup.ts'

const windows = 300
/** A pause this many windows long is drawn as one. */
const gapWindows = 8

interface Row {
  readonly name: string
  readonly colour: 'float' | 'int8' | 'hot' | 'clock' | 'power'
  readonly thin: boolean
  /** Seconds from the start of the run. */
  readonly x: readonly number[]
  readonly y: readonly (number | null)[]
}

interface Panel {
  readonly title: string
  readonly unit: 'ns' | '×' | '°C' | 'MHz' | 'W'
  readonly height: number
  readonly rows: readonly Row[]
}

/**
 * Latency over time with temperature, clock and power below it on the same axis of time: where it rises, what rose or
 * fell with it stands under it. Drawn by the page's script.
 *
 * @param relativeToNs Latencies as multiples of this, for boards whose times are an emulator's; power is then left out.
 */
export function seriesChart(id: string, series: RawSeries, relativeToNs: number | null): Markup {
  const panels = panelsOf(series, relativeToNs)
  if (panels.length === 0) return markup``
  const data = {
    panels,
    steps: series.steps
      .filter((step) => step.do !== 'infer' && step.endNs > step.startNs)
      .slice(0, 400)
      .map((step) => ({ from: step.startNs / 1e9, to: step.endNs / 1e9, idle: step.do === 'idle' })),
  }
  const what = panels.map(({ title }) => title.toLowerCase()).join(', ')
  return markup`<figure class="wide"><figcaption>Over time, on the board’s own clock: ${what}. Shaded: nothing was inferred.${series.latency.length > 0 && ' Medians of short stretches, and their 90th percentile thinly.'}</figcaption>
<div class="series" data-source="${id}" role="img" aria-label="${ranges(panels)}"><p class="quiet">Drawn by the page’s own script.</p></div><script type="application/json" id="${id}">${scriptJson(data)}</script></figure>`
}

function panelsOf(series: RawSeries, relativeToNs: number | null): Panel[] {
  const sensors = (unit: RawSeries['sensors'][number]['unit']) =>
    series.sensors.filter((sensor) => sensor.unit === unit && sensor.values.length > 1)
  const line = (
    name: string,
    colour: Row['colour'],
    tNs: readonly number[],
    values: readonly number[],
    scale: number,
  ) => ({ name, colour, thin: false, ...thinned(tNs, values, scale) })
  const scale = relativeToNs === null ? 1 : 1 / relativeToNs
  const panels: Panel[] = [
    {
      title: 'Latency',
      unit: relativeToNs === null ? 'ns' : '×',
      height: 200,
      rows: series.latency
        .filter(({ artifact, ns }) => (artifact === 'float' || artifact === 'int8') && ns.length > 1)
        .flatMap((row) => latencyRows(row, scale)),
    },
    {
      title: 'Temperature',
      unit: '°C',
      height: 110,
      rows: sensors('milliC')
        .slice(0, 4)
        .map(({ name, tNs, values }) => line(name, 'hot', tNs, values, 1e-3)),
    },
    {
      title: 'Clock',
      unit: 'MHz',
      height: 110,
      rows: sensors('kHz')
        .slice(0, 4)
        .map(({ name, tNs, values }) => line(name, 'clock', tNs, values, 1e-3)),
    },
    {
      title: 'Power',
      unit: 'W',
      height: 130,
      rows:
        relativeToNs === null
          ? series.power
              .filter(({ milliW }) => milliW.length > 1)
              .slice(0, 4)
              .map(({ rail, tNs, milliW }) => line(rail, 'power', tNs, milliW, 1e-3))
          : [],
    },
  ]
  return panels.filter(({ rows }) => rows.length > 0)
}

function latencyRows({ artifact, tNs, ns }: RawSeries['latency'][number], scale: number): Row[] {
  const colour = artifact === 'float' ? 'float' : 'int8'
  if (ns.length <= 2 * windows)
    return [
      {
        name: artifact,
        colour,
        thin: false,
        ...withGaps(
          tNs.map((t) => t / 1e9),
          ns.map((v) => v * scale),
        ),
      },
    ]
  const x: number[] = []
  const median: number[] = []
  const p90: number[] = []
  for (let window = 0; window < windows; window++) {
    const from = Math.floor((window * ns.length) / windows)
    const to = Math.floor(((window + 1) * ns.length) / windows)
    const sorted = ns.slice(from, to).sort((a, b) => a - b)
    x.push(tNs[(from + to) >> 1]! / 1e9)
    median.push(sorted[sorted.length >> 1]! * scale)
    p90.push(sorted[Math.floor(sorted.length * 0.9)]! * scale)
  }
  return [
    { name: artifact, colour, thin: false, ...withGaps(x, median) },
    { name: `${artifact} p90`, colour, thin: true, ...withGaps(x, p90) },
  ]
}

/** Mean of each stretch: a sensor's own noise is not what is looked for here. */
function thinned(tNs: readonly number[], values: readonly number[], scale: number): Pick<Row, 'x' | 'y'> {
  const every = Math.ceil(values.length / (2 * windows))
  const x: number[] = []
  const y: number[] = []
  for (let from = 0; from < values.length; from += every) {
    const part = values.slice(from, from + every)
    x.push(tNs[Math.min(from + (every >> 1), tNs.length - 1)]! / 1e9)
    y.push((part.reduce((sum, value) => sum + value, 0) / part.length) * scale)
  }
  return withGaps(x, y)
}

/** A line must not cross a stretch in which the other network had its turn, or nobody. */
function withGaps(x: readonly number[], y: readonly number[]): Pick<Row, 'x' | 'y'> {
  const span = (x.at(-1)! - x[0]!) / Math.max(1, x.length)
  const outX: number[] = []
  const outY: (number | null)[] = []
  for (const [i, at] of x.entries()) {
    const before = outX.at(-1)
    if (before !== undefined && at - before > gapWindows * span) {
      outX.push((before + at) / 2)
      outY.push(null)
    }
    // uPlot wants times that grow
    if (before === undefined || at > before) {
      outX.push(at)
      outY.push(y[i]!)
    }
  }
  return { x: outX, y: outY }
}

/** The chart in words. */
function ranges(panels: readonly Panel[]): string {
  const number = (value: number, unit: Panel['unit']) =>
    unit === 'ns'
      ? `${(value / 1e6).toPrecision(3)} ms`
      : `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)} ${unit}`
  return panels
    .flatMap(({ title, unit, rows }) =>
      rows
        .filter(({ thin }) => !thin)
        .map(({ name, y }) => {
          const known = y.filter((value) => value !== null)
          const low = known.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
          const high = known.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
          return `${title} ${name}: ${number(low, unit)} to ${number(high, unit)}`
        }),
    )
    .join('; ')
}

/** The few lines that draw the panels with uPlot. */
export function seriesScript(): Markup {
  return markup`<script>${new Markup(drawSeries)}</script>`
}

// Plain ES2015 for any browser; runs once, and again where the colour scheme or the width changes.
const drawSeries = `(() => {
  const time = (ns) => ns >= 1e9 ? +(ns / 1e9).toPrecision(3) + ' s' : ns >= 1e6 ? +(ns / 1e6).toPrecision(3) + ' ms' : ns >= 1e3 ? +(ns / 1e3).toPrecision(3) + ' µs' : Math.round(ns) + ' ns';
  const text = (unit, v) => v == null ? '' : unit === 'ns' ? time(v) : +v.toPrecision(4) + (unit === '×' ? '×' : ' ' + unit);
  const drawn = [];
  const draw = () => {
    for (const chart of drawn.splice(0)) chart.destroy();
    const css = getComputedStyle(document.documentElement);
    const colour = (name) => css.getPropertyValue('--' + name).trim();
    for (const box of document.querySelectorAll('.series')) {
      const source = document.getElementById(box.dataset.source);
      if (!source) continue;
      const { panels, steps } = JSON.parse(source.textContent);
      box.textContent = '';
      const ends = panels.flatMap((p) => p.rows.map((r) => r.x[r.x.length - 1]));
      const starts = panels.flatMap((p) => p.rows.map((r) => r.x[0]));
      const from = Math.min.apply(null, starts), to = Math.max.apply(null, ends);
      panels.forEach((panel, index) => {
        const last = index === panels.length - 1;
        const axis = { stroke: colour('quiet'), grid: { stroke: colour('line'), width: 1 }, ticks: { stroke: colour('line') }, font: '12px system-ui' };
        const body = panel.rows.filter((r) => !r.thin).map((r) => { const s = r.y.filter((v) => v != null).sort((a, b) => a - b); return s[Math.floor(s.length * 0.9)] || 0; }).reduce((a, b) => Math.max(a, b), 0) * 3;
        const range = (u, low, high) => { if (low == null) return [0, 1]; const top = panel.title === 'Latency' ? Math.min(high, body) : high; const rim = Math.max((top - low) * 0.12, Math.abs(top) * 0.01, 1e-9); return [panel.title === 'Temperature' ? low - rim : Math.max(0, low - rim), top + rim]; };
        const dashes = [undefined, [6, 3], [2, 3], [8, 3, 2, 3]];
        drawn.push(new uPlot({
          title: '', width: Math.max(280, box.clientWidth), height: panel.height + (last ? 30 : 0) + 26,
          scales: { x: { time: false, range: () => [from, to] }, y: { range } },
          axes: [Object.assign({}, axis, last ? { values: (u, ticks) => ticks.map((s) => s + ' s') } : { values: (u, ticks) => ticks.map(() => ''), size: 8 }), Object.assign({}, axis, { size: 84, values: (u, ticks) => ticks.map((v) => text(panel.unit, v)) })],
          series: [{ label: 'time', value: (u, v) => v == null ? '' : v.toFixed(2) + ' s' }].concat(panel.rows.map((r, i) => ({
            label: r.name, stroke: colour(r.colour) + (r.thin ? '77' : ''), width: r.thin ? 1 : 1.5, dash: panel.title === 'Latency' ? undefined : dashes[i], points: { show: false }, value: (u, v) => text(panel.unit, v),
          }))),
          cursor: { drag: { x: true, y: false }, sync: { key: box.dataset.source } },
          hooks: { drawClear: [(u) => {
            const ctx = u.ctx; ctx.save(); ctx.fillStyle = colour('line'); ctx.globalAlpha = 0.45;
            for (const step of steps) { if (!step.idle) continue; const a = u.valToPos(Math.max(step.from, from), 'x', true), b = u.valToPos(Math.min(step.to, to), 'x', true); if (b > a) ctx.fillRect(a, u.bbox.top, b - a, u.bbox.height); }
            ctx.restore();
          }] },
        }, uPlot.join(panel.rows.map((r) => [r.x, r.y]), panel.rows.map(() => [0, 1])), box));
      });
    }
  };
  draw();
  let width = innerWidth;
  addEventListener('resize', () => { if (innerWidth !== width) { width = innerWidth; draw(); } });
  for (const query of ['(prefers-color-scheme: dark)', 'print']) matchMedia(query).addEventListener('change', draw);
})()`
