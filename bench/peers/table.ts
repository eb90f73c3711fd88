import type { Comparison, Row, RuntimeComparison } from './compare.ts'
import { type Runtime, runtimes } from './places.ts'
import { peers } from './quantizers.ts'

const runtimeNames: Record<Runtime, string> = { onnx: 'ONNX Runtime', litert: 'LiteRT' }

/** The networks in the order of the bench, a section each. */
export function comparisonsMarkdown(comparisons: readonly Comparison[]): string {
  return comparisons.map(sectionOf).join('\n\n')
}

function sectionOf(comparison: Comparison): string {
  const { title, calibrationSamples, evaluationSamples, labelled, floatBytes, date } = comparison
  const judged =
    labelled === evaluationSamples
      ? `${evaluationSamples} labelled samples`
      : labelled === 0
        ? `${evaluationSamples} samples without labels`
        : `${evaluationSamples} samples, ${labelled} of them labelled`
  return [
    `## ${title}`,
    `${calibrationSamples} calibration samples; judged on ${judged}; float file ${kB(floatBytes)} kB. ${date.slice(0, 10)}.`,
    ...runtimes.flatMap((runtime) => {
      const compared = comparison.runtimes[runtime]
      return [
        `**${runtimeNames[runtime]}** (${floatLine(compared, comparison)})`,
        tableOf(compared, comparison),
        ...compared.failures.map(
          ({ name, failure }) => `- ${name} makes no file: \`${failure.slice(0, 160)}\``,
        ),
        verdictOf(compared),
      ]
    }),
  ].join('\n\n')
}

function floatLine(
  { floatRight, floatLatencyNs, oursToFloat }: RuntimeComparison,
  { labelled }: Comparison,
): string {
  const accuracy = labelled > 0 ? `float: ${percent(floatRight, labelled)}, ` : 'float: '
  return `${accuracy}${ms(floatLatencyNs)} ms; ours takes ${oursToFloat.toFixed(3)} of it`
}

function tableOf({ rows }: RuntimeComparison, { evaluationSamples, labelled }: Comparison): string {
  const reconstruction = rows.some(({ scoreError }) => scoreError !== null)
  const head = [
    'quantizer',
    'SQNR (dB)',
    reconstruction ? 'anomaly score, mean error' : `agree of ${evaluationSamples}`,
    ...(labelled > 0 ? ['top-1', 'p–float', 'p–ours'] : []),
    'kB',
    'latency (ms)',
    'ours / this',
    'made in (s)',
    'peak (MB)',
  ]
  const cells = rows.map((row) => [
    row.ours ? `**${row.name}**` : row.name,
    row.sqnrDb.toFixed(2),
    reconstruction ? row.scoreError!.toPrecision(3) : `${row.agree}`,
    ...(labelled > 0
      ? [
          percent(row.right, labelled),
          row.pAgainstFloat.toFixed(2),
          row.ours ? '' : row.pAgainstOurs.toFixed(2),
        ]
      : []),
    kB(row.bytes),
    ms(row.latencyNs),
    row.oursToThis.toFixed(3),
    row.seconds.toFixed(1),
    (row.peakRssBytes / 1e6).toFixed(0),
  ])
  return markdownTable([head, ...cells])
}

/** What issue 4 asks for, and where a peer is ahead: of the last of our presets. */
export function verdictOf({ rows }: RuntimeComparison): string {
  const others = rows.filter(({ ours }) => !ours)
  const ours = rows.findLast((row) => row.ours)!
  if (others.length === 0) return 'No peer was run.'
  const best = (figure: (row: Row) => number) => others.reduce((a, b) => (figure(b) > figure(a) ? b : a))
  const sqnr = best(({ sqnrDb }) => sqnrDb)
  const agree = best((row) => row.agree ?? -row.scoreError!)
  const right = best((row) => row.right)
  const fastest = best(({ latencyNs }) => -latencyNs)
  const ahead = [
    ours.sqnrDb < sqnr.sqnrDb - 0.1 && `SQNR: ${sqnr.name} by ${(sqnr.sqnrDb - ours.sqnrDb).toFixed(2)} dB`,
    ours.agree !== null &&
      ours.agree < agree.agree! - 1 &&
      `agreement: ${agree.name} by ${agree.agree! - ours.agree} samples`,
    ours.scoreError !== null && ours.scoreError > agree.scoreError! && `anomaly score: ${agree.name}`,
    ours.right < right.right &&
      right.pAgainstOurs < 0.05 &&
      `accuracy: ${right.name}, p = ${right.pAgainstOurs.toFixed(3)}`,
    fastest.oursToThis > 1.02 &&
      `latency: ${fastest.name}, ours takes ${fastest.oursToThis.toFixed(3)} of it`,
  ].filter(Boolean)
  return ahead.length === 0
    ? `No peer is ahead of ${ours.name}.`
    : `**A peer is ahead of ${ours.name}:** ${ahead.join('; ')}.`
}

export function settingsMarkdown(): string {
  return markdownTable([['name', 'what'], ...peers.map(({ name, setting }) => [name, setting])])
}

function markdownTable([head, ...rows]: readonly (readonly string[])[]): string {
  const all = [head!, ...rows]
  const widths = head!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  const line = (row: readonly string[]) => `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`
  return [line(head!), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')
}

const percent = (hits: number, total: number) => `${((100 * hits) / total).toFixed(1)} %`
const kB = (bytes: number) => (bytes / 1000).toFixed(1)
const ms = (nanoseconds: number) => (nanoseconds / 1e6).toPrecision(3)
