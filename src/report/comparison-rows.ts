import type { Comparison, ComparisonPass, ComparisonSide } from '../store/comparison.ts'
import { formatBytes, formatMicrojoules, formatNs, formatPoints, formatShare, printable } from './format.ts'

/** One figure of both networks, in words. */
export interface ComparisonRow {
  readonly what: string
  readonly a: string
  readonly b: string
  readonly change: string
  /** The verdict, or what the change rests on. */
  readonly note: string
}

/** The marks of the verdicts: `~` where nothing is proved. */
export const verdictWords: Readonly<Record<ComparisonPass['verdict'], string>> = {
  slower: 'slower',
  faster: 'faster',
  equal: 'equal',
  undecided: '~',
  unproven: 'unproven',
}

/** Figures that have a verdict or stand without one, in the order in which they are asked for. */
export function comparisonRows(comparison: Comparison): ComparisonRow[] {
  const { a, b, passes, environment, accuracy } = comparison
  const [pass] = passes
  const emulated = environment.emulated !== null
  const energies = [a.energy, b.energy] as const
  return [
    {
      what: 'size',
      a: formatBytes(a.bytes),
      b: formatBytes(b.bytes),
      change: ratioText(b.bytes / a.bytes - 1),
      note: '',
    },
    ...(a.accuracy || b.accuracy
      ? [
          {
            what: printable((b.accuracy ?? a.accuracy)!.metric),
            a: accuracyText(a),
            b: accuracyText(b),
            change: accuracy ? formatPoints(accuracy.change) : '',
            note:
              accuracy?.pValue === undefined || accuracy.pValue === null
                ? ''
                : `p = ${accuracy.pValue.toPrecision(2)}`,
          },
        ]
      : []),
    ...(['p50', 'mean', 'p90', 'p99'] as const).map((metric) => {
      const change = pass!.changes[metric]
      // an emulator's times are no board's
      const time = (side: ComparisonSide) => {
        const ns = side.latency?.[`${metric}Ns`] ?? null
        return emulated ? '' : ns === null ? 'few' : formatNs(ns)
      }
      return {
        what: metric,
        a: time(a),
        b: time(b),
        change: change ? ratioText(change.estimate) : 'few',
        note: [
          change?.interval ? `${ratioText(change.interval.low)} to ${ratioText(change.interval.high)}` : '',
          metric === 'p50' ? verdictWords[pass!.verdict] : '',
        ]
          .filter(Boolean)
          .join(', '),
      }
    }),
    ...(energies.some(({ value }) => value !== null)
      ? [
          {
            what: 'energy',
            a: energyText(a),
            b: energyText(b),
            change:
              a.energy.value !== null && b.energy.value !== null
                ? ratioText(b.energy.value / a.energy.value - 1)
                : '',
            note: printable(b.energy.measured?.source ?? ''),
          },
        ]
      : []),
    {
      what: 'peak memory',
      a: a.peakRssBytes === null ? 'unknown' : formatBytes(a.peakRssBytes),
      b: b.peakRssBytes === null ? 'unknown' : formatBytes(b.peakRssBytes),
      change:
        a.peakRssBytes === null || b.peakRssBytes === null
          ? ''
          : ratioText(b.peakRssBytes / a.peakRssBytes - 1),
      note: '',
    },
  ]
}

/** Where and how: device, runtime, threads, blocks, what emulates it. */
export function conditionsSentence(comparison: Comparison): string {
  const { environment, passes, a, b, conditions } = comparison
  const [pass] = passes
  const runtimes = [a.runtime, b.runtime].map(({ name, version }) => `${name} ${version}`)
  return [
    `${environment.device} (${environment.profile})`,
    [...new Set(runtimes)].join(' against '),
    environment.threads === 1 ? '1 thread' : `${environment.threads} threads`,
    `${pass!.blocks} blocks`,
    `seed ${pass!.seed}`,
    ...(environment.governor ? [`governor ${environment.governor}`] : []),
    ...(conditions && conditions.stability !== 'unknown' ? [conditions.stability] : []),
  ].join(', ')
}

export function controlSentence({ passes, baseline }: Comparison): string {
  const control = passes[0]!.control.p50
  const what = baseline ? 'B loaded a second time' : 'A loaded a second time'
  if (!control) return `${what}: not measured.`
  const range = control.interval
    ? ` (95 %: ${ratioText(control.interval.low)} to ${ratioText(control.interval.high)})`
    : ''
  return `${what}: ${ratioText(control.estimate)}${range}.`
}

export function outputsSentence({ outputs }: Comparison): string {
  if (!outputs.comparable) return `Outputs: ${outputs.reason}`
  const { inputs, samples, identicalShare, maxSteps, sqnrDb, agreement } = outputs
  const on = inputs === 'data' ? `${samples} samples` : `${samples} random inputs (--data tells more)`
  if (identicalShare === 1) return `Outputs: identical on ${on}.`
  const parts = [
    `up to ${maxSteps > 1e6 ? 'no number' : `${maxSteps.toPrecision(3)} quantization steps`} apart`,
    ...(sqnrDb === null ? [] : [`SQNR ${sqnrDb.toFixed(1)} dB`]),
    ...(agreement === null ? [] : [`same class on ${formatShare(agreement)}`]),
  ]
  return `Outputs: ${parts.join(', ')}, on ${on}.`
}

/** Null where A was measured beside B. */
export function baselineSentence({ baseline }: Comparison): string | null {
  if (!baseline) return null
  const differences =
    baseline.differences.length > 0
      ? ` Insisted on although it differs: ${baseline.differences.join('; ')}.`
      : ''
  return `A is a file of figures from ${baseline.createdAt.slice(0, 16).replace('T', ' ')} UTC, not measured beside B: weaker, what changed on the board since then counts as B's.${differences}`
}

/** Null on a real board. */
export function emulatedSentence({ environment }: Comparison): string | null {
  return environment.emulated
    ? `${environment.emulated} emulates this board: times are left out, and ratios are the emulator's, not a board's.`
    : null
}

/** `+3.1 %`, `−0.02 %`, `±0.0 %`. */
export function ratioText(share: number): string {
  if (!Number.isFinite(share)) return 'n/a'
  const percent = Math.abs(share) * 100
  const text = percent.toFixed(percent >= 9.95 ? 0 : percent >= 0.095 ? 1 : 2)
  return /[1-9]/.test(text) ? `${share < 0 ? '−' : '+'}${text} %` : `±${text} %`
}

function accuracyText({ accuracy }: ComparisonSide): string {
  if (!accuracy) return ''
  return accuracy.value >= 0 && accuracy.value <= 1
    ? formatShare(accuracy.value)
    : accuracy.value.toPrecision(4)
}

function energyText({ energy }: ComparisonSide): string {
  if (energy.value === null) return ''
  const doubt = energy.uncertainty ? ` ± ${formatMicrojoules(energy.uncertainty)}` : ''
  return `${formatMicrojoules(energy.value)}${doubt}`
}
