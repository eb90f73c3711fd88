import { EdgewrightError } from '../../error.ts'
import { printable } from '../../deploy/printable.ts'

/** One inference as `--exportTimes` tells it, nanoseconds. */
export interface InferenceTime {
  /** When the GPU began with it (its copy to the device first), from trtexec's own start of timing. */
  readonly startNs: number
  /** Copy to the device, GPU compute and copy back, waiting for the inference before it left out: trtexec's "Latency". */
  readonly latencyNs: number
  /** The GPU's kernels alone. */
  readonly computeNs: number
  readonly toDeviceNs: number
  readonly fromDeviceNs: number
  /** What the CPU spent to put it into the queue. */
  readonly enqueueNs: number
}

const maxInferences = 10_000_000
/** No inference takes a day: such a number is a mistake or meant badly. */
const longestMs = 86_400_000

/**
 * Reads the file of `--exportTimes`: an array of objects of milliseconds. Releases before 8.4 put the warm-up into it as
 * well; trtexec's own rule for it (compute that began before `warmUpMs`) is applied here to all.
 *
 * @throws EdgewrightError DEVICE_ANSWER_INVALID where it is not such a file
 */
export function parseTimes(text: string, warmUpMs: number): InferenceTime[] {
  const rows = arrayOf(text, 'the times of inferences')
  if (rows.length > maxInferences) throw invalid('the times of inferences', `${rows.length} inferences`)
  const times: InferenceTime[] = []
  for (const row of rows) {
    const field = (name: string) => milliseconds(row, name)
    if (times.length === 0 && field('startComputeMs') < warmUpMs) continue
    const computeMs = field('computeMs')
    const toDeviceMs = field('h2dMs')
    const fromDeviceMs = field('d2hMs')
    times.push({
      startNs: toNs(toDeviceMs > 0 ? field('startH2dMs') : field('startComputeMs')),
      latencyNs: toNs(field('latencyMs')),
      computeNs: toNs(computeMs),
      toDeviceNs: toNs(toDeviceMs),
      fromDeviceNs: toNs(fromDeviceMs),
      enqueueNs: toNs(Math.max(0, field('endEnqMs') - field('startEnqMs'))),
    })
  }
  return times
}

/** An array of objects out of one of trtexec's JSON files. */
export function arrayOf(text: string, what: string): Record<string, unknown>[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw invalid(what, printable(text.slice(-80)) || 'nothing', cause)
  }
  if (
    !Array.isArray(value) ||
    value.some((row) => typeof row !== 'object' || row === null || Array.isArray(row))
  )
    throw invalid(what, 'no list of objects')
  return value as Record<string, unknown>[]
}

export function invalid(what: string, saw: string, cause?: unknown): EdgewrightError {
  return new EdgewrightError(
    'DEVICE_ANSWER_INVALID',
    `The board’s trtexec gave ${what} in a form that cannot be read.`,
    {
      saw,
      hint: 'A full disk or a trtexec killed while it wrote leaves such files; run again.',
      cause,
    },
  )
}

function milliseconds(row: Record<string, unknown>, name: string): number {
  const value = row[name]
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0 && value < longestMs) return value
  throw invalid('the times of inferences', `${name}: ${printable(String(value), 40)}`)
}

/** trtexec prints six significant digits: more than picoseconds would be made up. */
function toNs(ms: number): number {
  return Math.round(ms * 1e9) / 1e3
}
