/**
 * What rounding by output error and sequential bias correction gain: output SQNR on evaluation samples that chose
 * nothing, each step alone and both in turn, as mean over splits of the calibration samples into those that teach and
 * those that are held out. "Kept" is what the search would keep by its held-out samples. Needs the fixtures.
 *
 *   node --import tsx bench/rounding-and-biases.ts [balanced|best] [litert|onnxruntime] [network …]
 */
import { type Board, chooseBoard } from '../src/compile/board.ts'
import { executeGraph } from '../src/compile/execute-graph.ts'
import { biasesBySamples } from '../src/compile/improvements/correct-biases.ts'
import type { Improvement, ImprovementContext } from '../src/compile/improvements/improvement.ts'
import { roundingByOutput } from '../src/compile/improvements/round-weights.ts'
import { infer, type Runnable } from '../src/compile/quality.ts'
import { parseRecipe, type Recipe } from '../src/compile/recipe.ts'
import { runnableOf } from '../src/compile/runnable.ts'
import { type Made, makeTrial, type Trial } from '../src/compile/trial.ts'
import type { Sample } from '../src/data/types.ts'
import { openModel } from '../src/formats/index.ts'
import { floatPasses, runPasses } from '../src/passes/index.ts'
import { silentProgress } from '../src/progress.ts'
import { calibrate } from '../src/quantize/calibrate.ts'
import { SqnrMeter } from '../src/quantize/fidelity.ts'
import { fixturesMissing } from '../test/fixtures.ts'
import * as tasks from '../test/targets/litert/tasks.ts'

if (fixturesMissing) throw new Error(fixturesMissing)
const [preset = 'balanced', target = 'litert', ...wanted] = process.argv.slice(2)
const recipe = parseRecipe({ preset }, 'the command line')
const profile = target === 'litert' ? 'raspberry-pi-5' : 'generic-x64'
const board = chooseBoard({ profile, target, recipe }, silentProgress())
const splits = 2
const mostEvaluated = 400

const networks: Record<string, () => tasks.Task | Promise<tasks.Task>> = {
  ResNet8: () => tasks.resnet8(400),
  VWW: tasks.visualWakeWords,
  AD: tasks.anomalyDetection,
  KWS: () => tasks.keywordSpotting(true),
  'MobileNetV1-0.25': tasks.mobileNet,
}

/** With its float twin and its samples. */
interface Opened {
  readonly float: Runnable
  readonly graph: Trial['graph']
  readonly calibration: readonly Sample[]
  readonly evaluation: readonly Sample[]
}

class Network {
  readonly #board: Board
  readonly #recipe: Recipe
  readonly #opened: Opened

  constructor(board: Board, recipe: Recipe, opened: Opened) {
    this.#board = board
    this.#recipe = recipe
    this.#opened = opened
  }

  static async open(task: tasks.Task, board: Board, recipe: Recipe): Promise<Network> {
    const original = [...(await openModel(task.float)).graphs.values()][0]!
    const input = original.inputs[0]!
    const { shape } = original.values.get(input)!.type
    const sampleOf = (data: Float32Array, index: number): Sample => ({
      id: String(index),
      inputs: new Map([[input, { dtype: 'float32', shape, data }]]),
      label: null,
    })
    const evaluation: Sample[] = []
    for await (const data of task.test) {
      evaluation.push(sampleOf(data, evaluation.length))
      if (evaluation.length === mostEvaluated) break
    }
    const rewritten = await runPasses(original, floatPasses(executeGraph))
    const named = (name: string) => ({ name, stored: null })
    return new Network(board, recipe, {
      float: {
        evaluator: await executeGraph(original),
        inputs: original.inputs.map(named),
        outputs: original.outputs.map(named),
        remembered: new WeakMap(),
      },
      graph: board.target.tailor?.(rewritten, board.options) ?? rewritten,
      calibration: task.calibration.map(sampleOf),
      evaluation,
    })
  }

