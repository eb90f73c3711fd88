import type { Latency } from '../store/document.ts'
import { formatNs } from './format.ts'

/**
 * What stands under a row of percentiles, in one line: how sure the median is, what came before, what fell out of line.
 * `time` writes a time where plain units would mislead.
 */
export function latencyLine(
  { intervals, warmup, outliers, windows, steady }: Latency,
  time: (ns: number) => string = formatNs,
): string {
  const parts: string[] = []
  if (windows) parts.push(`median of ${windows.meanNs.length} windows ${time(windows.medianNs)}`)
  if (intervals)
    parts.push(
      intervals.p50
        ? `p50 within ${time(intervals.p50.lowNs)} to ${time(intervals.p50.highNs)} (95 %)`
        : 'too few for an interval of p50',
    )
  if (warmup) parts.push(`warm-up ${time(warmup.meanNs)} (mean of ${warmup.count})${untilSteady(warmup)}`)
  if (outliers) parts.push(outliersText(outliers))
  if (steady) parts.push(`${steady.state}: ${steady.sentence}`)
  return parts.join('; ')
}

function untilSteady({ untilSteady }: NonNullable<Latency['warmup']>): string {
  if (!untilSteady) return ''
  return untilSteady.steady
    ? ` after ${untilSteady.seconds} s until steady`
    : ` after ${untilSteady.seconds} s, not steady even then`
}

function outliersText({ mild, severe }: NonNullable<Latency['outliers']>): string {
  if (mild + severe === 0) return 'no outliers'
  const counted = [...(mild > 0 ? [`${mild} mild`] : []), ...(severe > 0 ? [`${severe} severe`] : [])]
  return `${counted.join(' and ')} ${mild + severe === 1 ? 'outlier' : 'outliers'}`
}
