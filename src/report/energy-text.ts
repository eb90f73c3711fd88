import type { Energy, RunResult } from '../store/document.ts'
import { formatMicrojoules, printable } from './format.ts'

/** `12.3 mJ ±3.1 %`; empty where there is no figure. */
export function energyCell(energy: Energy | undefined): string {
  if (!energy || energy.value === null) return ''
  return withUncertainty(energy.value, energy.uncertainty ?? null)
}

/** What the figures cover and rest on, or why there are none; empty where nobody asked. */
export function energyText({
  energy,
  baseline,
  conditions,
}: Pick<RunResult, 'energy' | 'baseline' | 'conditions'>): string {
  const float = baseline?.energy
  if (energy.value === null)
    return energy.reason === null || energy.reasonCode === 'not-asked'
      ? ''
      : `No energy: ${printable(energy.reason)}`
  if (conditions?.emulated) return ''
  return [
    `energy per inference: ${[perInference('int8', energy), perInference('float', float)].filter((part) => part !== '').join(', ')}`,
    measuredText(energy),
    float && float.value === null && float.reason ? `No energy of float: ${printable(float.reason)}` : '',
  ]
    .filter((part) => part !== '')
    .join('. ')
}

/** Which sensor, how many samples, on whose clock, and what the figure covers. */
export function measuredText({ measured }: Energy): string {
  if (!measured) return ''
  const { source, samples, sampleHz, windowNs, sync, covers, rateHz, idleMilliW, activeMilliW } = measured
  const clock = {
    'same-clock': 'on the board’s own clock',
    edge: 'put in time by an edge of the board',
    offset: `put in time within ${(measured.syncBoundNs / 1e6).toFixed(1)} ms`,
  }[sync]
  const idle = (idleMilliW.before + idleMilliW.after) / 2
  return [
    `${printable(source)}: ${watts(activeMilliW)} ${rateHz > 0 ? `at ${rateHz} inferences a second` : 'flat out'}, ${watts(idle)} idle; ${samples} samples at ${Number(sampleHz.toPrecision(3))} Hz over ${(windowNs / 1e9).toFixed(0)} s, ${clock}`,
    covers === undefined ? '' : printable(covers).replace(/\.$/, ''),
  ]
    .filter((part) => part !== '')
    .join('. ')
}

function perInference(name: string, energy: Energy | undefined): string {
  const cell = energyCell(energy)
  if (!energy || cell === '') return ''
  const { dynamic } = energy
  const above = dynamic ? ` (${withUncertainty(dynamic.value, dynamic.uncertainty)} above idle)` : ''
  return `${name} ${cell}${above}`
}

function withUncertainty(microjoules: number, uncertainty: number | null): string {
  const value = microjoules < 0 ? `−${formatMicrojoules(-microjoules)}` : formatMicrojoules(microjoules)
  if (uncertainty === null) return value
  const share = (100 * uncertainty) / Math.abs(microjoules)
  return Number.isFinite(share) && share < 100
    ? `${value} ±${Number(share.toPrecision(2))} %`
    : `${value} ±${formatMicrojoules(uncertainty)}`
}

function watts(milliW: number): string {
  return milliW < 1000 ? `${milliW.toFixed(0)} mW` : `${(milliW / 1000).toFixed(2)} W`
}
