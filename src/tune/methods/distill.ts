import { withBatchNorm } from '../batch-norm.ts'
import type { Method } from '../context.ts'
import { resolveTraining, trainGraph } from '../fine-tune.ts'

/**
 * Trains towards what a teacher says: the network as it was given, or a larger one (Hinton et al. 2015). Labels are not
 * needed.
 */
export const distillMethod: Method = async (stage, context) => {
  const options = resolveTraining(context, {
    epochs: 10,
    learningRate: 5e-4,
    learnFrom: 'teacher',
    temperature: 4,
  })
  const batchNorm = context.request.training?.batchNorm ?? (context.teacher ? 'train' : 'frozen')
  const conditioned = await withBatchNorm(stage.graph, batchNorm, context)
  const { graph: trained, epochs } = await trainGraph(
    conditioned.graph,
    'distill',
    options,
    conditioned.batchNorm,
    context,
  )
  const graph = await conditioned.finish(trained)
  const teacher = context.teacher?.name ?? 'the network as given'
  const notes = [`Learnt from ${teacher}${options.learnFrom === 'both' ? ' and from labels' : ''}.`]
  return { ...stage, name: 'distill', graph, epochs, layers: [], notes, options: { ...options, batchNorm } }
}