  /** SQNR of neither, rounding, biases, both, what is kept; then seconds of rounding and of biases. */
  async measure(split: number): Promise<number[]> {
    const heldOut = this.#opened.calibration.filter((_, i) => i % 4 === split)
    const teaching = this.#opened.calibration.filter((_, i) => i % 4 !== split)
    const base = await this.#plain(teaching)
    const rounding = await this.#improved(roundingByOutput, base, teaching)
    const biases = await this.#improved(biasesBySamples, base, teaching)
    const both = await this.#improved(biasesBySamples, rounding.made, teaching)
    const helps = async (made: Made, before: Made) =>
      (await this.#sqnrDb(made, heldOut)) > (await this.#sqnrDb(before, heldOut))
    const first = (await helps(rounding.made, base)) ? rounding.made : base
    const second = first === base ? biases.made : both.made
    const kept = (await helps(second, first)) ? second : first
    const db: number[] = []
    for (const made of [base, rounding.made, biases.made, both.made, kept])
      db.push(await this.#sqnrDb(made, this.#opened.evaluation))
    return [...db, rounding.seconds, biases.seconds]
  }

  close(): Promise<void> {
    return this.#opened.float.evaluator.close()
  }

  async #plain(teaching: readonly Sample[]): Promise<Made> {
    const graph = this.#opened.graph
    const feeds = teaching.map(({ inputs }) => inputs)
    const wanted = this.#board.target.wantedTensors(graph, this.#board.options)
    return makeTrial(
      {
        graph,
        ranges: await calibrate(graph, executeGraph, feeds, wanted),
        activation: { kind: 'mse' },
        weight: 'mse',
        correctBias: true,
        headroom: true,
        rowScales: false,
        keepFloat: [],
        layers: new Map(),
        valueRanges: new Map(),
      },
      this.#board,
    )
  }

  async #improved({ propose }: Improvement, made: Made, teaching: readonly Sample[]) {
    const few = teaching.slice(0, 64)
    const start = performance.now()
    const proposal = await propose(made, {
      board: this.#board,
      recipe: this.#recipe,
      progress: silentProgress(),
      calibration: {
        length: few.length,
        async *[Symbol.asyncIterator]() {
          yield* few
        },
      },
      make: (trial: Trial) => makeTrial(trial, this.#board),
    } as unknown as ImprovementContext)
    const seconds = (performance.now() - start) / 1_000
    return {
      made: 'declined' in proposal ? made : makeTrial(proposal.trials[0]!.trial, this.#board),
      seconds,
    }
  }

  async #sqnrDb({ emitted }: Made, samples: readonly Sample[]): Promise<number> {
    const compiled = await runnableOf(emitted, this.#board)
    const meter = new SqnrMeter()
    for (const sample of samples) {
      const [reference] = await infer(this.#opened.float, sample)
      const [candidate] = await infer(compiled, sample)
      meter.add(reference!.data as Float32Array, candidate!.data as Float32Array)
    }
    await compiled.evaluator.close()
    return meter.db
  }
}

console.log(`${target}, ${preset}`)
console.log(
  '| network | neither (dB) | rounding | biases | rounding, then biases | kept | seconds, rounding | biases |',
)
console.log('|---|---|---|---|---|---|---|---|')
for (const [name, open] of Object.entries(networks)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  const rows: number[][] = []
  const network = await Network.open(await open(), board, recipe)
  for (let split = 0; split < splits; split++) rows.push(await network.measure(split))
  await network.close()
  const [base, ...rest] = rows[0]!.map((_, i) => rows.reduce((sum, row) => sum + row[i]!, 0) / splits)
  const gains = rest.slice(0, 4).map((db) => `${db < base! ? '−' : '+'}${Math.abs(db - base!).toFixed(2)}`)
  const seconds = rest.slice(4).map((s) => s.toFixed(1))
  console.log(`| ${[name, base!.toFixed(2), ...gains, ...seconds].join(' | ')} |`)
}
