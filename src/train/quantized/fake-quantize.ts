import { constantOf } from '../../graph/constant.ts'
import type { TieRounding } from '../../quantize/ties.ts'
import type { GraphBuilder } from '../builder.ts'
import type { Backward } from '../gradient.ts'

/** A grid whose scale may be a value of the program. */
export interface FakeGrid {
  readonly lowest: number
  readonly highest: number
  /** Of the grid as it is now; where `parameter` is null it stays. */
  readonly scale: number
  /** A scalar of the program, above 0; null where the scale is not learned. */
  readonly parameter: string | null
  /** In arithmetic alone: ONNX Runtime may fuse QuantizeLinear and DequantizeLinear into integer kernels of its own. */
  readonly portable?: boolean
  /** Where halves do not go to the even integer; outward from the stored 0, which the zero point stands beside. */
  readonly ties?: { readonly rounding: TieRounding; readonly zeroPoint: number }
}

/** In steps: less than what an average of 256 integers can be beside a half, more than float32 is off. */
const nudge = 2 ** -10

/**
 * Rounds to the nearest number of a grid, halves to even, and saturates: QuantizeLinear and DequantizeLinear one after the
 * other, which take half the time of Div, Round, Clip and Mul. The gradient goes through where nothing saturates (straight-through estimator, Bengio et al. 2013), and
 * to a learned scale as in LSQ (Esser et al. 2020, equation 3), times 1 / √(n · highest) with n the values of one sample.
 *
 * @param samples of the batch, the first axis of x
 * @returns the value that is made; it has a custom gradient by x and the scale
 */
export function fakeQuantize(
  b: GraphBuilder,
  x: string,
  grid: FakeGrid,
  samples: number,
  output?: string,
): string {
  const { lowest, highest, parameter } = grid
  const scale = parameter ?? b.scalar(grid.scale)
  const nudged = nudgedFromTies(b, x, scale, grid)
  const rounded = hasStoredType(grid)
    ? byStoredType(b, nudged, scale, grid)
    : byArithmetic(b, nudged, scale, grid)
  if (output !== undefined) b.editor.updateNode(b.editor.producer(rounded)!, { outputs: [output] })
  const made = output ?? rounded
  return b.customGradient(made, parameter === null ? [x] : [x, parameter], (backward) => {
    const { gradients, wants } = backward
    const gradient = gradients[0]!
    const inside = insideOf(backward.b, x, grid)
    const dx = backward.b.mul(gradient, inside)
    if (parameter === null) return [dx]
    const count = b.shape(x).reduce((product, size) => product * size, 1) / samples
    const share = 1 / Math.sqrt(count * Math.max(1, highest, -lowest))
    return [dx, wants(1) ? scaleGradient(backward, { x, made, dx, scale, share }) : null]
  })
}

function nudgedFromTies(b: GraphBuilder, x: string, scale: string, { ties }: FakeGrid): string {
  if (!ties) return x
  const by = b.mul(scale, b.scalar(nudge))
  if (ties.rounding === 'up') return b.add(x, by)
  const stored = b.add(x, b.mul(scale, b.scalar(ties.zeroPoint)))
  return b.add(x, b.mul(b.unary('Sign', stored), by))
}

/** 8-bit grids whose integers a stock operator stores. */
function hasStoredType({ lowest, highest, portable }: FakeGrid): boolean {
  return highest - lowest === 255 && !portable
}

function byStoredType(b: GraphBuilder, x: string, scale: string, { lowest }: FakeGrid): string {
  const zeroPoint = b.constant(constantOf('uint8', [], Uint8Array.of(-lowest)), 'zero_point')
  const shape = b.shape(x)
  const [stored] = b.stock('QuantizeLinear', [x, scale, zeroPoint], [{ shape, dtype: 'uint8' }])
  return b.stock('DequantizeLinear', [stored!, scale, zeroPoint], [{ shape }])[0]!
}

function byArithmetic(b: GraphBuilder, x: string, scale: string, { lowest, highest }: FakeGrid): string {
  const steps = b.unary('Round', b.div(x, scale))
  return b.mul(b.clip(steps, lowest, highest), scale)
}

/** 1 between the ends of the grid, ends included, else 0. */
function insideOf(b: GraphBuilder, x: string, { lowest, highest, scale, parameter }: FakeGrid): string {
  const clipped =
    parameter === null
      ? b.clip(x, Math.fround(lowest * scale), Math.fround(highest * scale))
      : // a third faster than Max and Min
        b.stock(
          'Clip',
          [x, b.mul(parameter, b.scalar(lowest)), b.mul(parameter, b.scalar(highest))],
          [{ shape: b.shape(x) }],
        )[0]!
  return b.mask('Equal', clipped, x)
}

/** Σ over what is inside of (x̂ − x) / s · g, over what is not of its end in steps · g: both are (x̂ − inside · x) / s · g. */
function scaleGradient(
  { b, gradients }: Backward,
  { x, made, dx, scale, share }: { x: string; made: string; dx: string; scale: string; share: number },
): string {
  const sum = b.sub(b.reduceAll('Sum', b.mul(gradients[0]!, made)), b.reduceAll('Sum', b.mul(dx, x)))
  return b.reshape(b.mul(b.div(sum, scale), b.scalar(share)), b.shape(scale))
}
