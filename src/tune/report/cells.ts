import { conditionsText } from '../../report/conditions-text.ts'
import {
  formatBytes,
  formatDb,
  formatNs,
  formatPoints,
  formatRatio,
  formatShare,
  formatSpeedup,
} from '../../report/format.ts'
import { equalSpeed } from '../../run/verdict.ts'
import type { TuneReport, TuneStep } from './document.ts'
import type { RowLatency, TuneRow } from './rows.ts'

/** Exact McNemar test, two-sided, each row by itself. */
const significance = 0.05

/** A row of the table in words, the same in the terminal, in Markdown and on the page; empty where there is nothing to say. */
export interface TuneCells {
  readonly row: TuneRow
  /** From 1, in the table and in the charts. */
  readonly number: number
  /** Empty where the row above is of the same step. */
  readonly stage: string
  readonly form: string
  readonly size: string
  /** Of the original float network: `0.27`; empty for that itself. */
  readonly sizeShare: string
  readonly weights: string
  readonly weightsShare: string
  readonly macs: string
  readonly macsShare: string
  readonly accuracy: string
  readonly plusMinus: string
  readonly pValue: string
  readonly agreement: string
  readonly sqnr: string
  readonly p50: string
  readonly speed: string
  readonly memory: string
  /** Against the original, beyond chance; null where it is not, or not known. */
  readonly differs: 'better' | 'worse' | null
}

export function cellsOf({ rows, device }: TuneReport): TuneCells[] {
  const [original] = rows
  const emulated = isEmulated(device)
  return rows.map((row, index) => {
    const first = index === 0
    const share = (own: number | null, whole: number | null) =>
      first || own === null || !whole ? '' : shareOfOriginal(own / whole)
    const { latency, accuracy } = row
    return {
      row,
      number: index + 1,
      stage: row.stage === rows[index - 1]?.stage ? '' : row.stage,
      form: row.form,
      size: row.fileBytes === null ? '' : formatBytes(row.fileBytes),
      sizeShare: share(row.fileBytes, original!.fileBytes),
      weights: formatCount(row.weights),
      weightsShare: share(row.weights, original!.weights),
      macs: formatCount(row.macs),
      macsShare: share(row.macs, original!.macs),
      accuracy: accuracy ? metricText(accuracy.value) : '',
      plusMinus: accuracy?.interval ? plusMinus(accuracy.value, accuracy.interval) : '',
      pValue: accuracy && accuracy.pValue !== null ? pText(accuracy.pValue) : '',
      agreement: first || row.agreement === null ? '' : formatShare(row.agreement),
      sqnr: first ? '' : row.sqnrDb === null ? 'exact' : formatDb(row.sqnrDb),
      p50: latency === null ? '' : latency.p50Ns === null ? 'emulated' : formatNs(latency.p50Ns),
      speed: first || latency === null ? '' : speedText(latency, emulated),
      memory: latency && latency.peakRssBytes !== null ? formatBytes(latency.peakRssBytes) : '',
      differs: differs(row, original!),
    }
  })
}

/** What can be said of the whole: the result first, then which rows differ beyond chance. */
export function sentencesOf(report: TuneReport): { readonly headline: string; readonly others: string[] } {
  const { rows, device, data } = report
  const [original] = rows
  const last = rows.at(-1)!
  const cells = cellsOf(report)
  const headline =
    rows.length === 1
      ? 'Only the original was judged.'
      : `${rowName(last)}: ${changeOf(last, original!, device)}.`
  const telling = (kind: 'better' | 'worse') => cells.filter(({ differs: how }) => how === kind)
  const tested = rows.slice(1).filter(({ accuracy }) => accuracy && accuracy.pValue !== null)
  const others: string[] = []
  for (const kind of ['worse', 'better'] as const) {
    const found = telling(kind)
    if (found.length > 0)
      others.push(
        `Beyond chance ${kind} than the original: ${found.map(({ row, pValue }) => `${rowName(row)} (${formatPoints(row.accuracy!.value - original!.accuracy!.value)}, p\u00a0${pValue})`).join('; ')}.`,
      )
  }
  if (tested.length > 0 && others.length === 0)
    others.push(
      `No row’s ${original!.accuracy!.metric} differs from the original’s beyond chance (exact McNemar test, p\u00a0≥\u00a0${significance}).`,
    )
  const alike = isEmulated(device)
    ? []
    : rows.slice(1).filter(({ latency }) => latency && equallyFast(latency))
  if (alike.length > 0)
    others.push(
      `As fast as the original, as far as one run tells (~; intervals overlap, or less than ${100 * equalSpeed} % apart): ${alike.map(rowName).join('; ')}.`,
    )
  if (original!.samples < fewSamples)
    others.push(`Only ${data.judged} samples judge: small differences do not show.`)
  return { headline, others }
}

