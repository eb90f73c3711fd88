/**
 * `npm run example:mnist`: a small network, defined and trained in TensorFlow.js, quantized after training to TensorFlow
 * Lite and to ONNX, and measured on this computer, float beside int8. With `-- --train` it is trained anew first.
 */
import { fileURLToPath } from 'node:url'
import {
  noQuestions,
  parseRecipe,
  type RunDocument,
  runMainJob,
  type Scheme,
  silentProgress,
} from '../../src/index.ts'
import { checkConversion } from './check-conversion.ts'
import { testDigits } from './digits.ts'
import { loadModel, modelFile, storeModel } from './stored-model.ts'
import { tableOf } from './table.ts'
import { train } from './train.ts'
import { useFastestBackend } from './wasm-backend.ts'

try {
  await main()
} catch (error) {
  console.error(error)
  process.exitCode = 1
}

async function main(): Promise<void> {
  const backend = await useFastestBackend()

  if (process.argv.includes('--train')) {
    const began = performance.now()
    await storeModel(await train(console.log))
    console.log(`Trained in ${Math.round((performance.now() - began) / 1000)} s on the backend ${backend}.\n`)
  }

  const network = await loadModel()
  network.summary()

  const check = await checkConversion(network, testDigits())
  console.log(`
Test digits right: ${share(check.tfjsAccuracy)} in TensorFlow.js, ${share(check.accuracy)} as read by Edgewright
Largest difference of a logit: ${check.largestDifference.toExponential(1)} of the largest logit
`)

  const runs = [
    await measure('litert', ['float', 'float16', 'dynamic', 'full-int8']),
    await measure('onnxruntime', ['float', 'full-int8']),
  ]
  console.log(tableOf(runs))
  if (runs.some(({ results }) => results.some(({ status }) => status !== 'ok'))) process.exitCode = 1
}

/**
 * Compiles the network for a runtime, once for each scheme, and measures each in turn with float. From a shell:
 *
 *     edgewright run model/model.json --data ../mnist/data.yaml --calibration-data ../mnist/calibration.yaml \
 *       --device local: --target litert --scheme float,float16,dynamic,full-int8
 */
async function measure(target: string, schemes: readonly Scheme[]): Promise<RunDocument> {
  console.error(`Compiling for and measuring on ${target}: ${schemes.join(', ')} …`)
  const { document } = await runMainJob(
    {
      model: fileURLToPath(modelFile),
      data: fileURLToPath(new URL('../mnist/data.yaml', import.meta.url)),
      calibrationData: fileURLToPath(new URL('../mnist/calibration.yaml', import.meta.url)),
      devices: [{ device: 'local:', target, profile: undefined, optional: false }],
      schemes,
      recipe: parseRecipe({}, 'the recipe of the example'),
      preset: 'quick',
      threads: [1],
      affinity: [],
      rateHz: 0,
      shapes: {},
      metric: undefined,
      budgets: [],
      edgetpuCompiler: undefined,
      report: undefined,
      connection: noQuestions,
      store: '.edgewright',
    },
    silentProgress(),
  )
  return document
}

function share(fraction: number): string {
  return `${(100 * fraction).toFixed(1)} %`
}
