import { chipFacts } from './chips.ts'
import type { Rail } from './rail.ts'

/** What a sensor may be wrong by: bounds, not deviations. What has one sign for all samples does not average out. */
export interface SensorAccuracy {
  /** Shares of the value, independent of each other: gains, the shunt's tolerance, errors of the voltage. */
  readonly shares: readonly number[]
  /** The same in every sample, whatever the load. */
  readonly offsetMilliW: number
  /** Of the last digit, in milliwatts. */
  readonly stepMilliW: number
  /** `assumed` where no datasheet is known. */
  readonly basis: 'datasheet' | 'assumed'
  /** Highest power that the sensor can show; null where that is not known. */
  readonly fullScaleMilliW: number | null
}

/** Resistors for current sensing are mostly sold at 1 %; no driver tells which is fitted. */
const shuntTolerance = 0.01
/** Of a sensor without a datasheet here. */
const assumedShare = 0.05

/** @param milliV mean voltage of the rail; null where it is not read */
export function railAccuracy({ chip, shunt, milliA }: Rail, milliV: number | null): SensorAccuracy {
  const facts = chipFacts(chip)
  if (!facts || !shunt || !milliA || milliV === null || milliV <= 0) return unknownAccuracy
  // microvolts over microohms are amperes
  const milliAOf = (microV: number) => (microV / shunt.microOhm) * 1000
  const milliWOf = (microV: number) => (milliAOf(microV) * milliV) / 1000
  return {
    shares: [
      facts.shunt.gainShare,
      facts.bus.gainShare,
      facts.bus.offsetMv / milliV,
      facts.bus.stepMv / 2 / milliV,
      shuntTolerance,
    ],
    offsetMilliW: milliWOf(facts.shunt.offsetUv),
    // the driver rounds to whole milliamperes
    stepMilliW: (Math.max(milliAOf(facts.shunt.stepUv), milliA.unit === 1 ? 1 : 0) * milliV) / 1000,
    basis: 'datasheet',
    fullScaleMilliW: milliWOf(facts.fullScaleUv),
  }
}

export const unknownAccuracy: SensorAccuracy = {
  shares: [assumedShare],
  offsetMilliW: 0,
  stepMilliW: 0,
  basis: 'assumed',
  fullScaleMilliW: null,
}

/** Of a sum: offsets and steps add up, shares are the worst rail's. */
export function sumAccuracy(parts: readonly SensorAccuracy[]): SensorAccuracy {
  const [first, ...rest] = parts
  if (!first) return unknownAccuracy
  return rest.reduce<SensorAccuracy>(
    (sum, one) => ({
      shares: norm(one.shares) > norm(sum.shares) ? one.shares : sum.shares,
      offsetMilliW: sum.offsetMilliW + one.offsetMilliW,
      stepMilliW: sum.stepMilliW + one.stepMilliW,
      basis: sum.basis === 'assumed' || one.basis === 'assumed' ? 'assumed' : 'datasheet',
      fullScaleMilliW:
        sum.fullScaleMilliW === null || one.fullScaleMilliW === null
          ? null
          : sum.fullScaleMilliW + one.fullScaleMilliW,
    }),
    first,
  )
}

/**
 * Half of the 95 % interval that bounds ±a leave, each as likely anywhere inside: 2 · √Σ(a²/3) (JCGM 100:2008, 4.3.7
 * and 6.3.3).
 */
export function expandedBounds(bounds: readonly number[]): number {
  return (2 * norm(bounds)) / Math.sqrt(3)
}

function norm(values: readonly number[]): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0))
}
