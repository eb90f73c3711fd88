/**
 * Output SQNR before and after cross-layer equalization, with a weight scale for each output channel and with one for a
 * whole layer, on the networks of the project's test fixtures:
 *
 *   node --import tsx bench/equalization.ts [network …]
 *
 * MSE ranges, biases corrected; nothing is chosen by the samples that are tested.
 */
import { executeGraph } from '../src/compile/execute-graph.ts'
import { equalize } from '../src/compile/improvements/equalize.ts'
import { openModel } from '../src/formats/index.ts'
import { floatPasses, runPasses } from '../src/passes/index.ts'
import type { Tensor } from '../src/tensor.ts'
import { litert } from '../targets/litert/index.ts'
import { onnxruntime } from '../targets/onnxruntime/index.ts'
import type { Target } from '../targets/target.ts'
import { Bench, floatResults } from '../test/compile/improvements/bench.ts'
import { fixturesMissing } from '../test/fixtures.ts'
import {
  anomalyDetection,
  keywordSpotting,
  mobileNet,
  resnet8,
  type Task,
  visualWakeWords,
} from '../test/targets/litert/tasks.ts'

type Feed = ReadonlyMap<string, Tensor>

const tasks: Record<string, () => Task | Promise<Task>> = {
  resnet8,
  vww: visualWakeWords,
  ad: anomalyDetection,
  kws: () => keywordSpotting(true),
  mobilenetv1: mobileNet,
}
const mostTested = 200

if (fixturesMissing) throw new Error(fixturesMissing)
const named = process.argv.slice(2)
console.log('| network | target | weight scales | as it was | weights and activations | weights |')
console.log('|---|---|---|---|---|---|')
for (const name of named.length > 0 ? named : Object.keys(tasks)) await show(await tasks[name]!())

async function show(task: Task): Promise<void> {
  const [original] = (await openModel(task.float)).graphs.values()
  const graph = await runPasses(original!, floatPasses(executeGraph))
  const [input] = graph.inputs
  const { shape } = graph.values.get(input!)!.type
  const feed = (data: Float32Array): Feed => new Map([[input!, { dtype: 'float32', shape, data }]])
  const tested: Feed[] = []
  for await (const sample of task.test) if (tested.push(feed(sample)) === mostTested) break
  const expected = await floatResults(graph, tested)
  const calibration = task.calibration.map(feed)
  for (const target of [litert, onnxruntime])
    for (const perChannel of [true, false]) await showTarget(target, perChannel)

  async function showTarget(target: Target, perChannel: boolean): Promise<void> {
    const bench = new Bench(equalize, graph, calibration, target, perChannel)
    const plain = await bench.plain()
    const proposal = await bench.propose(plain)
    const trials = 'trials' in proposal ? proposal.trials : []
    const figures = [(await bench.sqnrDb(plain, tested, expected)).toFixed(2)]
    for (const way of ['by weights and activations', 'by weights']) {
      const found = trials.find((one) => one.name.endsWith(way))
      figures.push(found ? (await bench.sqnrDb(bench.make(found.trial), tested, expected)).toFixed(2) : '–')
    }
    const scales = perChannel ? 'by channel' : 'one a layer'
    console.log(`| ${[task.name, target.name, scales, ...figures].join(' | ')} |`)
  }
}