const fewSamples = 100

/** `int8, PTQ after prune`; what was given is the original. */
export function rowName({ stage, form }: Pick<TuneRow, 'stage' | 'form'>): string {
  if (stage !== 'float') return `${form} after ${stage}`
  return form === 'float' ? 'the original' : form
}

function changeOf(row: TuneRow, original: TuneRow, device: TuneReport['device']): string {
  const { accuracy, latency } = row
  const share = (own: number | null, whole: number | null, what: string) =>
    own === null || !whole || own === whole ? null : `${shareOfOriginal(own / whole)} of the ${what}`
  return (
    [
      share(row.fileBytes, original.fileBytes, 'size'),
      share(row.macs, original.macs, 'multiply-adds'),
      latency === null || isEmulated(device)
        ? null
        : equallyFast(latency)
          ? 'as fast'
          : formatSpeedup(latency.speedup),
      accuracy && original.accuracy ? accuracyChange(accuracy, original.accuracy) : null,
      row.agreement === null ? null : `agrees with the original on ${formatShare(row.agreement)}`,
      row.agreement === null ? `SQNR ${row.sqnrDb === null ? 'exact' : formatDb(row.sqnrDb)}` : null,
    ]
      .filter((part) => part !== null)
      .join(', ') || 'nothing changed'
  )
}

type Accuracy = NonNullable<TuneRow['accuracy']>

function accuracyChange(accuracy: Accuracy, original: Accuracy): string {
  const change = isShare(accuracy.value)
    ? `${accuracy.metric} ${formatPoints(accuracy.value - original.value)}`
    : `${accuracy.metric} ${metricText(accuracy.value)} in place of ${metricText(original.value)}`
  if (accuracy.pValue === null) return change
  return `${change} (${accuracy.pValue < significance ? 'beyond' : 'within'} chance, p\u00a0${pText(accuracy.pValue)})`
}

function differs({ accuracy }: TuneRow, original: TuneRow): TuneCells['differs'] {
  if (!accuracy || !original.accuracy || accuracy.pValue === null || accuracy.pValue >= significance)
    return null
  return accuracy.value > original.accuracy.value ? 'better' : 'worse'
}

/** `12 epochs in 34 s, loss 0.512 → 0.0932, accuracy 81.2 % → 98.1 %`; empty where nothing was trained. */
export function trainingText({ epochs }: TuneStep): string {
  const [first, last] = [epochs[0], epochs.at(-1)]
  if (!first || !last) return ''
  const seconds = epochs.reduce((sum, epoch) => sum + epoch.seconds, 0)
  const metrics = Object.keys(last.metrics).map((name) => {
    const to = trainedText(name, last.metrics[name]!)
    const from = first.metrics[name]
    return from === undefined || epochs.length === 1
      ? `${name} ${to}`
      : `${name} ${trainedText(name, from)} → ${to}`
  })
  const count = epochs.length === 1 ? '1 epoch' : `${epochs.length} epochs`
  return [`${count} in ${formatNs(seconds * 1e9)}`, ...metrics].join(', ')
}

/** A loss is a number, any other metric of training a share. */
export function trainedText(metric: string, value: number): string {
  return metric !== 'loss' && isShare(value) ? formatShare(value) : String(Number(value.toPrecision(3)))
}

