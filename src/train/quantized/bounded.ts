import type { GraphBuilder } from '../builder.ts'

/**
 * A value kept between two others. Where it has left them its gradient is kept if a step against it leads back, and is 0
 * else: what was pushed out by one step can return.
 */
export function bounded(b: GraphBuilder, x: string, low: string, high: string | null): string {
  const raised = b.binary('Max', x, low)
  const made = high === null ? raised : b.binary('Min', raised, high)
  return b.customGradient(made, [x], ({ b: inner, gradients }) => {
    const gradient = gradients[0]!
    const zero = inner.scalar(0)
    const outward = (beyond: string, sign: 'Less' | 'Greater') =>
      inner.mul(beyond, inner.mask(sign, gradient, zero))
    const below = outward(inner.mask('Less', x, low), 'Greater')
    const leaves = high === null ? below : inner.add(below, outward(inner.mask('Greater', x, high), 'Less'))
    return [inner.unbroadcast(inner.mul(gradient, inner.sub(inner.scalar(1), leaves)), inner.shape(x))]
  })
}

/** The same value, without gradient. */
export function detached(b: GraphBuilder, x: string): string {
  return b.customGradient(x, [], () => [])
}
