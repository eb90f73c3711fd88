/**
 * One compile through the public path, in a process of its own; prints seconds and peak memory as one JSON line.
 *
 *   quantize-ours.ts PRESET TARGET FLOAT CALIBRATION.npy EVALUATION.npy SAMPLES OUT
 */
import { compileModel } from '../../src/compile/compile.ts'
import { parseRecipe } from '../../src/compile/recipe.ts'
import { silentProgress } from '../../src/progress.ts'

const [preset, target, model, calibrationData, data, count, out] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
  string,
  string,
]
const samples = Number(count)
// the default share of samples that choose; all the others calibrate
const selectionSamples = Math.min(64, Math.floor(samples / 4))
const recipe = parseRecipe(
  {
    ...(preset === 'default' ? {} : { preset }),
    calibration: { samples: samples - selectionSamples },
    selectionSamples,
    // the figures of the compile's own report are not part of quantizing
    evaluationSamples: 1,
  },
  'bench/peers',
)
const start = performance.now()
const cpuStart = process.cpuUsage()
await compileModel(
  {
    model,
    shapes: {},
    data,
    calibrationData,
    metric: undefined,
    recipe,
    profile: 'this-computer',
    target,
    out,
  },
  silentProgress(),
)
const seconds = (performance.now() - start) / 1000
const { user, system } = process.cpuUsage(cpuStart)
console.log(
  JSON.stringify({
    seconds,
    cpuSeconds: (user + system) / 1e6,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
  }),
)
