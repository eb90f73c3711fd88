import type { PowerInterface } from '../../profiles/schema.ts'
import { parsePmic } from './pmic.ts'
import { type PowerSurvey, type Rail, railName } from './rail.ts'

/** What is read for a board's power, and what it covers. */
export type PowerSource = {
  /** For people, e.g. `ina3221 VDD_IN`. */
  readonly name: string
  /** One sentence on what the figure covers. */
  readonly covers: string
  /** Above it no value is believed, milliwatts; null: not known. */
  readonly limitMilliW: number | null
} & (
  | { readonly kind: 'rails'; readonly scope: 'board' | 'rail' | 'rail-sum'; readonly rails: readonly Rail[] }
  | { readonly kind: 'pmic'; readonly scope: 'pmic-rails'; readonly command: string }
)

/** Why there is nothing to read. */
export interface NoPower {
  readonly code: 'no-sensor' | 'wrong-label' | 'rail-unknown'
  readonly reason: string
}

/** Names of input rails: what flows in there is what the board takes. */
const inputRails = ['VDD_IN', 'POM_5V_IN', 'VIN']

/**
 * Which rail stands for the board: the one that is asked for, the profile's, one whose label says so; without an input
 * rail the sum of all; the PMIC of a Raspberry Pi 5. A sensor without a label may sit anywhere: it counts only where
 * the user or the profile names it.
 */
export function choosePower(
  survey: PowerSurvey,
  interfaces: readonly PowerInterface[],
  asked?: string,
): PowerSource | NoPower {
  if (asked !== undefined) return byName(survey, asked, interfaces)
  for (const one of interfaces) {
    const found = ofProfile(survey, one)
    if (found) return found
  }
  const expected = interfaces.find(({ kind }) => kind === 'ina3221' || kind === 'hwmon')
  if (expected && survey.rails.length === 0)
    return {
      code: 'no-sensor',
      reason: `The board shows no power sensor; its profile expects ${expected.totalRail ?? expected.rails.join(', ')} of ${expected.kind}.`,
    }
  const labelled = survey.rails.filter(({ label, chip }) => label !== null && /^ina/.test(chip))
  const input = inputRails.flatMap((name) => labelled.find(({ label }) => sameName(label!, name)) ?? [])[0]
  if (input) return boardRail(input, supplyLimit(interfaces))
  if (labelled.length > 0) return sumOf(labelled, null)
  const pmic = pmicSource(survey)
  if (pmic) return pmic
  if (survey.rails.length > 0)
    return {
      code: 'rail-unknown',
      reason: `No sensor says that it measures the board: name the right one with --rail (${survey.rails.map(railName).join(', ')}).`,
    }
  return {
    code: 'no-sensor',
    reason: 'The board has no power sensor that Linux shows: a meter in its supply line can measure it.',
  }
}

export function isPowerSource(chosen: PowerSource | NoPower): chosen is PowerSource {
  return 'kind' in chosen
}

function ofProfile(survey: PowerSurvey, one: PowerInterface): PowerSource | NoPower | null {
  if (one.kind !== 'ina3221' && one.kind !== 'hwmon') return null
  const rails = survey.rails.filter(({ chip }) => one.kind !== 'ina3221' || chip.startsWith('ina3221'))
  if (rails.length === 0) return null
  if (one.totalRail !== null) {
    const total = named(rails, one.totalRail)
    return total ? boardRail(total, supplyLimit([one])) : missing([one.totalRail], survey, 'The profile')
  }
  const absent = one.rails.filter((name) => !named(rails, name))
  if (one.rails.length === 0) return null
  if (absent.length > 0) return missing(absent, survey, 'The profile')
  return sumOf(
    one.rails.map((name) => named(rails, name)!),
    one.limitMilliW ?? null,
  )
}

