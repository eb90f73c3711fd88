import { type Pin, restoreLeftPinned } from '../deploy/pins.ts'
import type { Device } from '../deploy/types.ts'
import { coolDown, type CoolTo } from '../measure/conditions/cool-down.ts'
import { isPinned, pinsFor } from '../measure/conditions/pin-choice.ts'
import { type BoardSensor, chipZones, planSensors, sensorsOf } from '../measure/conditions/sensors.ts'
import { surveyBoard as survey } from '../measure/conditions/survey.ts'
import type { BoardSurvey } from '../measure/conditions/types.ts'
import { pinWarnings } from '../measure/conditions/warnings.ts'
import type { Plan } from '../measure/plan.ts'
import type { Progress } from '../progress.ts'

/** What holds a board while it is measured, and what is waited for before. */
export interface ConditionsChoice {
  /** `--pin performance`. */
  readonly pin?: boolean
  /** `--power-mode`. */
  readonly powerMode?: string | undefined
  /** `--cool-to`; `auto`: as cool as before the first run on this board, as far as a minute goes. */
  readonly coolTo?: CoolTo | 'auto' | 'off'
}

/** What a board lets be read while it is measured, and how it was found. */
export interface BoardSensors {
  readonly sensors: Plan['sensors']
  readonly governor: string | null
  /** What emulates the board, as far as it shows: its absolute times are then not a board's. */
  readonly emulator: string | null
  /** The same sensors with their units. */
  readonly sensing: readonly BoardSensor[]
  readonly before: BoardSurvey
}

/** A board that may be measured now. */
export interface ReadyBoard extends BoardSensors {
  readonly choice: ConditionsChoice
  /** To be set for the time of the run. */
  readonly pins: readonly Pin[]
  readonly pinned: boolean
  readonly waitedSeconds: number
}

/** Between rows, this much warmer than before the first will do; and no longer is waited. */
const auto = { deltaMilliC: 5000, deadlineMs: 60_000 } as const

/** Asks a board what can be read of it while it is measured, and whether it is one at all. */
export async function surveyBoard(device: Device, signal: AbortSignal): Promise<BoardSensors> {
  return sensorsAnd(await survey(device, signal))
}

/**
 * Makes a board ready to be measured: sets back what a run that was cut off has left pinned, waits until it is cool enough,
 * and finds out how its clocks can be held. Temperatures before the first run of each board are kept in `first`.
 */
export async function readyBoard(
  device: Device,
  choice: ConditionsChoice,
  first: Map<string, number>,
  progress: Progress,
): Promise<ReadyBoard> {
  if (hasBoardSide(device))
    for (const left of await restoreLeftPinned(device, progress.signal))
      progress.warn(pinWarnings.left(device.name, left))
  const asked = { load: true, pin: choice.pin === true || choice.powerMode !== undefined }
  let found = await survey(device, progress.signal, asked)
  const { pins, warnings } = pinsFor(
    { performance: choice.pin === true, powerMode: choice.powerMode },
    found,
    device.name,
  )
  for (const warning of warnings) progress.warn(warning)
  const zones = chipZones(found.zones)
  const to = coolToOf(choice, first.get(device.name))
  let waitedSeconds = 0
  if (to) {
    const cooled = await coolDown(
      device,
      zones.map(({ path }) => path),
      to,
      progress,
    )
    waitedSeconds = cooled.waitedSeconds
    // flags and temperatures of a minute ago are not those of the start
    if (waitedSeconds > 1) found = await survey(device, progress.signal, asked)
  }
  const temperatures = chipZones(found.zones).map(({ milliC }) => milliC)
  if (temperatures.length > 0 && !first.has(device.name)) first.set(device.name, Math.max(...temperatures))
  return { ...sensorsAnd(found), choice, pins, pinned: isPinned(found, pins), waitedSeconds }
}

/** The survey after a run, for what was raised in it. */
export async function surveyAfter(device: Device, signal: AbortSignal): Promise<BoardSurvey> {
  return survey(device, signal)
}

function coolToOf({ coolTo = 'auto' }: ConditionsChoice, firstMilliC: number | undefined): CoolTo | null {
  if (coolTo === 'off') return null
  if (coolTo !== 'auto') return coolTo
  if (firstMilliC === undefined) return null
  return { milliC: firstMilliC + auto.deltaMilliC, deadlineMs: auto.deadlineMs, otherwise: 'warn' }
}

/** macOS and Windows measure in this process: nothing is set there, nothing to set back. */
function hasBoardSide(device: Device): boolean {
  return device.connection.kind !== 'local' || process.platform === 'linux'
}

function sensorsAnd(before: BoardSurvey): BoardSensors {
  const sensing = sensorsOf(before)
  const governors = [...new Set(before.policies.flatMap(({ governor }) => governor ?? []))]
  return {
    sensors: planSensors(sensing),
    governor: governors.length === 0 ? null : governors.join(', '),
    emulator: before.emulator,
    sensing,
    before,
  }
}
