import type { Method } from '../context.ts'
import { resolveTraining, trainGraph } from '../fine-tune.ts'

/** Trains on labels, batch norm and all: a network from scratch, or one to be adapted to other data. */
export const trainMethod: Method = async (stage, context) => {
  const options = resolveTraining(context, {
    epochs: 20,
    learningRate: 1e-3,
    learnFrom: 'labels',
    temperature: 4,
  })
  const batchNorm = context.request.training?.batchNorm ?? 'train'
  const { graph, epochs } = await trainGraph(stage.graph, 'train', options, batchNorm, context)
  return { ...stage, name: 'train', graph, epochs, layers: [], notes: [], options: { ...options, batchNorm } }
}
