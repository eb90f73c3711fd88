/**
 * Our int8 `.tflite` of each network beside the reference integer file that ships with it, on the same samples, both
 * held to the float network: output SQNR, agreement of the largest output, accuracy with McNemar's exact test, size.
 * Float runs in ONNX Runtime, the integer files in LiteRT (XNNPACK, bit-exact on this computer). Needs the fixtures.
 *
 *   node --import tsx bench/fidelity.ts
 */
import { readFileSync } from 'node:fs'
import { mcnemarTest } from '../src/data/significance.ts'
import { fixturesMissing } from '../test/fixtures.ts'
import { countOf, type Measured, measure } from '../test/targets/litert/measure.ts'
import {
  anomalyDetection,
  keywordSpotting,
  mobileNet,
  resnet8,
  type Task,
  visualWakeWords,
} from '../test/targets/litert/tasks.ts'

if (fixturesMissing) throw new Error(fixturesMissing)
const all: string[][] = [
  [
    'network',
    'samples',
    'SQNR ours / ref (dB)',
    'agree ours / ref',
    'top-1 float / ours / ref',
    'p ours–float',
    'p ours–ref',
    'bytes ours / ref',
    'ratio',
  ],
]
for (const load of [
  resnet8,
  visualWakeWords,
  anomalyDetection,
  () => keywordSpotting(),
  () => keywordSpotting(true),
  mobileNet,
]) {
  const task = await load()
  const measured = await measure(task)
  all.push(...rowsOf(task, measured))
  if (task.name === 'AD') note(measured)
}
const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
const line = (row: readonly string[]) =>
  `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`
console.log(line(all[0]!))
console.log(line(widths.map((width) => '-'.repeat(width))))
for (const row of all.slice(1)) console.log(line(row))

/** One row; two where only the first samples have labels. */
function rowsOf(task: Task, { meters, agree, right, bytes }: Measured): string[][] {
  const referenceBytes = readFileSync(task.reference).length
  const size = [`${bytes.length} / ${referenceBytes}`, (bytes.length / referenceBytes).toFixed(3)]
  const total = agree.ours.length
  const labelled = right.float.length
  const sqnr = `${meters.ours.db.toFixed(2)} / ${meters.reference.db.toFixed(2)}`
  const agreement = (from: number, to: number) =>
    task.name === 'AD'
      ? '–'
      : `${countOf(agree.ours.slice(from, to))} / ${countOf(agree.reference.slice(from, to))} of ${to - from}`
  if (labelled === 0) return [[task.name, `${total}`, sqnr, agreement(0, total), '–', '–', '–', ...size]]
  const accuracy = [
    [right.float, right.ours, right.reference]
      .map((hits) => `${((100 * countOf(hits)) / labelled).toFixed(1)} %`)
      .join(' / '),
    mcnemarTest(right.float, right.ours).pValue.toFixed(2),
    mcnemarTest(right.reference, right.ours).pValue.toFixed(2),
  ]
  if (labelled === total) return [[task.name, `${total}`, sqnr, agreement(0, total), ...accuracy, ...size]]
  return [
    [
      `${task.name}, labelled`,
      `${labelled}`,
      `${sqnr} over all`,
      agreement(0, labelled),
      ...accuracy,
      ...size,
    ],
    [`${task.name}, others`, `${total - labelled}`, '', agreement(labelled, total), '–', '–', '–', '', ''],
  ]
}

/** An autoencoder is judged by its anomaly score. */
function note({ scoreErrors, agree }: Measured): void {
  const mean = (sum: number) => (sum / agree.ours.length).toPrecision(3)
  console.log(
    `AD: mean |anomaly score − float's|: ours ${mean(scoreErrors.ours)}, ref ${mean(scoreErrors.reference)}\n`,
  )
}
