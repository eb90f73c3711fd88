import type { LeftPinned, PinOutcome } from '../../deploy/pins.ts'
import type { Warning } from '../../progress.ts'
import type { Stability } from './stability.ts'
import { celsius, raisedFlags } from './stability.ts'
import type { Throttle } from './throttle.ts'

/** What was seen, and what the user did about it already: a remedy that was taken is not advised again. */
export interface WarningFacts {
  readonly device: string
  readonly emulated: boolean
  readonly throttle: Throttle | null
  readonly stability: Stability
  /** Lowest and highest of the fastest clock while latency was taken. */
  readonly clockKHz: { readonly min: number; readonly max: number } | null
  /** Governor, or clocks as a whole, held at one speed: by us or by whoever set the board up. */
  readonly pinned: boolean
  /** `--pin` was asked for, whatever came of it. */
  readonly pinAsked: boolean
  readonly fixedRate: boolean
  readonly hottestMilliC: number | null
  readonly limitMilliC: number | null
  /** `--cool-to` was given. */
  readonly cooled: boolean
  /** CPUs' worth of work of other programs, before and during. */
  readonly otherCpus: { readonly before: number | null; readonly during: number | null }
  readonly latencies: readonly {
    readonly name: string
    readonly firstNs: number | null
    readonly p50Ns: number
    readonly count: number
    readonly severeOutliers: number
  }[]
  readonly edgeTpuLinks: readonly number[]
  readonly usesEdgeTpu: boolean
  /** Sensors that the board's profile names and the board did not show. */
  readonly missingSensors: readonly string[]
}

/** Every warning about conditions: when it is said, and the remedy. In the order in which they matter. */
const table = {
  UNDER_VOLTAGE: ({ throttle }) =>
    throttle?.underVoltage
      ? {
          message: `The supply voltage fell too low while it was measured (${throttle.source}).`,
          hint: 'Use the supply that the board’s maker sells and a short, thick cable; take hungry USB devices off.',
        }
      : null,
  THROTTLED: ({ throttle, stability, cooled }) => {
    const flags = throttle ? raisedFlags({ ...throttle, underVoltage: false }) : []
    if (stability.state !== 'throttled' || (throttle?.underVoltage && flags.length === 0)) return null
    return {
      message: `The board slowed itself while it was measured: ${stability.reason}`,
      hint: cooled
        ? 'Cool it better (heat sink, fan), or measure at the rate of the product with --rate.'
        : 'Cool it better (heat sink, fan), start colder with --cool-to, or measure at the rate of the product with --rate.',
    }
  },
  TEMPERATURE_LIMIT: ({ hottestMilliC, limitMilliC, stability }) =>
    hottestMilliC !== null &&
    limitMilliC !== null &&
    hottestMilliC >= limitMilliC &&
    stability.state !== 'throttled'
      ? {
          message: `It reached ${celsius(hottestMilliC)}; from ${celsius(limitMilliC)} on the board slows itself.`,
          hint: 'Cool it better, or start colder with --cool-to; a longer run would be slower.',
        }
      : null,
  CLOCK_NOT_PINNED: ({ clockKHz, pinned, pinAsked, fixedRate, stability }) =>
    clockKHz !== null &&
    clockKHz.min < clockKHz.max * (1 - clockWobble) &&
    !pinned &&
    !pinAsked &&
    stability.state !== 'throttled'
      ? {
          message: `The clock went between ${(clockKHz.min / 1000).toFixed(0)} and ${(clockKHz.max / 1000).toFixed(0)} MHz while it was measured.`,
          hint: fixedRate
            ? 'That is how a product runs at this rate; --pin performance holds the clock to compare networks.'
            : 'Hold it with --pin performance (it is set back afterwards).',
        }
      : null,
  BACKGROUND_LOAD: ({ otherCpus, emulated }) => {
    const most = Math.max(otherCpus.before ?? 0, otherCpus.during ?? 0)
    // a user-mode emulator shows the load of the computer that it runs on
    if (emulated || most < otherLoad) return null
    return {
      message: `Other programs took ${most.toFixed(1)} CPUs ${(otherCpus.during ?? 0) >= otherLoad ? 'while it was measured' : 'before it was measured'}.`,
      hint: 'Stop them (top shows which), or keep to CPUs of your own with --affinity.',
    }
  },
  SLOW_FIRST_INFERENCE: ({ latencies, emulated }) => {
    const slow = latencies.find(
      ({ firstNs, p50Ns }) =>
        firstNs !== null && firstNs > p50Ns * slowFirst.times && firstNs - p50Ns > slowFirst.ns,
    )
    if (!slow || emulated) return null
    return {
      message: `The first inference of ${slow.name} took ${(slow.firstNs! / slow.p50Ns).toFixed(0)} times the median.`,
      hint: 'Run one when the application starts, before a user waits for it.',
    }
  },
  MANY_OUTLIERS: ({ latencies, otherCpus }) => {
    const worst = latencies
      .filter(({ count, severeOutliers }) => severeOutliers >= 3 && severeOutliers > count * outlierShare)
      .toSorted((a, b) => b.severeOutliers / b.count - a.severeOutliers / a.count)[0]
    if (!worst) return null
    return {
      message: `${worst.severeOutliers} of ${worst.count} inferences of ${worst.name} are far above the median; all are counted.`,
      hint:
        (otherCpus.during ?? 0) >= otherLoad
          ? 'Stop what else runs there; give p99 and not the mean.'
          : 'Look for what comes now and then (timers, logging, updates); give p99 and not the mean.',
    }
  },
  USB2_LINK: ({ edgeTpuLinks, usesEdgeTpu }) =>
    usesEdgeTpu && edgeTpuLinks.length > 0 && Math.max(...edgeTpuLinks) < 5000
      ? {
          message: `The Edge TPU is on a USB 2 link (${Math.max(...edgeTpuLinks)} Mbit/s): tensors take longer to travel than to compute.`,
          hint: 'Plug it into a USB 3 (blue) socket with a USB 3 cable.',
        }
      : null,
  SENSOR_MISSING: ({ missingSensors, emulated }) =>
    missingSensors.length > 0 && !emulated
      ? {
          message: `The board shows no ${missingSensors.join(' and no ')}: whether it slowed itself cannot be told from them.`,
          hint: 'See whether /sys is mounted there (containers), and whether the login may run vcgencmd (group video).',
        }
      : null,
} as const satisfies Record<string, (facts: WarningFacts) => Omit<Warning, 'code'> | null>

