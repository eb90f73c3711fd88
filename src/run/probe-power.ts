import { parsePmic } from '../measure/power/pmic.ts'
import { livePower, railName } from '../measure/power/rail.ts'
import { choosePower, isPowerSource } from '../measure/power/source.ts'
import { surveyPower } from '../measure/power/survey.ts'
import type { Progress } from '../progress.ts'
import type { OpenedBoard } from './open-device.ts'

/** A rail with what it shows right now. */
export interface ProbedRail {
  readonly id: string
  readonly label: string | null
  readonly milliV: number | null
  readonly milliA: number | null
  readonly milliW: number | null
  readonly shuntMicroOhm: number | null
}

export interface ProbedPower {
  readonly rails: readonly ProbedRail[]
  readonly skipped: readonly { readonly what: string; readonly why: string }[]
  /** What an energy measurement would read, or why there is nothing to read. */
  readonly choice: string
}

/** The power sensors of a board with a live reading, and which of them stands for it. */
export async function probePower({ device, profile }: OpenedBoard, progress: Progress): Promise<ProbedPower> {
  if (device.connection.kind === 'local' && process.platform !== 'linux')
    return { rails: [], skipped: [], choice: 'Power sensors are read on Linux only.' }
  const survey = await surveyPower(device.connection, progress.signal)
  const chosen = choosePower(survey, profile.power)
  const pmic = survey.pmic ? parsePmic(survey.pmic.output) : []
  return {
    rails: [
      ...survey.rails.map((rail) => ({
        id: rail.id,
        label: rail.label,
        milliV: rail.milliV?.live ?? null,
        milliA: rail.milliA?.live ?? null,
        milliW: livePower(rail),
        shuntMicroOhm: rail.shunt?.basis === 'sysfs' ? rail.shunt.microOhm : null,
      })),
      ...pmic.map(({ name, amperes, volts }) => ({
        id: `pmic:${name}`,
        label: name,
        milliV: volts * 1000,
        milliA: amperes * 1000,
        milliW: volts * amperes * 1000,
        shuntMicroOhm: null,
      })),
    ],
    skipped: survey.skipped,
    choice: isPowerSource(chosen)
      ? `${chosen.kind === 'rails' ? chosen.rails.map(railName).join(' + ') : chosen.name}. ${chosen.covers}`
      : chosen.reason,
  }
}

export function describeRails({ rails, skipped, choice }: ProbedPower): [string, string][] {
  const number = (value: number | null, unit: string) =>
    value === null ? `? ${unit}` : `${value.toFixed(0)} ${unit}`
  return [
    ...rails.map(({ id, label, milliV, milliA, milliW }): [string, string] => [
      'rail',
      `${(label ?? id).padEnd(16)} ${number(milliW, 'mW').padStart(9)}  ${number(milliV, 'mV')}, ${number(milliA, 'mA')}${label === null || id.startsWith('pmic:') ? '' : `  ${id}`}`,
    ]),
    ...skipped.map(({ what, why }): [string, string] => ['no rail', `${what}: ${why}`]),
    ['energy', choice],
  ]
}
