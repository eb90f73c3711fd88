import type { OnnxOperator } from '../read-operator.ts'
import type { ReadTable } from './table.ts'
import { autoPad, explicitPads, forwardWindow, halves, perDimension, spatialShape } from './window.ts'

export const convolution: ReadTable = { Conv: readConv, ConvTranspose: readConvTranspose }

function readConv(operator: OnnxOperator): void {
  const spatial = spatialShape(operator)
  const kernel = kernelOf(operator, spatial.length)
  const group = groupOf(operator)
  const inputs = [operator.input(0), operator.input(1), operator.optional(2)]
  operator.produce(
    { kind: 'Conv', group, layout: 'channels-first', ...forwardWindow(operator, spatial, kernel) },
    inputs,
  )
}

/**
 * `output_shape` and SAME padding are turned into explicit pads, as ONNX Runtime does: what the natural size has too
 * much is cut (the larger half at the beginning unless SAME_UPPER), what it lacks is output padding.
 */
function readConvTranspose(operator: OnnxOperator): void {
  const spatial = spatialShape(operator)
  const count = spatial.length
  const kernel = kernelOf(operator, count)
  const strides = perDimension(operator, 'strides', count, 1, 1)
  const dilations = perDimension(operator, 'dilations', count, 1, 1)
  let outputPadding = perDimension(operator, 'output_padding', count, 0, 0)
  const mode = autoPad(operator)
  let pads =
    mode === 'NOTSET'
      ? explicitPads(operator, count)
      : halves(
          spatial.map(() => 0),
          true,
        )
  const wanted = wantedSizes(operator, spatial, strides, mode)
  if (wanted) {
    const natural = spatial.map(
      (size, i) => (size - 1) * strides[i]! + outputPadding[i]! + (kernel[i]! - 1) * dilations[i]! + 1,
    )
    pads = halves(
      natural.map((size, i) => Math.max(0, size - wanted[i]!)),
      mode === 'SAME_UPPER',
    )
    outputPadding = outputPadding.map((padding, i) => padding + Math.max(0, wanted[i]! - natural[i]!))
  }
  operator.produce(
    {
      kind: 'ConvTranspose',
      group: groupOf(operator),
      outputPadding,
      layout: 'channels-first',
      strides,
      dilations,
      ...pads,
    },
    [operator.input(0), operator.input(1), operator.optional(2)],
  )
}

function wantedSizes(
  operator: OnnxOperator,
  spatial: readonly number[],
  strides: readonly number[],
  mode: string,
): number[] | null {
  const given = operator.attributes.ints('output_shape')
  if (given && given.length > 0) {
    // some exporters write batch and channels too
    const sizes = given.length === spatial.length + 2 ? given.slice(2) : given
    if (sizes.length !== spatial.length || sizes.some((size) => size < 1 || size > 2 ** 31))
      throw operator.broken('has an impossible output_shape', `[${given.slice(0, 8).join(',')}]`)
    return sizes
  }
  return mode === 'SAME_UPPER' || mode === 'SAME_LOWER' ? spatial.map((size, i) => size * strides[i]!) : null
}

function kernelOf(operator: OnnxOperator, count: number): readonly number[] {
  const kernel = operator.shape(1).slice(2)
  const stated = operator.attributes.ints('kernel_shape')
  if (kernel.length !== count || (stated && stated.join() !== kernel.join()))
    throw operator.broken(
      'has a kernel of another shape than it states',
      `[${kernel.join(',')}], kernel_shape [${stated?.join(',') ?? ''}]`,
    )
  return kernel
}

function groupOf(operator: OnnxOperator): number {
  const group = operator.attributes.int('group', 1)
  const channels = operator.shape(0)[1]!
  if (group < 1 || channels % group !== 0)
    throw operator.broken(
      'has groups that do not divide its channels',
      `${group} groups, ${channels} channels`,
    )
  return group
}
