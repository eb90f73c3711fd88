import type { ClockOffset } from './board-clock.ts'
import type { MeterEdge } from './types.ts'

/** A time during which the marker was up, on some clock. */
export interface Pulse {
  readonly fromNs: number
  readonly toNs: number
}

/** Between the runner's own clock reading and the pin: one write to a file of the kernel's. */
const writeDelayNs = 1e6
/** Pauses shorter than this may be seen by one side only. */
const shortestPauseNs = 5e6
const durationTolerance = { ns: 20e6, share: 500e-6 }

/** When a pin was up, from its edges; one that was up from the start, or stayed up, is no whole pulse. */
export function pulsesOf(edges: readonly MeterEdge[], pin: number): Pulse[] {
  const pulses: Pulse[] = []
  let fromNs: number | null = null
  for (const edge of edges) {
    if (edge.pin !== pin) continue
    if (edge.rising) fromNs = edge.atNs
    else if (fromNs !== null) {
      pulses.push({ fromNs, toNs: edge.atNs })
      fromNs = null
    }
  }
  return pulses
}

/**
 * Finds the steps of a run, as the board timed them, among the pulses that the meter saw: as many in a row, each as long
 * as its step. Null: not there, or in more than one place.
 */
export function alignPulses(steps: readonly Pulse[], seen: readonly Pulse[]): ClockOffset | null {
  const expected = joined(steps)
  const pulses = joined(seen)
  if (expected.length === 0) return null
  const fits: ClockOffset[] = []
  for (let first = 0; first + expected.length <= pulses.length; first++) {
    const row = pulses.slice(first, first + expected.length)
    if (row.every((pulse, i) => alike(pulse, expected[i]!)) && alike(spanOf(row), spanOf(expected)))
      fits.push(offsetOf(row, expected))
  }
  return fits.length === 1 ? fits[0]! : null
}

function joined(pulses: readonly Pulse[]): Pulse[] {
  const whole: Pulse[] = []
  for (const pulse of pulses) {
    const last = whole.at(-1)
    if (last !== undefined && pulse.fromNs - last.toNs < shortestPauseNs)
      whole[whole.length - 1] = { fromNs: last.fromNs, toNs: pulse.toNs }
    else whole.push(pulse)
  }
  return whole
}

function spanOf(pulses: readonly Pulse[]): Pulse {
  return { fromNs: pulses[0]!.fromNs, toNs: pulses.at(-1)!.toNs }
}

function alike(a: Pulse, b: Pulse): boolean {
  const [one, other] = [a.toNs - a.fromNs, b.toNs - b.fromNs]
  return Math.abs(one - other) <= durationTolerance.ns + durationTolerance.share * other
}

/** Board minus meter's clock: from all edges together. */
function offsetOf(seen: readonly Pulse[], expected: readonly Pulse[]): ClockOffset {
  const offsets = expected.flatMap(({ fromNs, toNs }, i) => [fromNs - seen[i]!.fromNs, toNs - seen[i]!.toNs])
  return { lowNs: Math.min(...offsets) - writeDelayNs, highNs: Math.max(...offsets) + writeDelayNs }
}
