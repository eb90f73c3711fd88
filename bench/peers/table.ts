import type { Comparison, Row, RuntimeComparison } from './compare.ts'
import { type Runtime, runtimes } from './places.ts'
import { peers } from './quantizers.ts'

const runtimeNames: Record<Runtime, string> = { onnx: 'ONNX Runtime', litert: 'LiteRT' }

/** A line for each network and runtime: ours beside the best of the peers in each figure. */
export function summaryMarkdown(comparisons: readonly Comparison[]): string {
  const head = [
    'network',
    'runtime',
    'SQNR (dB)',
    'best peer',
    'agree',
    'best peer',
    'top-1',
    'best peer',
    'latency by the fastest peer',
  ]
  const rows = comparisons.flatMap((comparison) =>
    runtimes.map((runtime) => {
      const { rows } = comparison.runtimes[runtime]
      const ours = rows.findLast((row) => row.ours)!
      const { sqnr, alike, right, fastest } = bestOf(rows)
      const accuracy = (row: Row) => (comparison.labelled > 0 ? percent(row.right, comparison.labelled) : '–')
      return [
        comparison.network,
        runtimeNames[runtime],
        ours.sqnrDb.toFixed(2),
        `${sqnr.sqnrDb.toFixed(2)} ${sqnr.name}`,
        likeness(ours),
        `${likeness(alike)} ${alike.name}`,
        accuracy(ours),
        comparison.labelled > 0
          ? `${accuracy(right)} ${right.name}, p ${right.pAgainstOurs.toFixed(2)}`
          : '–',
        `${fastest.oursToThis.toFixed(3)} ${fastest.name}`,
      ]
    }),
  )
  return markdownTable([head, ...rows])
}

export function sectionOf(comparison: Comparison): string {
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
        ...costOf(compared),
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
    'CPU (s)',
    'peak (MB)',
  ]
  const cells = rows.map((row) => [
    row.ours ? `**${row.name}**` : `${row.name}${isLeftInFloat(row) ? ' (left in float)' : ''}`,
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
    row.cpuSeconds.toFixed(1),
    (row.peakRssBytes / 1e6).toFixed(0),
  ])
  return markdownTable([head, ...cells])
}

/** What issue 4 asks for, and where a peer is ahead: of the last of our presets. */
export function verdictOf({ rows }: RuntimeComparison): string {
  const ours = rows.findLast((row) => row.ours)!
  if (rows.every((row) => row.ours || isLeftInFloat(row))) return 'No peer was run.'
  const { sqnr, alike: agree, right, fastest } = bestOf(rows)
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

/** The best peer in each figure. */
function bestOf(rows: readonly Row[]): Record<'sqnr' | 'alike' | 'right' | 'fastest', Row> {
  const others = rows.filter((row) => !row.ours && !isLeftInFloat(row))
  const best = (figure: (row: Row) => number) => others.reduce((a, b) => (figure(b) > figure(a) ? b : a))
  return {
    sqnr: best(({ sqnrDb }) => sqnrDb),
    alike: best((row) => row.agree ?? -row.scoreError!),
    right: best((row) => row.right),
    fastest: best(({ oursToThis }) => oursToThis),
  }
}

/** No 8 bits come so near: the quantizer found nothing that it takes. */
const isLeftInFloat = ({ sqnrDb }: Row) => sqnrDb > 80

const likeness = ({ agree, scoreError }: Row) => `${agree ?? scoreError!.toPrecision(3)}`

/** What issue 4 asks of time and memory, where the two calibrators that it names were run. */
function costOf({ rows }: RuntimeComparison): string[] {
  const lines = ['ort-minmax', 'ort-percentile'].flatMap((name) => {
    const peer = rows.find((row) => row.name === name)
    if (!peer) return []
    const shares = rows
      .filter(({ ours }) => ours)
      .map(
        (row) =>
          `${row.name} ${(row.seconds / peer.seconds).toFixed(2)} of the time (CPU ${(row.cpuSeconds / peer.cpuSeconds).toFixed(2)}) and ${(row.peakRssBytes / peer.peakRssBytes).toFixed(2)} of the memory`,
      )
    return [`- Beside ${name}: ${shares.join('; ')}.`]
  })
  return lines.length > 0 ? [lines.join('\n')] : []
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
