import type { GraphBuilder } from '../builder.ts'
import type { GradientFamily } from '../gradient.ts'

export const normalizationGradients: GradientFamily<
  'BatchNormalization' | 'LayerNormalization' | 'InstanceNormalization'
> = {
  /** In inference form: a scale and a shift of each channel. */
  BatchNormalization: (op, { b, inputs, gradients, wants }) => {
    const [x, scale, , mean, variance] = inputs as [string, string, string, string, string]
    const dy = gradients[0]!
    const axis = op.layout === 'channels-first' ? 1 : b.shape(x).length - 1
    const along = b.shape(x).map((size, at) => (at === axis ? size : 1))
    const others = b.shape(x).flatMap((_, at) => (at === axis ? [] : [at]))
    const inverse = b.unary('Reciprocal', b.unary('Sqrt', b.add(variance, b.scalar(op.epsilon))))
    const sum = (values: string) => b.reduce('Sum', values, others)
    const total = wants(2) || wants(3) ? sum(dy) : null
    const normalized =
      wants(1) || wants(4) ? b.mul(sum(b.mul(dy, b.sub(x, b.reshape(mean, along)))), inverse) : null
    const slope = b.mul(scale, inverse)
    return [
      wants(0) ? b.mul(dy, b.reshape(slope, along)) : null,
      wants(1) ? normalized : null,
      wants(2) ? total : null,
      wants(3) ? b.unary('Neg', b.mul(total!, slope)) : null,
      wants(4) ? b.mul(b.mul(normalized!, b.scalar(-0.5)), b.mul(slope, inverse)) : null,
    ]
  },
  LayerNormalization: (op, { b, inputs, gradients, wants }) => {
    const [x, scale, bias] = inputs as [string, string, (string | null)?]
    const dy = gradients[0]!
    const axes = b.shape(x).flatMap((_, axis) => (axis >= op.axis ? [axis] : []))
    const { normalized, inverse } = standardized(b, x, axes, op.epsilon)
    return [
      wants(0) ? standardizedGradient(b, b.mul(dy, scale), normalized, inverse, axes) : null,
      wants(1) ? b.unbroadcast(b.mul(dy, normalized), b.shape(scale)) : null,
      bias && wants(2) ? b.unbroadcast(dy, b.shape(bias)) : null,
    ]
  },
  InstanceNormalization: (op, { b, inputs, gradients, wants }) => {
    const [x, scale] = inputs as [string, string, string]
    const dy = gradients[0]!
    const axes = b.shape(x).flatMap((_, axis) => (axis >= 2 ? [axis] : []))
    const others = b.shape(x).flatMap((_, axis) => (axis === 1 ? [] : [axis]))
    const along = b.shape(x).map((size, axis) => (axis === 1 ? size : 1))
    const { normalized, inverse } = standardized(b, x, axes, op.epsilon)
    return [
      wants(0)
        ? standardizedGradient(b, b.mul(dy, b.reshape(scale, along)), normalized, inverse, axes)
        : null,
      wants(1) ? b.reduce('Sum', b.mul(dy, normalized), others) : null,
      wants(2) ? b.reduce('Sum', dy, others) : null,
    ]
  },
}

function standardized(b: GraphBuilder, x: string, axes: readonly number[], epsilon: number) {
  const centred = b.sub(x, b.reduce('Mean', x, axes, true))
  const variance = b.reduce('Mean', b.mul(centred, centred), axes, true)
  const inverse = b.unary('Reciprocal', b.unary('Sqrt', b.add(variance, b.scalar(epsilon))))
  return { normalized: b.mul(centred, inverse), inverse }
}

/** Less what mean and variance take back: dx = (g − mean(g) − x̂ · mean(g · x̂)) / σ (Ioffe and Szegedy 2015, simplified). */
function standardizedGradient(
  b: GraphBuilder,
  gradient: string,
  normalized: string,
  inverse: string,
  axes: readonly number[],
): string {
  const mean = b.reduce('Mean', gradient, axes, true)
  const slope = b.reduce('Mean', b.mul(gradient, normalized), axes, true)
  return b.mul(b.sub(b.sub(gradient, mean), b.mul(normalized, slope)), inverse)
}
