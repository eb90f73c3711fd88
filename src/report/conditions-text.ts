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
