/** Turns counts of sampling periods into times of this computer's clock, from when they arrived. */
export interface StreamClock {
  /** `index` periods had been sampled when a chunk arrived; falls never. */
  arrived(index: number, atNs: number): void
  /** `gapsAt`: where the count is only known modulo `gapModulus`. */
  fit(gapsAt: readonly number[], gapModulus: number): StreamTime
}

export interface StreamTime {
  /** When period `index` began, ns. */
  at(index: number): number
  readonly periodNs: number
  /** How far `at` may be off. */
  readonly boundNs: number
  /** Periods that each gap lost beyond what the counter could say, in order. */
  readonly lostCycles: readonly number[]
}

/** A crystal is better than this; over a short run the slope of arrivals is not. */
const crystalTolerance = 200e-6
const windowNs = 50e6
/** Around a gap, arrivals of this long tell how late the stream runs. */
const stepReachNs = 10e9

interface Point {
  index: number
  ns: number
}

/**
 * A chunk arrives after its last sample was taken, never before: true times lie on or below the lower envelope of
 * arrivals. The first sample was taken after sampling was asked for: that bounds them from below.
 *
 * @param askedNs when sampling was asked for
 * @param nominalPeriodNs between samples
 */
export function createStreamClock(askedNs: number, nominalPeriodNs: number): StreamClock {
  // of each window the arrival that was least late
  const points: Point[] = []
  let windowEnd = Number.NEGATIVE_INFINITY
  const lateness = ({ index, ns }: Point) => ns - index * nominalPeriodNs

  return {
    arrived(index, ns) {
      const point = { index, ns }
      const last = points.at(-1)
      if (last?.index === index) return
      if (last === undefined || ns >= windowEnd) {
        points.push(point)
        windowEnd = ns + windowNs
      } else if (lateness(point) < lateness(last)) points[points.length - 1] = point
    },
    fit(gapsAt, gapModulus) {
      const moved = points.map((point) => ({ ...point }))
      const lostCycles = gapsAt.map((gap) => {
        const least = (from: number, to: number) =>
          moved
            .filter(({ index }) => index > from && index <= to)
            .reduce((least, point) => Math.min(least, lateness(point)), Number.POSITIVE_INFINITY)
        const reach = stepReachNs / nominalPeriodNs
        const step = least(gap, gap + reach) - least(gap - reach, gap)
        const cycles = Number.isFinite(step)
          ? Math.max(0, Math.round(step / (gapModulus * nominalPeriodNs)))
          : 0
        for (const point of moved) if (point.index > gap) point.index += cycles * gapModulus
        return cycles
      })
      const shift = (index: number) =>
        gapsAt.reduce((sum, gap, i) => (index > gap ? sum + lostCycles[i]! * gapModulus : sum), index)
      const { periodNs, startNs } = lowerEnvelope(moved, nominalPeriodNs, askedNs)
      const boundNs = Math.max(0, startNs - askedNs) / 2
      const middleNs = startNs - boundNs
      return { periodNs, boundNs, lostCycles, at: (index) => middleNs + shift(index) * periodNs }
    },
  }
}

/** The line below all points that is nearest to them in the mean: the edge of their lower hull over the mean index. */
function lowerEnvelope(
  points: readonly Point[],
  nominalPeriodNs: number,
  askedNs: number,
): { periodNs: number; startNs: number } {
  if (points.length === 0) return { periodNs: nominalPeriodNs, startNs: askedNs }
  const hull: Point[] = []
  for (const point of points) {
    while (hull.length >= 2 && below(point, hull.at(-2)!, hull.at(-1)!)) hull.pop()
    hull.push(point)
  }
  const mean = points.reduce((sum, { index }) => sum + index, 0) / points.length
  const right = Math.max(
    1,
    hull.findIndex(({ index }) => index >= mean),
  )
  const [a, b] = [hull[right - 1]!, hull[right]]
  const slope = b === undefined ? nominalPeriodNs : (b.ns - a.ns) / (b.index - a.index)
  const periodNs = Math.min(
    nominalPeriodNs * (1 + crystalTolerance),
    Math.max(nominalPeriodNs * (1 - crystalTolerance), slope),
  )
  // the slope may have been held: the line still has to stay below every point
  const startNs = points.reduce(
    (least, { index, ns }) => Math.min(least, ns - index * periodNs),
    Number.POSITIVE_INFINITY,
  )
  return { periodNs, startNs }
}

/** Whether `b` lies on or above the line from `a` to `c`: no corner of the lower hull. */
function below(c: Point, a: Point, b: Point): boolean {
  return (b.ns - a.ns) * (c.index - a.index) >= (c.ns - a.ns) * (b.index - a.index)
}
