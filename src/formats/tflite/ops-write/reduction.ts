import type { Fusion } from '../fuse.ts'
import type { TensorType } from '../../../graph/types.ts'
import { options } from '../write-graph.ts'
import { tensorTypeOf } from '../schema.ts'
import type { NodeInWriting } from './context.ts'

const single = {
  Mean: 'MEAN',
  Sum: 'SUM',
  Max: 'REDUCE_MAX',
  Min: 'REDUCE_MIN',
  Prod: 'REDUCE_PROD',
} as const

export function writeReduce(node: NodeInWriting<'Reduce'>): void {
  const { fn, axes, keepDims } = node.op
  const keep = options('ReducerOptions', { keepDims })
  const along = node.integers(axes, 'axes')
  const x = node.input(0)
  if (fn in single) {
    node.write(single[fn as keyof typeof single], [x, along], keep)
    return
  }
  node.requireFloat(`a reduction by ${fn}`)
  const inside = node.type(0)
  const result = node.outputType
  const sum = (of: number) => node.step('SUM', [of, along], 'sum', result, keep)
  const square = () => node.step('MUL', [x, x], 'squares', inside, options('MulOptions', {}))
  if (fn === 'L1') node.write('SUM', [node.step('ABS', [x], 'sizes', inside), along], keep)
  else if (fn === 'SumSquare') node.write('SUM', [square(), along], keep)
  else if (fn === 'L2') node.write('SQRT', [sum(square())])
  else if (fn === 'LogSum') node.write('LOG', [sum(x)])
  else writeLogSumExp(node, inside, along)
}

/** Around the greatest element, so that no power overflows. */
function writeLogSumExp(node: NodeInWriting<'Reduce'>, inside: TensorType, along: number): void {
  const { axes, keepDims } = node.op
  const kept = { ...inside, shape: inside.shape.map((size, axis) => (axes.includes(axis) ? 1 : size)) }
  const keep = options('ReducerOptions', { keepDims: true })
  const x = node.input(0)
  const most = node.step('REDUCE_MAX', [x, along], 'most', kept, keep)
  const shifted = node.step('SUB', [x, most], 'shifted', inside, options('SubOptions', {}))
  const powers = node.step('EXP', [shifted], 'powers', inside)
  const log = node.step('LOG', [node.step('SUM', [powers, along], 'sum', kept, keep)], 'log', kept)
  if (keepDims) {
    node.write('ADD', [log, most], options('AddOptions', {}))
    return
  }
  const total = node.step('ADD', [log, most], 'total', kept, options('AddOptions', {}))
  const { shape } = node.outputType
  node.write(
    'RESHAPE',
    [total, node.integers(shape, 'shape')],
    options('ReshapeOptions', { newShape: shape }),
  )
}

/** Indices of 64 bits, or of 32 where a Cast to them follows. */
export function writeArg(
  node: NodeInWriting<'ArgMax' | 'ArgMin'>,
  narrowed: { node: NodeInWriting<'Cast'>; fusion: Extract<Fusion, { kind: 'narrowIndices' }> } | null = null,
): void {
  const { op } = node
  if (op.selectLastIndex) throw node.unsupported('the last of several greatest elements')
  const opType = op.kind === 'ArgMax' ? 'ARG_MAX' : 'ARG_MIN'
  const name = op.kind === 'ArgMax' ? 'ArgMaxOptions' : 'ArgMinOptions'
  const axis = node.integers([op.axis], 'axis', [])
  const inputs = [node.input(0), axis]
  if (narrowed) {
    narrowed.node.write(opType, inputs, options(name, { outputType: tensorTypeOf('int32') }))
    return
  }
  const wide = options(name, { outputType: tensorTypeOf('int64') })
  if (!op.keepDims) {
    node.write(opType, inputs, wide)
    return
  }
  const { shape } = node.outputType
  const type = { ...node.outputType, shape: shape.toSpliced(op.axis, 1) }
  const indices = node.step(opType, inputs, 'indices', type, wide)
  node.write(
    'RESHAPE',
    [indices, node.integers(shape, 'shape')],
    options('ReshapeOptions', { newShape: shape }),
  )
}
