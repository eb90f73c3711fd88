import type { Pin } from '../../deploy/pins.ts'
import type { Warning } from '../../progress.ts'
import { powerModeNamed } from './power-mode.ts'
import type { BoardSurvey } from './types.ts'
import { pinWarnings } from './warnings.ts'

/** How the board's clocks are to be held while it is measured. */
export interface PinChoice {
  /** The governor `performance` on every CPU, or jetson_clocks where the board has it. */
  readonly performance: boolean
  /** nvpmodel, by name. */
  readonly powerMode: string | undefined
}

const governor = 'performance'

/**
 * The settings that this board needs to be held as asked: none where it is already, none where the login may not. Errors:
 * DEVICE_UNSUPPORTED for a power mode that the board does not have, or may not be given.
 */
export function pinsFor(
  choice: PinChoice,
  survey: BoardSurvey,
  device: string,
): { readonly pins: readonly Pin[]; readonly warnings: readonly Warning[] } {
  const pins: Pin[] = []
  const warnings: Warning[] = []
  if (choice.powerMode !== undefined) {
    const mode = powerModeNamed(survey.powerMode, choice.powerMode, device)
    const current = survey.powerMode!.current
    if (current?.id !== mode.id)
      pins.push({ what: 'power-mode', id: mode.id, name: mode.name, fromName: current?.name ?? 'unknown' })
  }
  if (!choice.performance) return { pins, warnings }
  const able = survey.policies.filter(
    ({ governors }) => governors.length === 0 || governors.includes(governor),
  )
  const wanted = able.filter((policy) => policy.governor !== null && policy.governor !== governor)
  if (survey.mayPin === 'no') warnings.push(pinWarnings.notAllowed(device))
  else if (survey.hasJetsonClocks) pins.push({ what: 'jetson-clocks' })
  else if (able.length === 0) warnings.push(pinWarnings.noClocks(device))
  else
    pins.push(
      ...wanted.map(
        ({ folder }): Pin => ({ what: 'governor', path: `${folder}/scaling_governor`, to: governor }),
      ),
    )
  return { pins, warnings }
}

/** Whether the board holds its clocks during the run: because it was set so before, or by these settings. */
export function isPinned(survey: BoardSurvey, pins: readonly Pin[]): boolean {
  if (pins.some(({ what }) => what === 'jetson-clocks')) return true
  const { policies } = survey
  if (policies.length === 0) return false
  const set = new Set(pins.flatMap((pin) => (pin.what === 'governor' ? [pin.path] : [])))
  return policies.every(
    (policy) =>
      policy.governor === governor ||
      set.has(`${policy.folder}/scaling_governor`) ||
      (policy.minKHz !== null && policy.minKHz === policy.maxKHz),
  )
}
