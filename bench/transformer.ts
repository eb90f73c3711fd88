/**
 * A vision transformer (test/models/mnist-vit.onnx) in int8, ours beside quantizers of ONNX files, as it is and with
 * outlier channels: `node --import tsx bench/transformer.ts`. Peers need the environment that bench/peers makes.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compileModel } from '../src/compile/compile.ts'
import { modelFileOf } from '../src/compile/execute-graph.ts'
import { parseRecipe } from '../src/compile/recipe.ts'
import { openSource } from '../src/compile/source.ts'
import { createOnnxEvaluator } from '../src/execute/onnxruntime.ts'
import { silentProgress } from '../src/progress.ts'
import { argMax, SqnrMeter } from '../src/quantize/fidelity.ts'
import type { Tensor } from '../src/tensor.ts'
import { repositoryRoot } from '../test/fixtures.ts'
import { withOutlierChannels } from '../test/models/outlier-channels.ts'

const lab = join(repositoryRoot, '.lab', 'transformer')
const digits = join(repositoryRoot, 'examples', 'mnist')
const python = join(repositoryRoot, '.lab', 'peers', 'venv-onnx', 'bin', 'python')
const peers = ['ort-minmax', 'ort-percentile', 'ort-entropy', 'nncf', 'nncf-transformer']
const outlierSizes = [1, 10, 100]

mkdirSync(lab, { recursive: true })
const { original } = await openSource(
  { model: join(repositoryRoot, 'test', 'models', 'mnist-vit.onnx'), shapes: {} },
  silentProgress(),
)
const calibrationFile = join(digits, 'calibration-images.idx3-ubyte')
const images = pixels('test-images.idx3-ubyte')
const labels = [...readFileSync(join(digits, 'test-labels.idx1-ubyte')).subarray(8)]

console.log('| outliers | quantizer | SQNR (dB) | agreement | top-1 |')
console.log('|---|---|---|---|---|')
for (const times of outlierSizes) {
  const file = join(lab, `outliers-${times}.onnx`)
  writeFileSync(file, modelFileOf(times === 1 ? original : withOutlierChannels(original, times)))
  const float = await logitsOf(file)
  row(times, 'float', { top1: accuracy(float) })
  if (existsSync(python))
    for (const peer of peers) {
      const out = join(lab, `${peer}-${times}.onnx`)
      const script = join(repositoryRoot, 'bench', 'transformer_peer.py')
      execFileSync(python, [script, peer, file, calibrationFile, out], {
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      const found = await logitsOf(out)
      const meter = new SqnrMeter()
      for (const [i, logits] of float.entries()) meter.add(logits, found[i]!)
      const same = float.filter((logits, i) => argMax(logits) === argMax(found[i]!)).length
      row(times, peer, { sqnrDb: meter.db, agreement: same / float.length, top1: accuracy(found) })
    }
  for (const target of ['onnxruntime', 'litert']) {
    const { quality, candidates } = await compileModel(
      {
        model: file,
        shapes: {},
        data: join(digits, 'data.yaml'),
        calibrationData: join(digits, 'calibration.yaml'),
        metric: undefined,
        recipe: parseRecipe({}, 'bench'),
        profile: 'this-computer',
        target,
        out: join(lab, `${target}-${times}`),
      },
      silentProgress(),
    )
    const smoothed = candidates.some(({ step, kept }) => step === 'SmoothQuant' && kept)
    row(times, `ours, ${target}${smoothed ? ', with SmoothQuant' : ''}`, {
      sqnrDb: quality.sqnrDb,
      agreement: quality.agreement!,
      top1: quality.compiled!,
    })
  }
}

interface Figures {
  readonly sqnrDb?: number
  readonly agreement?: number
  readonly top1: number
}

function row(times: number, name: string, { sqnrDb, agreement, top1 }: Figures): void {
  const percent = (share: number | undefined) => (share === undefined ? '' : `${(100 * share).toFixed(1)} %`)
  console.log(
    `| ${times} × | ${name} | ${sqnrDb?.toFixed(1) ?? ''} | ${percent(agreement)} | ${percent(top1)} |`,
  )
}

async function logitsOf(file: string): Promise<Float32Array[]> {
  const evaluator = await createOnnxEvaluator(readFileSync(file))
  const [input] = evaluator.inputs
  const results: Float32Array[] = []
  for (const data of images) {
    const feed: Tensor = { dtype: 'float32', shape: [1, 1, 28, 28], data }
    results.push((await evaluator.run(new Map([[input!.name, feed]]))).get('logits')!.data as Float32Array)
  }
  await evaluator.close()
  return results
}

function accuracy(logits: readonly Float32Array[]): number {
  return logits.filter((scores, i) => argMax(scores) === labels[i]).length / labels.length
}

function pixels(file: string): Float32Array[] {
  const bytes = readFileSync(join(digits, file)).subarray(16)
  return Array.from({ length: bytes.length / 784 }, (_, i) =>
    Float32Array.from(bytes.subarray(i * 784, (i + 1) * 784), (pixel) => pixel / 255),
  )
}
