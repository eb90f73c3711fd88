import type { Scheme } from '../artifact/manifest.ts'
import { chooseCandidate, floatBaseline } from '../compile/candidates.ts'
import type { Prepared } from '../compile/compile.ts'
import { compareQuality, type Quality, type Runnable } from '../compile/quality.ts'
import { runnableOf } from '../compile/runnable.ts'
import { samplesOf } from '../compile/samples.ts'
import { type Source, sourceOfGraph } from '../compile/source.ts'
import { createOnnxEvaluator } from '../execute/onnxruntime.ts'
import { openEvaluator } from '../execute/open.ts'
import { writeOnnx } from '../formats/onnx/write.ts'
import { macsOf } from '../graph/macs.ts'
import type { Graph } from '../graph/types.ts'
import type { Emitted } from '../../targets/target.ts'
import type { Stage, TuneContext } from './context.ts'

/** One form of a stage's network, with what it does beside the network as given. */
export interface Judged {
  readonly stage: string
  /** `float`, `int8, PTQ`, `int8, QAT`, or what is simulated. */
  readonly form: string
  /** How it was made, where there were choices. */
  readonly choice: string | null
  /** The file that the board's runtime opens; null where there is none. */
  readonly file: Uint8Array | null
  readonly weights: number
  readonly macs: number
  readonly quality: Quality
}

/** What a compile alone makes of a network, as rows call it. */
export const formsWithoutTraining: Readonly<Record<Scheme, string>> = {
  'full-int8': 'int8, PTQ',
  dynamic: 'int8, PTQ dynamic',
  'weight-only': 'int8 weights',
  int16x8: 'int16×8, PTQ',
  float16: 'float16',
  float: 'float',
}

const formsWithTraining: Readonly<Partial<Record<Scheme, string>>> = {
  dynamic: 'int8, QAT dynamic',
  'weight-only': 'int8 weights, QAT',
  int16x8: 'int16×8, QAT',
}

/** A stage as float network and in integers, judged on samples that nothing was learnt from. */
export async function judgeStage(stage: Stage, source: Source, context: TuneContext): Promise<Judged[]> {
  const { board, original, request } = context
  const prepared: Prepared = { ...original, source }
  const common = { stage: stage.name, weights: weightsOf(source.graph), macs: totalMacs(source.graph) }
  const judged: Judged[] = []
  const float = await floatRunnable(source, original)
  try {
    const file = floatBaseline(prepared, board)
    judged.push({
      ...common,
      form: 'float',
      choice: null,
      file,
      quality: await against(original, float, context),
    })
    if (request.recipe.scheme === 'float') return judged
    if (stage.quantized) judged.push({ ...common, ...(await quantized(stage.quantized, context)) })
    else if (stage.simulated) {
      for (const { form, graph } of stage.simulated) {
        const evaluator = await createOnnxEvaluator(writeOnnx(graph), {
          config: { 'session.disable_quant_qdq': '1' },
        })
        try {
          const quality = await against(original, { ...float, evaluator }, context)
          judged.push({ ...common, form, choice: null, file: null, quality })
        } finally {
          await evaluator.close()
        }
      }
    } else {
      const own: Prepared = { ...prepared, float }
      const chosen = await chooseCandidate(own, board, context.progress)
      const { quality, file } = await quantized(chosen.emitted, context)
      const form = formsWithoutTraining[board.options.scheme]
      judged.push({ ...common, form, choice: chosen.choice, file, quality })
    }
    return judged
  } finally {
    await float.evaluator.close()
  }
}

export function sourceOfStage(stage: Stage, { original }: TuneContext): Promise<Source> {
  return sourceOfGraph(stage.graph, original.source.model, original.source.name)
}

async function floatRunnable(source: Source, { float }: Prepared): Promise<Runnable> {
  // a network of another architecture calls its outputs as it likes
  const outputs = float.outputs.map((output, index) => ({ ...output, name: source.original.outputs[index]! }))
  return { ...float, outputs, evaluator: await openEvaluator(source.floatModel) }
}

async function quantized(emitted: Emitted, context: TuneContext) {
  const runnable = await runnableOf(emitted, context.board)
  try {
    const quality = await against(context.original, runnable, context)
    const form = formsWithTraining[context.board.options.scheme] ?? 'int8, QAT'
    return { form, choice: null, file: emitted.files.get(emitted.model)!, quality }
  } finally {
    await runnable.evaluator.close()
  }
}

function against(
  { float, makeMetric }: Prepared,
  candidate: Runnable,
  { samples, progress }: TuneContext,
): Promise<Quality> {
  const { evaluation } = samples
  return compareQuality(
    float,
    candidate,
    samplesOf(evaluation, progress.signal),
    evaluation.indices.length,
    makeMetric,
    progress,
  )
}

export function totalMacs(graph: Graph): number {
  return graph.nodes.reduce((sum, node) => sum + macsOf(node, graph), 0)
}

/** Elements of kernels and matrices. */
export function weightsOf(graph: Graph): number {
  let count = 0
  for (const { constant } of graph.values.values())
    if (constant && constant.shape.length > 1) count += constant.shape.reduce((a, b) => a * b, 1)
  return count
}
