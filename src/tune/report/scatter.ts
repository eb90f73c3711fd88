import { formatBytes, formatDb, formatNs } from '../../report/format.ts'
import { type Markup, markup } from '../../report/page/markup.ts'
import { amountAxis, chartColumns, spanAxis } from './axis.ts'
import { formatCount, metricName, metricText, rowName } from './cells.ts'
import type { TuneReport } from './document.ts'
import { isFloatRow, type TuneRow } from './rows.ts'

const width = 520
const height = 330
const left = 62
const right = 18
const top = 14
const bottom = 44

/** What a network costs. */
interface Cost {
  readonly title: string
  readonly of: (row: TuneRow) => number | null
  readonly text: (value: number) => string
}

/** How well it answers. */
interface Quality {
  readonly title: string
  readonly of: (row: TuneRow) => number | null
  readonly interval: (row: TuneRow) => { readonly low: number; readonly high: number } | null
  readonly text: (value: number) => string
  /** Of a share. */
  readonly limits?: { readonly low: number; readonly high: number }
}

const costs: readonly Cost[] = [
  { title: 'size of the file', of: ({ fileBytes }) => fileBytes, text: (value) => short(formatBytes(value)) },
  { title: 'multiply-adds', of: ({ macs }) => macs, text: (value) => short(formatCount(value)) },
  {
    title: 'median latency',
    of: ({ latency }) => latency?.p50Ns ?? null,
    text: (value) => short(formatNs(value)),
  },
]

/**
 * One point a row: how well it answers against what it costs. A chart for each cost in which rows differ: size of the
 * file, multiply-adds, latency where a board's was measured.
 */
export function qualityCharts(report: TuneReport): Markup | false {
  const quality = qualityOf(report)
  const charts = costs.flatMap((cost) => scatter(report, quality, cost) ?? [])
  if (charts.length === 0) return false
  const forms = [
    report.rows.some(isFloatRow) && markup`<span class="key float"></span>float &nbsp; `,
    report.rows.some((row) => kindOf(row) === 'int8') &&
      markup`<span class="key int8"></span>integers &nbsp; `,
    report.rows.some((row) => kindOf(row) === 'simulated') &&
      markup`<span class="key" style="background:var(--power)"></span>simulated`,
  ]
  return markup`<section class="card"><h2>${sentenceCase(quality.title)} against cost</h2><p class="quiet">Further up and to the left is better. ${report.rows.some((row) => quality.interval(row)) && 'Bars: 95 % interval. '}Numbers are the rows of the table. ${forms}</p><div style="${chartColumns}">${charts}</div></section>`
}

/** By labels where every row has them, else by the original's answers, else by the outputs themselves. */
function qualityOf(report: TuneReport): Quality {
  const { rows } = report
  const shares = { low: 0, high: 1 }
  if (rows.every(({ accuracy }) => accuracy)) {
    const inShares = rows.every(({ accuracy }) => accuracy!.value >= 0 && accuracy!.value <= 1)
    return {
      title: metricName(report),
      of: ({ accuracy }) => accuracy!.value,
      interval: ({ accuracy }) => accuracy!.interval,
      text: metricText,
      ...(inShares ? { limits: shares } : {}),
    }
  }
  const none = () => null
  if (rows.every(({ agreement }) => agreement !== null))
    return {
      title: 'agreement with the original',
      of: ({ agreement }) => agreement,
      interval: none,
      text: metricText,
      limits: shares,
    }
  return { title: 'SQNR', of: ({ sqnrDb }) => sqnrDb, interval: none, text: formatDb }
}

interface Point {
  readonly row: TuneRow
  readonly number: number
  readonly cost: number
  readonly value: number
  readonly x: number
  readonly y: number
}

