import { activationName } from '../fuse.ts'
import { options } from '../write-graph.ts'
import type { NodeInWriting } from './context.ts'

export function writeClip(clip: NodeInWriting<'Clip'>): void {
  const { min, max } = clip.op
  const name =
    activationName(clip.op) ??
    (min === 0 && max === 1 && !clip.outputType.quantization ? 'RELU_0_TO_1' : null)
  const x = clip.input(0)
  if (name) {
    clip.write(name, [x])
    return
  }
  // integers may only change their scale in kernels that rescale
  const type = clip.outputType
  const from = clip.type(0)
  if (from.quantization && JSON.stringify(from) !== JSON.stringify(type))
    throw clip.unsupported('a clip that changes the scale of quantized integers')
  if (min === -Infinity) clip.write('MINIMUM', [x, clip.scalar(max, 'most')])
  else if (max === Infinity) clip.write('MAXIMUM', [x, clip.scalar(min, 'least')])
  else
    clip.write('MINIMUM', [
      clip.step('MAXIMUM', [x, clip.scalar(min, 'least')], 'floor', type),
      clip.scalar(max, 'most'),
    ])
}

/** The file's softmax runs along the last axis. */
export function writeSoftmax(softmax: NodeInWriting<'Softmax' | 'LogSoftmax'>): void {
  const { axis, kind } = softmax.op
  const { shape } = softmax.type(0)
  const opType = kind === 'Softmax' ? 'SOFTMAX' : 'LOG_SOFTMAX'
  const values = kind === 'Softmax' ? options('SoftmaxOptions', { beta: 1 }) : undefined
  if (axis === shape.length - 1) {
    softmax.write(opType, [softmax.input(0)], values)
    return
  }
  const perm = [...shape.keys()].with(axis, shape.length - 1).with(-1, axis)
  const turned = softmax.transposed(softmax.input(0), perm, 'last')
  const type = { ...softmax.outputType, shape: perm.map((from) => shape[from]!) }
  const result = softmax.step(opType, [turned], 'shares', type, values)
  softmax.write('TRANSPOSE', [result, softmax.integers(perm, 'back')])
}

export function writeHardSigmoid(node: NodeInWriting<'HardSigmoid'>): void {
  node.requireFloat('a hard sigmoid')
  const type = node.outputType
  const scaled = node.step(
    'MUL',
    [node.input(0), node.scalar(node.op.alpha, 'alpha')],
    'scaled',
    type,
    options('MulOptions', {}),
  )
  const shifted = node.step(
    'ADD',
    [scaled, node.scalar(node.op.beta, 'beta')],
    'shifted',
    type,
    options('AddOptions', {}),
  )
  node.write('RELU_0_TO_1', [shifted])
}

/** Another alpha than 1 scales the part below 0: max(x, 0) + alpha · ELU(min(x, 0)). */
export function writeElu(node: NodeInWriting<'Elu'>): void {
  const x = node.input(0)
  if (node.op.alpha === 1) {
    node.write('ELU', [x])
    return
  }
  node.requireFloat('an ELU with another alpha than 1')
  const type = node.outputType
  const below = node.step('MINIMUM', [x, node.scalar(0, 'zero')], 'below', type)
  const bent = node.step('ELU', [below], 'bent', type)
  const scaled = node.step(
    'MUL',
    [bent, node.scalar(node.op.alpha, 'alpha')],
    'scaled',
    type,
    options('MulOptions', {}),
  )
  node.write('ADD', [node.step('RELU', [x], 'above', type), scaled], options('AddOptions', {}))
}
