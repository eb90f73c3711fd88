import { Markup, markup } from '../../report/page/markup.ts'
import { amountAxis, chartColumns, spanAxis } from './axis.ts'
import { trainedText } from './cells.ts'
import type { TuneStep } from './document.ts'

const width = 520
const height = 210
const left = 62
const right = 18
const top = 14
const bottom = 30
/** Dots on the line up to so many epochs. */
const dotted = 40

/** A chart for each metric of a step's training, by epoch: the loss first. */
export function trainingCurves({ epochs }: TuneStep): Markup | false {
  if (epochs.length < 2) return false
  const names = [...new Set(epochs.flatMap(({ metrics }) => Object.keys(metrics)))]
  const ordered = names.toSorted((a, b) => Number(b === 'loss') - Number(a === 'loss'))
  return markup`<div style="${chartColumns}">${ordered.map((name) => curve(name, epochs))}</div>`
}

function curve(name: string, epochs: TuneStep['epochs']): Markup | false {
  const known = epochs.flatMap(({ epoch, metrics }) => {
    const value = metrics[name]
    return value !== undefined && Number.isFinite(value) ? [{ epoch: epoch + 1, value }] : []
  })
  if (known.length < 2) return false
  const values = known.map(({ value }) => value)
  const stretch = { from: height - bottom, to: top }
  const isShare = name !== 'loss' && values.every((value) => value >= 0 && value <= 1)
  const yAxis = isShare
    ? spanAxis(values, stretch, { low: 0, high: 1 })
    : values.every((value) => value >= 0)
      ? amountAxis(values, stretch)
      : spanAxis(values, stretch)
  const [first, last] = [known[0]!, known.at(-1)!]
  const x = (epoch: number) =>
    Math.round((left + ((epoch - first.epoch) / (last.epoch - first.epoch)) * (width - left - right)) * 10) /
    10
  const kind = name === 'loss' ? 'float' : 'int8'
  const path = known
    .map(({ epoch, value }, i) => `${i === 0 ? 'M' : 'L'}${x(epoch)} ${yAxis.at(value)}`)
    .join('')
  const told = `${trainedText(name, first.value)} → ${trainedText(name, last.value)}`
  return markup`<figure><figcaption>${name}, mean of each epoch: ${told}${yAxis.logarithmic && ' (logarithmic)'}</figcaption><svg class="chart" viewBox="0 0 ${width} ${height}" role="img" aria-label="${name} over ${known.length} epochs: ${told}">
${yAxis.ticks.map((tick) => markup`<line class="grid" x1="${left}" x2="${width - right}" y1="${yAxis.at(tick)}" y2="${yAxis.at(tick)}"/><text x="${left - 7}" y="${yAxis.at(tick) + 4}" text-anchor="end">${isShare ? trainedText(name, tick) : Number(tick.toPrecision(3))}</text>`)}
${epochTicks(first.epoch, last.epoch).map((epoch) => markup`<text x="${x(epoch)}" y="${height - 8}" text-anchor="middle">${epoch}</text>`)}
<path class="line ${kind}" d="${new Markup(path)}"/>${known.length <= dotted && known.map(({ epoch, value }) => markup`<g><title>epoch ${epoch}: ${trainedText(name, value)}</title><circle class="dot ${kind}" cx="${x(epoch)}" cy="${yAxis.at(value)}" r="4"/></g>`)}
</svg></figure>`
}

/** Whole epochs, at most ten of them. */
function epochTicks(first: number, last: number): number[] {
  const every = Math.ceil((last - first) / 9)
  return Array.from({ length: Math.floor((last - first) / every) + 1 }, (_, i) => first + i * every)
}
