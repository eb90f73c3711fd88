import { EdgewrightError } from '../../../error.ts'
import type { Binary } from '../../../graph/ops.ts'
import { brokenModel } from '../config.ts'
import { axisOf, type LayerCall, type LayerTable } from './layer.ts'

/** Layers that put several values together, element by element. */
export const mergeLayers: LayerTable = {
  Add: (call) => [chain(call, 'Add')],
  Subtract: (call) => [chain(call, 'Sub', 2)],
  Multiply: (call) => [chain(call, 'Mul')],
  Maximum: (call) => [chain(call, 'Max')],
  Minimum: (call) => [chain(call, 'Min')],
  Average: (call) => {
    const { graph, inputs } = call
    const sum = chain(call, 'Add')
    return [graph.node({ kind: 'Binary', fn: 'Mul' }, [sum, graph.scalar(1 / inputs.length)])]
  },
  Dot: readDot,
}

function chain({ graph, config, inputs }: LayerCall, fn: Binary['fn'], exactly?: number): string {
  if (inputs.length < 2 || (exactly !== undefined && inputs.length !== exactly))
    throw brokenModel(
      'A layer that merges values has too few or too many of them.',
      config.where,
      inputs.length,
    )
  const ranks = inputs.map((input) => graph.shape(input).length)
  if (new Set(ranks).size > 1)
    throw brokenModel('A layer merges values of different rank.', config.where, ranks)
  return inputs.reduce((a, b) => graph.node({ kind: 'Binary', fn }, [a, b]))
}

/** Batched product over one axis of each; vectors and matrices. */
function readDot({ graph, config, inputs, className, name }: LayerCall): string[] {
  const [a, b] = inputs as [string, string]
  const [rankA, rankB] = [graph.shape(a).length, graph.shape(b).length]
  const axes = config.integers('axes')
  const axisA = axisOf(axes[0]!, rankA)
  const axisB = axisOf(axes.at(-1)!, rankB)
  if (config.flag('normalize', false) || rankA > 3 || rankB > 3 || axisA < 1 || axisB < 1)
    throw new EdgewrightError('OPERATOR_UNSUPPORTED', 'This form of Dot is not supported.', {
      where: `${className} ${name}`,
      hint: 'Dot without normalization over one axis of vectors or matrices is.',
    })
  const [batch] = graph.shape(a) as [number]
  const turn = (x: string) => graph.node({ kind: 'Transpose', perm: [0, 2, 1] }, [x])
  const rows =
    rankA === 2
      ? graph.node({ kind: 'Reshape', shape: [batch, 1, graph.shape(a)[1]!] }, [a])
      : axisA === 2
        ? a
        : turn(a)
  const columns =
    rankB === 2
      ? graph.node({ kind: 'Reshape', shape: [batch, graph.shape(b)[1]!, 1] }, [b])
      : axisB === 1
        ? b
        : turn(b)
  const product = graph.node({ kind: 'MatMul' }, [rows, columns])
  const kept = [
    batch,
    ...(rankA === 3 ? [graph.shape(product)[1]!] : []),
    ...(rankB === 3 ? [graph.shape(product)[2]!] : []),
  ]
  const shape = kept.length === 1 ? [batch, 1] : kept
  return [kept.length === 3 ? product : graph.node({ kind: 'Reshape', shape }, [product])]
}