export type WarningCode = keyof typeof table | 'PIN_REFUSED' | 'PIN_LEFT' | 'PIN_NOT_RESTORED'

const clockWobble = 0.05
/** CPUs' worth. */
const otherLoad = 0.25
const slowFirst = { times: 10, ns: 50e6 }
const outlierShare = 0.02

/** What is worth saying about the conditions of a measurement. */
export function conditionWarnings(facts: WarningFacts): (Warning & { readonly code: WarningCode })[] {
  return (Object.keys(table) as (keyof typeof table)[]).flatMap((code) => {
    const said = table[code](facts)
    return said ? [{ code, ...said }] : []
  })
}

/** What is said about settings of the board, before and after. */
export const pinWarnings = {
  notAllowed: (device: string) => ({
    code: 'PIN_REFUSED' as const,
    message: `The login on ${device} may not set its clocks: it is measured as it is.`,
    hint: 'Allow it sudo without a password, log in as root, or set the governor there yourself.',
  }),
  noClocks: (device: string) => ({
    code: 'PIN_REFUSED' as const,
    message: `${device} shows no clocks that could be held: it is measured as it is.`,
    hint: 'Virtual machines and containers have none; leave --pin out there.',
  }),
  left: (device: string, { run, pins }: LeftPinned) => {
    const back = pins.filter(({ state }) => state === 'restored')
    const failed = pins.filter(({ state }) => state === 'failed')
    return {
      code: 'PIN_LEFT' as const,
      message: `The run ${run} was cut off and had left ${device} pinned${back.length > 0 ? `; set back: ${back.map(settingText).join(', ')}` : ''}${failed.length > 0 ? `; still as pinned: ${failed.map(settingText).join(', ')}` : ''}.`,
      hint:
        failed.length > 0
          ? 'Set these back there yourself; root or sudo without a password is needed.'
          : 'Results since then may have been taken with other clocks than you thought.',
    }
  },
  notRestored: (device: string, pins: readonly PinOutcome[]) => ({
    code: 'PIN_NOT_RESTORED' as const,
    message: `${device} did not take everything back: ${pins.map(({ what, from, to, state }) => (state === 'left' ? `somebody else has set the ${what} meanwhile` : `${what} is still ${to} and was ${from}`)).join('; ')}.`,
    hint: 'The next run there tries again; or set it back yourself.',
  }),
} as const

function settingText({ what, from, to }: PinOutcome): string {
  return `${what} ${to} → ${from}`
}
