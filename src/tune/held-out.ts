import { createOnnxEvaluator } from '../execute/onnxruntime.ts'
import { writeOnnx } from '../formats/onnx/write.ts'
import type { Tensor } from '../tensor.ts'
import { GraphBuilder } from '../train/builder.ts'
import { datasetBatches } from '../train/dataset-batches.ts'
import { weighted } from '../train/losses.ts'
import type { Network, NetworkValues } from '../train/network.ts'
import type { TuneContext } from './context.ts'
import { lessonsOf, openLessons, type ResolvedTraining } from './fine-tune.ts'
import { taughtBatches } from './teacher.ts'

/** What a training is held to while it goes on. */
export interface HeldOut {
  /** Mean loss of a network with these values. */
  loss(values: NetworkValues): Promise<number>
  close(): Promise<void>
}

/**
 * The loss that a network is trained by, on the samples that choose between candidates: nothing is learnt from them.
 * @returns null where there are none
 */
export async function openHeldOut(
  network: Network,
  options: ResolvedTraining,
  context: TuneContext,
): Promise<HeldOut | null> {
  const { dataset, indices } = context.samples.selection
  if (indices.length === 0) return null
  const lessons = lessonsOf(network, options, context)
  const b = new GraphBuilder(network.graph, network.customGradients)
  const { loss } = weighted(lessons.terms)(b, network)
  const evaluator = await createOnnxEvaluator(writeOnnx(b.finish([loss])), {
    threads: options.threads,
    // fake quantization must compute as it is written
    config: { 'session.disable_quant_qdq': '1' },
  })
  const teacher = await openLessons(lessons, network.batchSize, options.threads, context)
  const fixed = [...network.parameters, ...network.statistics]
  const batches = datasetBatches(dataset, indices, {
    batchSize: network.batchSize,
    seed: 0,
    shuffle: false,
    rest: 'padded',
    ...(dataset === context.training.dataset && { cache: context.training.cache }),
  })
  const wanted = new Set(evaluator.inputs.map(({ name }) => name))
  return {
    async loss(values) {
      const own = fixed.map(
        ({ name, shape }) => [name, { dtype: 'float32', shape, data: values.get(name)! }] as const,
      )
      let sum = 0
      let count = 0
      const source = teacher ? taughtBatches(batches, teacher) : batches
      for await (const { feeds, samples } of source.epoch(0, 0, context.progress.signal)) {
        const given = new Map<string, Tensor>([...own, ...feeds].filter(([name]) => wanted.has(name)))
        sum += Number((await evaluator.run(given)).get(loss)!.data[0]) * samples
        count += samples
      }
      return sum / count
    },
    async close() {
      await evaluator.close()
      await teacher?.close()
    },
  }
}
