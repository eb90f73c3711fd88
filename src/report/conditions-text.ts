import { raisedFlags } from '../measure/conditions/stability.ts'
import { throttleOf } from '../measure/conditions/throttle.ts'
import type { BoardSurvey } from '../measure/conditions/types.ts'
import type { RunResult } from '../store/document.ts'
import { printable } from './format.ts'

/** One line for under a table. */
export function conditionsText(conditions: NonNullable<RunResult['conditions']>): string {
  const { temperatureMilliC: heat, clockKHz: clock, governor, powerMode, pinned, throttle } = conditions
  const span = (low: number, high: number, unit: string) =>
    low === high ? `${high} ${unit}` : `${low} to ${high} ${unit}`
  const flags = throttle && Object.entries(throttle).some(([, value]) => value === true)
  return [
    conditions.stability,
    heat && span(Math.round(heat.min / 1000), Math.round(heat.max / 1000), '°C'),
    clock && span(Math.round(clock.min / 1000), Math.round(clock.max / 1000), 'MHz'),
    governor && `governor ${printable(governor)}`,
    powerMode && `power mode ${printable(powerMode)}`,
    pinned &&
      pinned.length > 0 &&
      `pinned ${pinned.every(({ restored }) => restored) ? 'and set back' : 'and NOT all set back'}`,
    flags ? 'throttle flags raised' : throttle ? 'no throttle flags' : null,
    conditions.waitedForTemperatureSeconds
      ? `waited ${Math.round(conditions.waitedForTemperatureSeconds)} s to cool`
      : null,
  ]
    .filter(Boolean)
    .join(', ')
}

/** A board as it is now, for `devices probe`; null where it does not say. */
export function surveyRows(survey: BoardSurvey): [name: string, value: string | null][] {
  const throttle = throttleOf([], survey.gauges)
  const clocks = survey.policies.map(
    ({ name, governor, currentKHz, minKHz, maxKHz }) =>
      `${name} ${governor ?? '?'} ${megahertz(currentKHz)} (${megahertz(minKHz)} to ${megahertz(maxKHz)} MHz)`,
  )
  const { powerMode } = survey
  return [
    ['clocks', clocks.slice(0, 8).join(', ') || null],
    [
      'heat',
      survey.zones
        .slice(0, 8)
        .map(({ type, milliC }) => `${type} ${(milliC / 1000).toFixed(1)} °C`)
        .join(', ') || null,
    ],
    ['throttle', throttle && (raisedFlags(throttle).join(', ') || `not now (${throttle.source})`)],
    [
      'power mode',
      powerMode &&
        `${powerMode.current?.name ?? 'unknown'} (of ${powerMode.modes.map(({ name }) => name).join(', ')})`,
    ],
  ]
}

function megahertz(kHz: number | null): string {
  return kHz === null ? '?' : (kHz / 1000).toFixed(0)
}
