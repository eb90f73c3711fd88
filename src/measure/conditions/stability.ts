import type { ClockFall } from './clock-fall.ts'
import type { Span } from './sensors.ts'
import type { Throttle } from './throttle.ts'

export interface Stability {
  readonly state: 'steady' | 'drifting' | 'throttled' | 'unknown'
  /** What the verdict rests on, in one or two sentences. */
  readonly reason: string
}

export interface StabilityInput {
  /** Of each artifact that was measured. */
  readonly latency: readonly {
    readonly state: 'steady' | 'drifting' | 'unknown'
    readonly slopePerMinute: number | null
    readonly sentence: string
  }[]
  readonly throttle: Throttle | null
  readonly clock: ClockFall | null
  readonly temperature: (Span & { readonly limitMilliC: number | null }) | null
}

const flagSentences = {
  underVoltage: 'the supply voltage was too low',
  frequencyCapped: 'the clock was capped',
  throttled: 'the board was throttled',
  softTemperatureLimit: 'the soft temperature limit was active',
} as const

/** Warmer by this much at the end than at the start is worth a word. */
const warmedMilliC = 3000

/**
 * Whether the board stayed the same while it was measured. `throttled` needs a witness: a flag, a clock that fell, or a
 * limit of temperature with latency rising. `steady` needs all witnesses to be clean, and enough latencies to tell.
 */
export function stabilityOf(input: StabilityInput): Stability {
  const { throttle, clock, temperature } = input
  const flags = throttle ? raisedFlags(throttle) : []
  if (flags.length > 0)
    return { state: 'throttled', reason: sentence(`${flags.join(', ')} (${throttle!.source})`) }
  if (clock)
    return {
      state: 'throttled',
      reason: `${clock.what === 'limit' ? 'The limit of the clock' : 'The clock'} of ${clock.name} fell from ${megahertz(clock.fromKHz)} to ${megahertz(clock.toKHz)} while it was measured.`,
    }
  const drifting = input.latency.find(({ state }) => state === 'drifting')
  const hot =
    temperature !== null && temperature.limitMilliC !== null && temperature.max >= temperature.limitMilliC
      ? `It reached ${celsius(temperature.max)}; from ${celsius(temperature.limitMilliC)} on the board slows itself.`
      : null
  const slowing = input.latency.find(
    ({ state, slopePerMinute }) => state === 'drifting' && (slopePerMinute ?? 0) > 0,
  )
  if (hot && slowing) return { state: 'throttled', reason: `${hot} ${slowing.sentence}` }
  if (drifting) return { state: 'drifting', reason: drifting.sentence }
  const unknown = input.latency.find(({ state }) => state === 'unknown')
  if (input.latency.length === 0)
    return { state: 'unknown', reason: 'Nothing tells whether latency was steady.' }
  if (unknown) return { state: 'unknown', reason: unknown.sentence }
  if (hot) return { state: 'unknown', reason: `${hot} Latency does not show it yet.` }
  const warmed = temperature !== null && temperature.end - temperature.start >= warmedMilliC
  return {
    state: 'steady',
    reason: [
      input.latency[0]!.sentence,
      ...(warmed
        ? [
            `It warmed from ${celsius(temperature.start)} to ${celsius(temperature.end)}: a longer run may differ.`,
          ]
        : []),
    ].join(' '),
  }
}

/** What was raised, as phrases. */
export function raisedFlags(throttle: Throttle): string[] {
  return (Object.keys(flagSentences) as (keyof typeof flagSentences)[])
    .filter((flag) => throttle[flag])
    .map((flag) => flagSentences[flag])
}

export function celsius(milliC: number): string {
  return `${(milliC / 1000).toFixed(1)} °C`
}

export function megahertz(kHz: number): string {
  return `${(kHz / 1000).toFixed(0)} MHz`
}

function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}.`
}