/** What a step was done with; lists and tables stay in the document. */
export function optionsText({ options, epochs }: TuneStep): string {
  return Object.entries(options)
    .filter(([name, value]) => name !== 'epochs' || value !== epochs.length)
    .filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value) && value !== '')
    .map(([name, value]) => `${words(name)} ${typeof value === 'boolean' ? (value ? 'yes' : 'no') : value}`)
    .join(', ')
}

/** What accuracy is here: `top-1`. */
export function metricName({ rows }: TuneReport): string {
  return rows.find(({ accuracy }) => accuracy)?.accuracy?.metric ?? 'accuracy'
}

/** Where and how latency was measured; what was judged on. */
export function factsOf(report: TuneReport): { readonly label: string; readonly text: string }[] {
  const { data, device, target, profile, seed } = report
  const { judgedOn, description } = data
  return [
    { label: 'target', text: `${target} on ${profile}, seed ${seed}` },
    { label: 'learnt', text: `from ${counted(data.learnt, 'sample')} of ${description}` },
    {
      label: 'judged',
      text: `on ${counted(data.judged, 'sample')} ${judgedOn === description ? 'of the same data' : `of ${judgedOn}`}, none of them learnt from`,
    },
    ...(device
      ? [
          {
            label: 'latency',
            text: `all rows in turns in one run on ${device.name} (${device.profile}), ${device.runtime.name} ${device.runtime.version}, ${counted(device.threads, 'thread')}; ${conditionsText(device.conditions)}`,
          },
        ]
      : []),
  ]
}

/** Null on real hardware. */
export function emulatedText({ device }: TuneReport): string | null {
  const emulator = device?.conditions.emulated
  return emulator
    ? `Emulated (${emulator}): times are the emulator’s, not a board’s; their ratios are in brackets and no forecast.`
    : null
}

export function isEmulated(device: TuneReport['device']): boolean {
  return device !== null && device.conditions.emulated !== null
}

/** Decimal, three digits: `812`, `38.4 k`, `27.3 M`, `1.25 G`. */
export function formatCount(count: number): string {
  const [size, unit] = (
    [
      [1e9, ' G'],
      [1e6, ' M'],
      [1e3, ' k'],
    ] as const
  ).find(([least]) => Number((count / least).toPrecision(3)) >= 1) ?? [1, '']
  return size === 1 ? String(Math.round(count)) : `${threeDigits(count / size)}${unit}`
}

function threeDigits(value: number): string {
  return value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2)
}

/** `0.27`; what is less than a hundredth keeps two digits. */
export function shareOfOriginal(share: number): string {
  return share > 0 && share < 0.0995 ? String(Number(share.toPrecision(2))) : share.toFixed(2)
}

/** Medians whose intervals overlap, or so near each other that one run on one board proves nothing. */
function equallyFast({ apart, speedup }: RowLatency): boolean {
  return apart === false || Math.abs(speedup - 1) < equalSpeed
}

function speedText(latency: RowLatency, emulated: boolean): string {
  const text = formatRatio(latency.speedup)
  return emulated ? `(${text})` : equallyFast(latency) ? `~${text}` : text
}

export function metricText(value: number): string {
  return isShare(value) ? formatShare(value) : String(Number(value.toPrecision(4)))
}

function isShare(value: number): boolean {
  return value >= 0 && value <= 1
}

/** Wilson's interval is not symmetric: its longer side. */
function plusMinus(value: number, { low, high }: { low: number; high: number }): string {
  const half = Math.max(value - low, high - value)
  return isShare(value) ? `±${(100 * half).toFixed(1)}` : `±${Number(half.toPrecision(2))}`
}

function pText(p: number): string {
  return p < 0.001 ? '<0.001' : p < 0.1 ? p.toFixed(3) : p.toFixed(2)
}

/** `learningRate` as people write it. */
function words(name: string): string {
  return name.replace(
    /([a-z])([A-Z])/g,
    (_, before: string, after: string) => `${before} ${after.toLowerCase()}`,
  )
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
