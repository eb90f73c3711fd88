import type { LogSoftmax, OpKind, PRelu, Softmax } from '../ops.ts'
import { broadcastShapes, sameShape } from './broadcast.ts'
import {
  type OpEntry,
  operand,
  type Operands,
  requireAxis,
  sameAsInput,
  type Shaped,
  shapeError,
  show,
} from './entry.ts'

type ActivationKind = Extract<
  OpKind,
  | 'Relu'
  | 'LeakyRelu'
  | 'PRelu'
  | 'Clip'
  | 'Sigmoid'
  | 'HardSigmoid'
  | 'HardSwish'
  | 'Tanh'
  | 'Elu'
  | 'Gelu'
  | 'Softmax'
  | 'LogSoftmax'
>

export const activation = {
  Relu: sameAsInput,
  LeakyRelu: sameAsInput,
  PRelu: { inputs: ['x', 'slope'], infer: inferPRelu },
  Clip: sameAsInput,
  Sigmoid: sameAsInput,
  HardSigmoid: sameAsInput,
  HardSwish: sameAsInput,
  Tanh: sameAsInput,
  Elu: sameAsInput,
  Gelu: sameAsInput,
  Softmax: { inputs: ['x'], infer: inferSoftmax },
  LogSoftmax: { inputs: ['x'], infer: inferSoftmax },
} satisfies { [K in ActivationKind]: OpEntry<K> }

function inferPRelu(op: PRelu, operands: Operands): Shaped[] {
  const x = operand(operands, 0)
  const slope = operand(operands, 1)
  const both = broadcastShapes(x.shape, slope.shape)
  if (!both || !sameShape(both, x.shape))
    throw shapeError(op, 'slope does not broadcast to x.', `x ${show(x.shape)}, slope ${show(slope.shape)}`)
  return [x]
}

function inferSoftmax(op: Softmax | LogSoftmax, operands: Operands): Shaped[] {
  const x = operand(operands, 0)
  requireAxis(op, op.axis, x.shape.length)
  return [x]
}
