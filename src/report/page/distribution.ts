import { formatNs, formatRatio, formatShare } from '../format.ts'
import { Markup, markup } from './markup.ts'

const width = 560
const height = 260
const left = 58
const right = 14
const top = 12
const bottom = 38
const points = 300

/** A series of raw latencies with the colour it has everywhere on the page. */
export interface Series {
  readonly kind: 'float' | 'int8'
  readonly ns: readonly number[]
}

/**
 * Cumulative distribution of latency as SVG: for each time the share of inferences that took no longer. Drawn here, so
 * that it shows without scripts, in mail and on paper. Ticks on a curve are its p50, p90 and p99, as far as there are
 * samples enough for them.
 *
 * @param relativeToNs Times as multiples of this, for boards whose times are an emulator's.
 */
export function distributionChart(series: readonly Series[], relativeToNs: number | null = null): Markup {
  const unit = relativeToNs === null ? 'ns' : '×'
  const sorted = series
    .filter(({ ns }) => ns.length > 0)
    .map(({ kind, ns }) => ({
      kind,
      ns: Float64Array.from(ns, (value) => value / (relativeToNs ?? 1)).sort(),
    }))
  if (sorted.length === 0) return markup``
  const low = Math.min(...sorted.map(({ ns }) => ns[0]!))
  const slowest = Math.max(...sorted.map(({ ns }) => ns.at(-1)!))
  const high = shownUpTo(sorted.map(({ ns }) => ns))
  const least = relativeToNs === null ? 1 : 1e-6
  const axis = axisOf(Math.max(least, low), Math.max(high, low + least))
  const y = (share: number) => height - bottom - share * (height - top - bottom)
  const path = (ns: Float64Array) => {
    const inside = ns.filter((value) => value <= high).length
    const count = Math.min(points, inside)
    const at = Array.from({ length: count }, (_, i) => Math.round(((i + 1) / count) * inside) - 1)
    const start = `M${axis.x(ns[0]!).toFixed(1)} ${y(0).toFixed(1)}`
    const steps = at.map(
      (index) => `H${axis.x(ns[index]!).toFixed(1)}V${y((index + 1) / ns.length).toFixed(1)}`,
    )
    return `${start}${steps.join('')}H${width - right}`
  }
  const ticksY = [0, 0.25, 0.5, 0.75, 0.9, 1]
  const label = sorted
    .map(
      ({ kind, ns }) =>
        `${kind}: median ${format(ns[Math.floor(ns.length / 2)]!, unit)} of ${ns.length} inferences`,
    )
    .join('; ')
  return markup`<svg class="chart" viewBox="0 0 ${width} ${height}" role="img" aria-label="Cumulative distribution of latency. ${label}">
${ticksY.map((share) => markup`<line class="grid" x1="${left}" x2="${width - right}" y1="${y(share)}" y2="${y(share)}"/><text x="${left - 6}" y="${y(share) + 4}" text-anchor="end">${(share * 100).toFixed(0)} %</text>`)}
${axis.ticks.map((ns) => markup`<line class="grid" x1="${axis.x(ns).toFixed(1)}" x2="${axis.x(ns).toFixed(1)}" y1="${top}" y2="${height - bottom}"/><text x="${axis.x(ns).toFixed(1)}" y="${height - bottom + 16}" text-anchor="middle">${formatTick(ns, unit)}</text>`)}
<text x="${(left + width - right) / 2}" y="${height - 4}" text-anchor="middle">time of one inference${unit === '×' && ', float’s median being 1'}${axis.logarithmic ? ' (logarithmic)' : ''}</text>
${sorted.map(({ kind, ns }) => markup`<path class="line ${kind}" d="${new Markup(path(ns))}"/><circle class="dot ${kind}" cx="${axis.x(ns[Math.floor(ns.length / 2)]!).toFixed(1)}" cy="${y(0.5)}" r="4"/>${quantiles(ns, high).map(([share, value]) => markup`<line class="quantile ${kind}" x1="${axis.x(value).toFixed(1)}" x2="${axis.x(value).toFixed(1)}" y1="${(y(share) - 6).toFixed(1)}" y2="${(y(share) + 6).toFixed(1)}"/>`)}`)}
</svg>${high < slowest && markup`<p class="quiet">${beyond(sorted, high, slowest, unit)}</p>`}`
}

type Unit = 'ns' | '×'

function format(value: number, unit: Unit): string {
  return unit === 'ns' ? formatNs(value) : formatRatio(value)
}

/** p90 and p99 by nearest rank where 1 − pⁿ ≥ 0.95; the median has its dot. */
function quantiles(sorted: Float64Array, high: number): [share: number, value: number][] {
  return [0.9, 0.99]
    .filter((share) => 1 - share ** sorted.length >= 0.95)
    .map((share): [number, number] => [share, sorted[Math.ceil(share * sorted.length) - 1]!])
    .filter(([, value]) => value <= high)
}

/** A few inferences that the system held up must not squeeze all others into a wall: the axis ends after the body. */
function shownUpTo(sorted: readonly Float64Array[]): number {
  const quantile = (q: number) =>
    Math.max(...sorted.map((ns) => ns[Math.min(ns.length - 1, Math.floor(q * ns.length))]!))
  const [p90, last] = [quantile(0.9), quantile(1)]
  return last <= 2.5 * p90 ? last : 1.5 * p90
}

function beyond(
  sorted: readonly { kind: string; ns: Float64Array }[],
  high: number,
  slowest: number,
  unit: Unit,
): string {
  const shares = sorted.map(
    ({ kind, ns }) => `${formatShare(ns.filter((value) => value > high).length / ns.length)} of ${kind}`,
  )
  return `Beyond the right edge: ${shares.join(', ')}; the slowest took ${format(slowest, unit)}.`
}

interface Axis {
  readonly logarithmic: boolean
  readonly ticks: readonly number[]
  x(ns: number): number
}

/** Logarithmic where the slowest takes over six times as long as the fastest, so that neither curve is a wall. */
function axisOf(low: number, high: number): Axis {
  const span = width - left - right
  if (high / low > 6) {
    const [from, to] = [Math.log10(low * 0.95), Math.log10(high * 1.05)]
    const ticks: number[] = []
    for (let decade = 10 ** Math.floor(from); decade <= high * 1.05; decade *= 10)
      for (const step of [1, 2, 5]) ticks.push(decade * step)
    return {
      logarithmic: true,
      ticks: ticks.filter((ns) => ns >= low * 0.95 && ns <= high * 1.05).slice(0, 12),
      x: (ns) => left + ((Math.log10(ns) - from) / (to - from)) * span,
    }
  }
  const margin = (high - low) * 0.03
  const [from, to] = [Math.max(0, low - margin), high + margin]
  const step = niceStep((to - from) / 6)
  const first = Math.ceil(from / step)
  const count = Math.max(0, Math.floor(to / step) - first + 1)
  return {
    logarithmic: false,
    ticks: Array.from({ length: Math.min(12, count) }, (_, i) => (first + i) * step),
    x: (ns) => left + ((ns - from) / (to - from)) * span,
  }
}

function niceStep(rough: number): number {
  const decade = 10 ** Math.floor(Math.log10(rough))
  return decade * ([1, 2, 5].find((step) => step * decade >= rough) ?? 10)
}

/** `4.5 ms` rather than `4.50 ms`: an axis needs no false digits. */
function formatTick(value: number, unit: Unit): string {
  if (unit === '×') return `${Number(value.toPrecision(3))}×`
  return formatNs(value)
    .replace(/(\.\d*?)0+ /, '$1 ')
    .replace('. ', ' ')
}
