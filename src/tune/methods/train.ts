import { withBatchNorm } from '../batch-norm.ts'
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
  const conditioned = await withBatchNorm(stage.graph, batchNorm, context)
  const { graph: trained, epochs } = await trainGraph(
    conditioned.graph,
    'train',
    options,
    conditioned.batchNorm,
    context,
  )
  const graph = await conditioned.finish(trained)
  return { ...stage, name: 'train', graph, epochs, layers: [], notes: [], options: { ...options, batchNorm } }
}
