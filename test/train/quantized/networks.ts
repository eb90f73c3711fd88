import { type Generator, seededGenerator } from '../../../src/data/generator.ts'
import type { OpOf } from '../../../src/graph/ops.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { GraphBuilder } from '../../../src/train/builder.ts'

/** A transformer that looks at pictures: patches, positions, two heads, layer norms, a Gelu between two products. */
export function attentionNetwork(): Graph {
  const net = new Sketch('attention', 21)
  const { b } = net
  const [tokens, width, heads] = [16, 16, 2]
  const patches = net.conv(b.input('x', [1, 3, 16, 16]), width, { kernel: 4, stride: 4, pad: 0 })
  const rows = net.transposed(b.reshape(patches, [1, width, tokens]), [0, 2, 1])
  const x = b.add(rows, net.weights([1, tokens, width], 0.5))
  const normal = net.layerNorm(x)
  const split = (y: string, perm: readonly number[]) =>
    net.transposed(b.reshape(y, [1, tokens, heads, width / heads]), perm)
  const query = split(net.dense(normal, width), [0, 2, 1, 3])
  const key = split(net.dense(normal, width), [0, 2, 3, 1])
  const value = split(net.dense(normal, width), [0, 2, 1, 3])
  const scores = b.mul(b.op({ kind: 'MatMul' }, [query, key]), b.scalar(1 / Math.sqrt(width / heads)))
  const mixed = b.op({ kind: 'MatMul' }, [b.op({ kind: 'Softmax', axis: 3 }, [scores]), value])
  const joined = b.reshape(net.transposed(mixed, [0, 2, 1, 3]), [1, tokens, width])
  const attended = b.add(x, net.dense(joined, width))
  const inner = b.op({ kind: 'Gelu', approximate: 'none' }, [net.dense(net.layerNorm(attended), 32)])
  const out = net.layerNorm(b.add(attended, net.dense(inner, width)))
  return b.finish([net.gemm(b.reduce('Mean', out, [1], false), 10)])
}

/**
 * From a picture to a picture and a gate: transposed convolutions, resizing both ways, padding, slices, curved activations,
 * channels whose weights are all 0, and two outputs.
 *
 * @param group of the last transposed convolution
 */
export function decodingNetwork(group = 1): Graph {
  const net = new Sketch('decoder', 22)
  const { b } = net
  const x = b.input('x', [1, 3, 16, 16])
  const stem = b.op({ kind: 'HardSwish' }, [net.conv(x, 8, { kernel: 3, stride: 2, dead: 2 })])
  const low = b.op({ kind: 'LeakyRelu', alpha: 0.1 }, [net.conv(stem, 8, { kernel: 3, stride: 2 })])
  const padded = b.op(
    { kind: 'Pad', mode: 'constant', padsBegin: [0, 0, 1, 1], padsEnd: [0, 0, 1, 1], value: 0 },
    [low],
  )
  const average = net.averaged(padded, 3, 1)
  const grown = b.op({ kind: 'Relu' }, [net.convTranspose(average, 8)])
  const bilinear = net.resized(low, 8, 'linear')
  const nearest = net.resized(average, 8, 'nearest')
  const joined = b.op({ kind: 'Concat', axis: 1 }, [grown, b.add(bilinear, nearest), stem])
  const [left, right] = b.ops({ kind: 'Split', axis: 1, sizes: [12, 12] }, [joined], 2, 'halves')
  const gate = b.op({ kind: 'Tanh' }, [net.conv(left!, 12, { kernel: 1 })])
  const mixed = b.mul(right!, gate)
  const picture = b.op({ kind: 'Clip', min: 0, max: 6 }, [net.convTranspose(mixed, 4, group)])
  const means = b.reshape(b.reduce('Mean', mixed, [2, 3], false), [1, 12])
  return b.finish([picture, b.op({ kind: 'Sigmoid' }, [net.gemm(means, 3)])])
}

/** A gated recurrent cell (Cho et al. 2014), three steps of one set of weights, and a convolution that is applied twice. */
export function recurrentNetwork(): Graph {
  const net = new Sketch('recurrent', 23)
  const { b } = net
  const [steps, features, units] = [3, 12, 8]
  const x = b.input('x', [1, steps * features])
  const matrix = (rows: number) => net.weights([rows, units], 2 / Math.sqrt(rows))
  const parts = ['update', 'reset', 'state'] as const
  const of = Object.fromEntries(
    parts.map((part) => [
      part,
      { input: matrix(features), hidden: matrix(units), bias: net.weights([units], 0.4) },
    ]),
  ) as Record<(typeof parts)[number], { input: string; hidden: string; bias: string }>
  const product = (a: string, weights: string) => b.op({ kind: 'MatMul' }, [a, weights])
  const frames = b.ops({ kind: 'Split', axis: 1, sizes: Array(steps).fill(features) }, [x], steps, 'frames')
  let hidden = b.op({ kind: 'Tanh' }, [b.add(product(frames[0]!, of.state.input), of.state.bias)])
  for (const frame of frames.slice(1)) {
    const gate = (part: 'update' | 'reset', state: string) =>
      b.op({ kind: 'Sigmoid' }, [
        b.add(b.add(product(frame, of[part].input), product(state, of[part].hidden)), of[part].bias),
      ])
    const update = gate('update', hidden)
    const recalled = b.mul(gate('reset', hidden), hidden)
    const fresh = b.op({ kind: 'Tanh' }, [
      b.add(b.add(product(frame, of.state.input), product(recalled, of.state.hidden)), of.state.bias),
    ])
    hidden = b.add(b.mul(update, hidden), b.mul(b.sub(b.scalar(1), update), fresh))
  }
  return b.finish([net.gemm(hidden, 5)])
}

