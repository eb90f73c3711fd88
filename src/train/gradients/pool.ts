import type { GradientFamily } from '../gradient.ts'

export const poolGradients: GradientFamily<
  'MaxPool' | 'AveragePool' | 'GlobalAveragePool' | 'GlobalMaxPool'
> = {
  MaxPool: (op, { b, inputs, outputs, gradients }) => {
    const { kernel, strides } = op
    const [indices] = b
      .stock(
        'MaxPool',
        [inputs[0]!],
        [{ shape: b.shape(outputs[0]!) }, { shape: b.shape(outputs[0]!), dtype: 'int64' }],
        { kernel_shape: { ints: kernel }, strides: { ints: strides } },
      )
      .slice(1)
    const size = b.integers([...b.shape(inputs[0]!)])
    return b.stock('MaxUnpool', [gradients[0]!, indices!, size], [{ shape: b.shape(inputs[0]!) }], {
      kernel_shape: { ints: kernel },
      strides: { ints: strides },
    })
  },
  AveragePool: { none: 'its rule is not written' },
  GlobalAveragePool: (_, { b, inputs, gradients }) => {
    const shape = b.shape(inputs[0]!)
    const area = shape.slice(2).reduce((product, size) => product * size, 1)
    return [b.expand(b.mul(gradients[0]!, b.scalar(1 / area)), shape)]
  },
  GlobalMaxPool: { none: 'its rule is not written' },
}
