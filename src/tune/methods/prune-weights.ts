import type { Graph } from '../../graph/types.ts'
import { closeNetwork } from '../../train/close-network.ts'
import { initialValues, type NetworkValues } from '../../train/network.ts'
import { openNetwork } from '../../train/open-network.ts'
import {
  magnitudeMasks,
  maskable,
  type Masks,
  sparsityAt,
  sparsityOf,
  structuredMasks,
} from '../../train/prune/masks.ts'
import { profitOf } from '../../train/prune/profit.ts'
import type { EpochReport } from '../../train/train.ts'
import { withBatchNorm } from '../batch-norm.ts'
import type { Method } from '../context.ts'
import { resolveTraining, trainNetwork } from '../fine-tune.ts'

/** Zeros among the weights, in rounds with training between: the smallest, or two of each four. */
export const maskedMethod: Method = async (stage, context) => {
  const { kind = 'magnitude', sparsity = 0.8, rounds = 4 } = context.request.prune ?? {}
  const options = resolveTraining(context, {
    epochs: 12,
    learningRate: 5e-4,
    learnFrom: 'teacher',
    temperature: 4,
  })
  const batchNorm = context.request.training?.batchNorm ?? 'frozen'
  const epochs: EpochReport[] = []
  const steps = kind === '2:4' ? 1 : rounds
  const conditioned = await withBatchNorm(stage.graph, batchNorm, context)
  let { graph } = conditioned
  let masks: Masks = new Map()
  for (let round = 1; round <= steps; round++) {
    const opened = openNetwork(graph, {
      batchSize: options.batchSize,
      batchNorm: conditioned.batchNorm,
    })
    const weights = maskable(opened.parameters, initialValues(opened))
    masks =
      kind === '2:4'
        ? structuredMasks(weights, inputAxisOf(opened.graph))
        : magnitudeMasks(weights, sparsityAt(round / steps, sparsity))
    const network = {
      ...opened,
      parameters: opened.parameters.map((parameter) => ({
        ...parameter,
        initial: masked(parameter.initial, masks.get(parameter.name)),
      })),
    }
    const short = {
      ...options,
      epochs: round === steps ? options.epochs : Math.max(1, Math.round(options.epochs / 6)),
    }
    const trained = await trainNetwork(network, `prune-${round}`, short, context, masks)
    graph = closeNetwork(graph, network, trained.values as NetworkValues)
    epochs.push(...trained.epochs.map((epoch) => ({ ...epoch, epoch: epochs.length + epoch.epoch })))
  }
  const { target, options: boardOptions } = context.board
  const profit = profitOf(kind === '2:4' ? '2:4' : 'magnitude', target.name, {
    computeCapability: boardOptions.accelerator?.computeCapability ?? undefined,
  })
  if (!profit.profits)
    context.progress.warn({
      code: 'PRUNING_WITHOUT_PROFIT',
      message: profit.sentence,
      hint: 'Prune channels instead (--prune channels), which every board profits from.',
    })
  return {
    ...stage,
    name: 'prune',
    graph: await conditioned.finish(graph),
    epochs,
    layers: [],
    notes: [`${(100 * sparsityOf(masks)).toFixed(1)} % of the kernels' weights are zero.`, profit.sentence],
    options: { ...options, batchNorm, kind, sparsity: kind === '2:4' ? 0.5 : sparsity, rounds: steps },
  }
}

function masked(values: Float32Array, mask: Float32Array | undefined): Float32Array {
  return mask ? values.map((value, index) => value * mask[index]!) : values
}

/** Along which axis of its weights a layer adds up. */
function inputAxisOf({ nodes, values }: Graph): (name: string) => number {
  const readers = new Map(nodes.map((node) => [node.inputs[1], node]))
  return (name) => {
    const op = readers.get(name)?.op
    if (op?.kind === 'Gemm') return op.transB ? 1 : 0
    if (op?.kind === 'MatMul') return values.get(name)!.type.shape.length - 2
    return op?.kind === 'ConvTranspose' ? 0 : 1
  }
}
