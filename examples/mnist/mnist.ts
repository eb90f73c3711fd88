/**
 * `npm run example:mnist`: a small network is defined in TensorFlow.js, trained by Edgewright on 9,000 digits, and then made
 * smaller in every way there is, all beside one another: size, accuracy on 1,000 other digits, latency on one device.
 *
 *     npm run example:mnist -- --target litert --device pi@board
 */
import { parseArgs } from 'node:util'
import { compareForms, type Progress, renderTuneTable } from '../../src/index.ts'
import { checkConversion } from '../mnist-tfjs/check-conversion.ts'
import { useWasm } from '../mnist-tfjs/wasm-backend.ts'
import { expectations } from './expectations.ts'
import { samplesOf, testDigits, trainingDigits } from './digits.ts'
import { quantizationAware, smallerForms, trainNetwork } from './forms.ts'
import { createNetwork, createStudent } from './networks.ts'

try {
  await main()
} catch (error) {
  console.error(error)
  process.exitCode = 1
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      device: { type: 'string', default: 'local:' },
      target: { type: 'string', default: 'onnxruntime' },
      out: { type: 'string', default: 'tuned/mnist' },
    },
  })
  const { device, target, out } = values

  await useWasm()
  const network = createNetwork()
  network.summary()
  const { largestDifference } = await checkConversion(network, testDigits())
  console.log(
    `\nLargest difference of a logit from TensorFlow.js: ${largestDifference.toExponential(1)} of the largest\n`,
  )

  const shared = {
    data: samplesOf(trainingDigits()),
    evaluationData: samplesOf(testDigits()),
    target,
    out,
    progress: progress(),
  }
  const trained = await trainNetwork(network, shared)
  const qat = await quantizationAware(trained, shared)
  const smaller = await smallerForms(trained, createStudent(), shared)

  const { report, folder } = await compareForms(
    [
      { name: 'float', network: trained, schemes: ['float', 'dynamic', 'full-int8'] },
      { name: 'qat', network: qat, schemes: ['full-int8'] },
      ...smaller,
    ],
    { ...shared, device, out: `${out}/compared` },
  )
  console.log(
    `\n${renderTuneTable(report, { color: process.stdout.isTTY, width: process.stdout.columns ?? 140 })}`,
  )
  console.log(`\nWrote ${folder}/report.html and the files of all rows beside it\n`)

  for (const { what, holds } of expectations(report)) {
    console.log(`${holds ? 'holds' : 'FAILS'}  ${what}`)
    if (!holds) process.exitCode = 1
  }
}

/** A line for each step, with the time since the start; in a terminal also how far it is. */
function progress(): Partial<Progress> {
  const began = performance.now()
  const terminal = process.stderr.isTTY ? process.stderr : null
  return {
    stage(name, detail = '') {
      // a compile has many steps of its own
      if (!detail.includes('epochs') && !['judge', 'measure'].includes(name)) return
      const seconds = ((performance.now() - began) / 1000).toFixed(0).padStart(4)
      process.stderr.write(`${terminal ? '\r\x1b[K' : ''}${seconds} s  ${name}  ${detail}\n`)
    },
    tick: (done, total, unit, note = '') =>
      terminal?.write(`\r\x1b[K        ${done} of ${total} ${unit}  ${note}`.slice(0, terminal.columns)),
    warn: ({ message }) => console.error(`warning: ${message}`),
  }
}
