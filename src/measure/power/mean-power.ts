import type { PowerSeries } from './series.ts'

/** A stretch of time on the board's clock. */
export interface EnergyWindow {
  readonly fromNs: number
  readonly toNs: number
}

/** Mean power of a window and what sampling leaves open of it. */
export interface MeanPower {
  readonly milliW: number
  /** Of the samples' scatter: half of a 95 % interval, milliwatts. */
  readonly scatterMilliW: number
  readonly samples: number
  /** Samples that can have told something new. */
  readonly independent: number
  /** What is left of the window once its edges are trimmed. */
  readonly insideNs: number
  readonly medianMilliW: number
  /** Times of the samples inside. */
  readonly tNs: Float64Array
}

/**
 * Mean power over a window: trapezoids over the samples, exact at its edges by interpolation. The edges are trimmed by
 * what the sensor lags behind and by the doubt of the clocks, so that no sample tells of another load.
 *
 * Its scatter is that of batch means (Law, Simulation Modeling and Analysis, 9.5.3), which holds for samples that
 * depend on each other; a linear trend is taken out first, since it is followed, not missed.
 *
 * @param boundNs how far the samples' clock may be off the window's
 */
export function meanPower(series: PowerSeries, { fromNs, toNs }: EnergyWindow, boundNs: number): MeanPower {
  const from = fromNs + series.lagNs + boundNs
  const to = toNs - boundNs
  const tNs: number[] = []
  const milliW: number[] = []
  for (const [i, t] of series.tNs.entries())
    if (t >= from && t <= to && Number.isFinite(series.milliW[i]!)) {
      tNs.push(t)
      milliW.push(series.milliW[i]!)
    }
  const insideNs = Math.max(0, to - from)
  const independent =
    series.cycleNs > 0 ? Math.min(tNs.length, Math.floor(insideNs / series.cycleNs)) : tNs.length
  return {
    milliW: tNs.length === 0 ? NaN : integral(series, { fromNs, toNs }, from, to) / insideNs,
    scatterMilliW: scatter(tNs, milliW, independent),
    samples: tNs.length,
    independent,
    insideNs,
    medianMilliW: median(milliW),
    tNs: Float64Array.from(tNs),
  }
}

/** Trapezoids from edge to edge. Samples of the window that were trimmed off still tell how power stood at the edge. */
function integral({ tNs, milliW }: PowerSeries, window: EnergyWindow, from: number, to: number): number {
  const points: { t: number; p: number }[] = []
  for (const [i, t] of tNs.entries())
    if (t >= window.fromNs && t <= window.toNs && Number.isFinite(milliW[i]!))
      points.push({ t, p: milliW[i]! })
  const inside = points.filter(({ t }) => t >= from && t <= to)
  const path = [
    {
      t: from,
      p: edge(
        points.findLast(({ t }) => t < from),
        inside[0]!,
        from,
      ),
    },
    ...inside,
    {
      t: to,
      p: edge(
        points.find(({ t }) => t > to),
        inside.at(-1)!,
        to,
      ),
    },
  ]
  let sum = 0
  for (let i = 1; i < path.length; i++)
    sum += ((path[i]!.p + path[i - 1]!.p) / 2) * (path[i]!.t - path[i - 1]!.t)
  return sum
}

/** Between two samples by interpolation; beyond the last one its value holds. */
function edge(
  outside: { t: number; p: number } | undefined,
  inside: { t: number; p: number },
  at: number,
): number {
  if (!outside) return inside.p
  return outside.p + ((inside.p - outside.p) * (at - outside.t)) / (inside.t - outside.t)
}

const mostBatches = 30
const fewestBatches = 5

function scatter(tNs: readonly number[], milliW: readonly number[], independent: number): number {
  const batches = Math.min(mostBatches, Math.floor(independent / 3))
  if (batches < fewestBatches) return NaN
  const rest = detrended(tNs, milliW)
  const means = Array.from({ length: batches }, (_, b) => {
    const part = rest.slice(
      Math.floor((b * rest.length) / batches),
      Math.floor(((b + 1) * rest.length) / batches),
    )
    return part.reduce((sum, value) => sum + value, 0) / part.length
  })
  const mean = means.reduce((sum, value) => sum + value, 0) / batches
  const variance = means.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (batches - 2)
  return studentT975(batches - 2) * Math.sqrt(variance / batches)
}

function detrended(tNs: readonly number[], milliW: readonly number[]): number[] {
  const n = tNs.length
  const t0 = tNs.reduce((sum, t) => sum + t / n, 0)
  const p0 = milliW.reduce((sum, p) => sum + p / n, 0)
  let covariance = 0
  let variance = 0
  for (let i = 0; i < n; i++) {
    covariance += (tNs[i]! - t0) * (milliW[i]! - p0)
    variance += (tNs[i]! - t0) ** 2
  }
  const slope = variance === 0 ? 0 : covariance / variance
  return milliW.map((p, i) => p - p0 - slope * (tNs[i]! - t0))
}

/** The 97.5 % point of Student's distribution, by its expansion in 1/df (Abramowitz & Stegun 26.7.5); df from 3. */
export function studentT975(df: number): number {
  const z = 1.959964
  return (
    z +
    (z ** 3 + z) / 4 / df +
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96 / df ** 2 +
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384 / df ** 3
  )
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? NaN
}