/** Averages on one scale: of windows, or between neighbours where the picture grows twofold. */
export function averagingNetwork(window: number | null): Graph {
  const net = new Sketch('averages', 25)
  const stem = net.conv(net.b.input('x', [1, 3, 16, 16]), 8, { kernel: 1 })
  return net.b.finish([
    window === null ? net.resized(stem, 32, 'linear') : net.averaged(stem, window, window),
  ])
}

/** One kernel applied twice, each time with its own bias, and one layer of zeros. */
export function tiedNetwork(): Graph {
  const net = new Sketch('tied', 24)
  const { b } = net
  const stem = b.op({ kind: 'Relu' }, [net.conv(b.input('x', [1, 3, 16, 16]), 8, { kernel: 3, stride: 2 })])
  const kernel = net.weights([8, 8, 3, 3], 0.5)
  const again = (y: string) =>
    b.op({ kind: 'Relu' }, [b.op(net.window(3, 1, 1), [y, kernel, net.weights([8], 0.4)], 'conv')])
  const twice = again(again(stem))
  const still = b.op(net.window(1, 1, 0), [twice, b.floats(new Float32Array(64), [8, 8, 1, 1])], 'still')
  const sum = b.add(twice, still)
  return b.finish([net.gemm(b.reduce('Mean', sum, [2, 3], false), 10)])
}

/** A builder with seeded weights. */
class Sketch {
  readonly b: GraphBuilder
  readonly #random: Generator

  constructor(name: string, seed: number) {
    this.b = GraphBuilder.empty(name)
    this.#random = seededGenerator(seed)
  }

  weights(shape: readonly number[], width: number): string {
    const count = shape.reduce((product, size) => product * size, 1)
    return this.b.floats(
      Float32Array.from({ length: count }, () => (this.#random.next() - 0.5) * width),
      shape,
    )
  }

  window(kernel: number, stride: number, pad: number): OpOf<'Conv'> {
    return {
      kind: 'Conv',
      group: 1,
      layout: 'channels-first',
      strides: [stride, stride],
      dilations: [1, 1],
      padsBegin: [pad, pad],
      padsEnd: [pad, pad],
    }
  }

  /** @param dead output channels whose weights are 0 */
  conv(
    x: string,
    out: number,
    {
      kernel,
      stride = 1,
      pad = (kernel - 1) / 2,
      dead = 0,
    }: { kernel: number; stride?: number; pad?: number; dead?: number },
  ): string {
    const { b } = this
    const inputs = b.shape(x)[1]!
    const size = inputs * kernel * kernel
    const numbers = Float32Array.from({ length: out * size }, (_, i) =>
      i < dead * size ? 0 : ((this.#random.next() - 0.5) * 3) / Math.sqrt(size),
    )
    const weights = b.floats(numbers, [out, inputs, kernel, kernel])
    return b.op(this.window(kernel, stride, pad), [x, weights, this.weights([out], 0.6)], 'conv')
  }

  convTranspose(x: string, out: number, group = 1): string {
    const { b } = this
    const inputs = b.shape(x)[1]!
    const op = {
      ...this.window(2, 2, 0),
      kind: 'ConvTranspose',
      group,
      outputPadding: [0, 0],
    } as const satisfies OpOf<'ConvTranspose'>
    return b.op(op, [x, this.weights([inputs, out / group, 2, 2], 1), this.weights([out], 0.6)], 'grown')
  }

  resized(x: string, size: number, mode: 'nearest' | 'linear'): string {
    const [batch, channels, height] = this.b.shape(x)
    return this.b.op(
      {
        kind: 'Resize',
        mode,
        sizes: [batch!, channels!, size, size],
        scales: [1, 1, size / height!, size / height!],
        coordinateTransformation: mode === 'linear' ? 'half_pixel' : 'asymmetric',
        nearestMode: 'floor',
        cubicCoefficient: -0.75,
        excludeOutside: false,
        extrapolationValue: 0,
        roi: null,
        antialias: false,
        layout: 'channels-first',
      },
      [x],
    )
  }

  averaged(x: string, kernel: number, stride: number): string {
    const { kind: _, group: __, ...window } = this.window(kernel, stride, 0)
    const kernels = { kernel: [kernel, kernel], ceilMode: false, countIncludePad: false }
    return this.b.op({ kind: 'AveragePool', ...window, ...kernels }, [x])
  }

  transposed(x: string, perm: readonly number[]): string {
    return this.b.op({ kind: 'Transpose', perm }, [x])
  }

  layerNorm(x: string): string {
    const width = this.b.shape(x).at(-1)!
    const scale = this.b.floats(Float32Array.from({ length: width }, () => 0.75 + this.#random.next() / 2))
    const op = { kind: 'LayerNormalization', axis: this.b.shape(x).length - 1, epsilon: 1e-5 } as const
    return this.b.op(op, [x, scale, this.weights([width], 0.2)])
  }

  /** MatMul and Add, as exporters write a fully connected layer of tokens. */
  dense(x: string, out: number): string {
    const inputs = this.b.shape(x).at(-1)!
    const product = this.b.op({ kind: 'MatMul' }, [x, this.weights([inputs, out], 3 / Math.sqrt(inputs))])
    return this.b.add(product, this.weights([out], 0.4))
  }

  gemm(x: string, out: number): string {
    const inputs = this.b.shape(x)[1]!
    const op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true } as const
    return this.b.op(op, [x, this.weights([out, inputs], 3 / Math.sqrt(inputs)), this.weights([out], 0.4)])
  }
}
