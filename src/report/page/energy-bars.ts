import type { Energy, RunResult } from '../../store/document.ts'
import { formatNs } from '../format.ts'
import { type Markup, markup } from './markup.ts'

const width = 560
const left = 128
const right = 150
const rowHeight = 26

interface Bar {
  readonly label: string
  readonly kind: 'float' | 'int8'
  readonly valueUj: number
  readonly uncertaintyUj: number
}

/** What the figure covers, in words; a sum of rails or a PMIC's rails are less than the board takes. */
const scopeWords: Record<NonNullable<Energy['measured']>['scope'], string> = {
  board: 'the whole board',
  'rail-sum': 'the sum of the board’s rails, which is less than the board takes',
  rail: 'one rail only, which is less than the board takes',
  'pmic-rails': 'the PMIC’s rails, without what bypasses them: less than the board takes',
  external: 'everything behind the meter',
}

/** Energy per inference, float beside int8, total and above idle, each with its uncertainty. */
export function energyBars(result: RunResult): Markup | false {
  if (result.conditions?.emulated) return false
  const bars = [
    ...barsOf('total', 'float', result.baseline?.energy),
    ...barsOf('total', 'int8', result.energy),
    ...barsOf('above idle', 'float', result.baseline?.energy),
    ...barsOf('above idle', 'int8', result.energy),
  ]
  const measured = result.energy.measured ?? result.baseline?.energy?.measured
  if (bars.length === 0) return false
  const most = Math.max(...bars.map(({ valueUj, uncertaintyUj }) => valueUj + uncertaintyUj), 1e-9)
  const x = (uj: number) => left + (Math.max(0, uj) / most) * (width - left - right)
  const height = bars.length * rowHeight + 6
  const words = bars.map(
    ({ label, kind, valueUj, uncertaintyUj }) => `${kind} ${label} ${figure(valueUj, uncertaintyUj)}`,
  )
  return markup`<h3>Energy of one inference</h3>
<figure class="wide"><svg class="chart energy" viewBox="0 0 ${width} ${height}" role="img" aria-label="Energy of one inference. ${words.join('; ')}">
${bars.map(({ label, kind, valueUj, uncertaintyUj }, i) => {
  const top = i * rowHeight + 6
  const middle = top + 8
  const [low, high] = [x(valueUj - uncertaintyUj), x(valueUj + uncertaintyUj)]
  return markup`<text x="${left - 8}" y="${middle + 4}" text-anchor="end">${kind}, ${label}</text><rect class="fill ${kind}" x="${left}" y="${top}" width="${(x(valueUj) - left).toFixed(1)}" height="16" rx="2"/>
<path class="whisker" d="M${low.toFixed(1)} ${middle}H${high.toFixed(1)}M${low.toFixed(1)} ${top + 3}v10M${high.toFixed(1)} ${top + 3}v10"/><text x="${(high + 8).toFixed(1)}" y="${middle + 4}">${figure(valueUj, uncertaintyUj)}</text>`
})}
</svg></figure>${measured && markup`<p class="quiet">${basis(measured)}</p>`}`
}

function barsOf(label: string, kind: Bar['kind'], energy: Energy | undefined): Bar[] {
  if (!energy || energy.value === null) return []
  if (label === 'total')
    return [{ label, kind, valueUj: energy.value, uncertaintyUj: energy.uncertainty ?? 0 }]
  if (!energy.dynamic) return []
  return [{ label, kind, valueUj: energy.dynamic.value, uncertaintyUj: energy.dynamic.uncertainty }]
}

/** `21.9 ± 0.43 mJ`: both in the unit of the figure. */
export function figure(valueUj: number, uncertaintyUj: number): string {
  const size = Math.abs(valueUj)
  const [unit, scale] = size >= 1e6 ? ['J', 1e6] : size >= 1e3 ? ['mJ', 1e3] : ['µJ', 1]
  const digits = (uj: number, count: number) =>
    String(Number((uj / scale).toPrecision(count))).replace('-', '−')
  if (uncertaintyUj <= 0) return `${digits(valueUj, 3)} ${unit}`
  return `${digits(valueUj, 3)} ± ${digits(uncertaintyUj, 2)} ${unit}`
}

function basis(measured: NonNullable<Energy['measured']>): string {
  const { source, scope, sync, syncBoundNs, sampleHz, samples, windowNs, rateHz, activeMilliW, idleMilliW } =
    measured
  const watts = (milliW: number) => `${(milliW / 1000).toPrecision(3)} W`
  const clocks =
    sync === 'same-clock'
      ? 'on the board’s own clock'
      : sync === 'edge'
        ? 'windows marked by an edge that the meter saw'
        : `clocks matched to ${formatNs(syncBoundNs)}`
  return [
    `${source}: ${scopeWords[scope]}.`,
    `${samples} samples at ${sampleHz.toPrecision(3)} Hz over ${formatNs(windowNs)}, ${clocks}; ${rateHz > 0 ? `${rateHz} inferences a second` : 'one inference after the other'}.`,
    `${watts(activeMilliW)} while inferring, idle ${watts(idleMilliW.before)} before and ${watts(idleMilliW.after)} after. Whiskers are 95 %.`,
  ].join(' ')
}