/** Null where rows cost the same, or fewer than two have both figures. */
function scatter({ rows }: TuneReport, quality: Quality, cost: Cost): Markup | null {
  const known = rows.flatMap((row, index) => {
    const [amount, value] = [cost.of(row), quality.of(row)]
    return amount === null || value === null ? [] : [{ row, number: index + 1, cost: amount, value }]
  })
  if (known.length < 2 || known.every((point) => point.cost === known[0]!.cost)) return null
  const xAxis = amountAxis(
    known.map((point) => point.cost),
    { from: left, to: width - right },
  )
  const yAxis = spanAxis(
    known.flatMap(({ row, value }) => {
      const interval = quality.interval(row)
      return interval ? [interval.low, value, interval.high] : [value]
    }),
    { from: height - bottom, to: top },
    quality.limits,
  )
  const points = known.map((point) => ({ ...point, x: xAxis.at(point.cost), y: yAxis.at(point.value) }))
  const labels = placeLabels(points)
  const told = ({ row, cost: amount, value }: Point) =>
    `${rowName(row)}: ${quality.text(value)}, ${cost.text(amount)}`
  return markup`<figure><figcaption>${sentenceCase(cost.title)}${xAxis.logarithmic && ', logarithmic'}</figcaption><svg class="chart" viewBox="0 0 ${width} ${height}" role="img" aria-label="${quality.title} against ${cost.title}. ${points.map(told).join('; ')}">
${yAxis.ticks.map((tick) => markup`<line class="grid" x1="${left}" x2="${width - right}" y1="${yAxis.at(tick)}" y2="${yAxis.at(tick)}"/><text x="${left - 7}" y="${yAxis.at(tick) + 4}" text-anchor="end">${quality.text(tick)}</text>`)}
${xAxis.ticks.map((tick) => markup`<line class="grid" x1="${xAxis.at(tick)}" x2="${xAxis.at(tick)}" y1="${top}" y2="${height - bottom}"/><text x="${xAxis.at(tick)}" y="${height - bottom + 19}" text-anchor="middle">${tick === 0 ? '0' : cost.text(tick)}</text>`)}
${points.map((point) => whisker(point, quality, yAxis.at))}
${points.map((point, index) => markup`<g><title>${told(point)}</title><circle class="dot ${kindOf(point.row)}"${kindOf(point.row) === 'simulated' && markup` style="fill:var(--power)"`} cx="${point.x}" cy="${point.y}" r="${radius(point, points.slice(index + 1))}"/></g><text x="${labels[index]!.x}" y="${labels[index]!.y}" text-anchor="middle" style="fill:var(--ink)">${point.number}</text>`)}
</svg></figure>`
}

/** Wider than what is drawn over it: a float network and its integers that answer alike would be one dot. */
function radius({ x, y }: Point, over: readonly Point[]): number {
  return 6 + 3 * over.filter((one) => Math.hypot(one.x - x, one.y - y) < 4).length
}

function whisker({ row, x }: Point, quality: Quality, at: (value: number) => number): Markup | false {
  const interval = quality.interval(row)
  const colour = kindOf(row) === 'simulated' ? 'power' : kindOf(row)
  return (
    interval !== null &&
    markup`<line x1="${x}" x2="${x}" y1="${at(interval.low)}" y2="${at(interval.high)}" style="stroke:var(--${colour});stroke-width:2;opacity:.35"/>`
  )
}

/** Beside its point, in the first of eight places that no other point or label has. */
function placeLabels(points: readonly Point[]): { readonly x: number; readonly y: number }[] {
  const taken = points.map(({ x, y }) => ({ x, y }))
  return points.map(({ x, y }) => {
    const places = around.map(([dx, dy]) => ({ x: x + dx, y: y + dy }))
    const room = (place: { x: number; y: number }) =>
      Math.min(...taken.map((one) => Math.hypot(one.x - place.x, one.y - place.y)))
    const place =
      places.find((one) => inside(one) && room(one) >= 11) ??
      places.reduce((a, b) => (room(b) > room(a) ? b : a))
    taken.push(place)
    // text stands on its baseline
    return { x: place.x, y: place.y + 4 }
  })
}

const around = [
  [13, -9],
  [-13, -9],
  [13, 9],
  [-13, 9],
  [16, 0],
  [-16, 0],
  [0, -17],
  [0, 17],
  [24, -14],
  [-24, -14],
  [24, 14],
  [-24, 14],
] as const

function inside({ x, y }: { x: number; y: number }): boolean {
  return x > left + 4 && x < width - 6 && y > top && y < height - bottom - 4
}

function kindOf(row: TuneRow): 'float' | 'int8' | 'simulated' {
  return isFloatRow(row) ? 'float' : row.form.startsWith('simulated') ? 'simulated' : 'int8'
}

/** An axis needs no false digits: `200 kB` rather than `200.0 kB`. */
function short(text: string): string {
  return text.replace(/(\.\d*?)0+( |$)/, '$1$2').replace(/\.( |$)/, '$1')
}

function sentenceCase(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1)
}