/** `--rail VDD_IN`, `--rail ina226@1-0041:1`, `--rail CPU,GPU` or `--rail pmic`. */
function byName(
  survey: PowerSurvey,
  asked: string,
  interfaces: readonly PowerInterface[],
): PowerSource | NoPower {
  const names = asked.split(',').map((name) => name.trim())
  if (names.length === 1 && sameName(names[0]!, 'pmic'))
    return (
      pmicSource(survey) ?? {
        code: 'no-sensor',
        reason:
          'The board’s PMIC gives no readings: only a Raspberry Pi 5’s does, to users of the group video.',
      }
    )
  const absent = names.filter((name) => !named(survey.rails, name))
  if (absent.length > 0) return missing(absent, survey, '--rail')
  const rails = [...new Set(names.map((name) => named(survey.rails, name)!))]
  if (rails.length > 1) return sumOf(rails, null)
  const [rail] = rails as [Rail]
  const { label } = rail
  const total = interfaces.find(({ totalRail }) => totalRail !== null && named([rail], totalRail))
  const isInput = label !== null && inputRails.some((name) => sameName(label, name))
  if (label === null || total || isInput) return boardRail(rail, supplyLimit(interfaces))
  return {
    kind: 'rails',
    scope: 'rail',
    rails,
    name: `${rail.chip} ${label}`,
    covers: `Covers the rail ${label} alone, not the board.`,
    limitMilliW: limitOf([rail], null),
  }
}

function boardRail(rail: Rail, limitMilliW: number | null): PowerSource {
  return {
    kind: 'rails',
    scope: 'board',
    rails: [rail],
    name: `${rail.chip} ${railName(rail)}`,
    covers:
      rail.label === null
        ? `Covers what flows through ${rail.id}: taken for the board’s supply because it was named.`
        : `Covers all that the board takes through ${rail.label}.`,
    limitMilliW: limitOf([rail], limitMilliW),
  }
}

function sumOf(rails: readonly Rail[], limitMilliW: number | null): PowerSource {
  return {
    kind: 'rails',
    scope: 'rail-sum',
    rails,
    name: `${[...new Set(rails.map(({ chip }) => chip))].join(', ')} ${rails.map(railName).join(' + ')}`,
    covers: `Sum of ${rails.length} rails: carrier board, peripherals and what regulators lose are not in it.`,
    limitMilliW: limitOf(rails, limitMilliW),
  }
}

function pmicSource({ pmic }: PowerSurvey): PowerSource | null {
  if (!pmic || parsePmic(pmic.output).length === 0) return null
  return {
    kind: 'pmic',
    scope: 'pmic-rails',
    command: pmic.command,
    name: 'PMIC rails',
    covers: 'PMIC rails only: the 5 V path, USB, HATs and what regulators lose are not in it.',
    limitMilliW: null,
  }
}

function missing(absent: readonly string[], survey: PowerSurvey, who: string): NoPower {
  const there = survey.rails.map(railName)
  if (there.length === 0)
    return {
      code: 'no-sensor',
      reason: `${who} names ${absent.join(', ')}, but the board shows no power sensor.`,
    }
  return {
    code: 'wrong-label',
    reason: `${who} names ${absent.join(', ')}, which is not among the board’s rails (${there.join(', ')}).`,
  }
}

function named(rails: readonly Rail[], name: string): Rail | undefined {
  return (
    rails.find(({ id }) => id === name) ?? rails.find(({ label }) => label !== null && sameName(label, name))
  )
}

/** What the whole board can take, by its profile. */
function supplyLimit(interfaces: readonly PowerInterface[]): number | null {
  return (
    interfaces.find(
      ({ scope, limitMilliW }) => limitMilliW !== undefined && ['board', 'external'].includes(scope),
    )?.limitMilliW ?? null
  )
}

function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

/** The board's own alarms stand where its designers expect no more; the profile's figure is of the supply. */
function limitOf(rails: readonly Rail[], ofProfile: number | null): number | null {
  if (ofProfile !== null) return ofProfile
  const limits = rails.map(({ criticalMilliA, milliV }) =>
    criticalMilliA !== null && milliV?.live ? (criticalMilliA * milliV.live) / 1000 : null,
  )
  // a limit register that was never set stands at the chip's full scale
  return limits.every((limit) => limit !== null && limit < 200_000)
    ? limits.reduce<number>((sum, limit) => sum + limit!, 0)
    : null
}
