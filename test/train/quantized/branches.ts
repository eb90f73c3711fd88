import { seededGenerator } from '../../../src/data/generator.ts'
import { constantOf } from '../../../src/graph/constant.ts'
import type { OpOf } from '../../../src/graph/ops.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { GraphBuilder } from '../../../src/train/builder.ts'

/**
 * A small network with what makes scales hard: a concatenation of a clipped and a free branch, a value that several
 * readers take, a gate, an average and a largest, a sum with a constant, and a Gemm that multiplies its product.
 */
export function branchingNetwork(): Graph {
  const random = seededGenerator(11)
  const b = GraphBuilder.empty('branches')
  const weights = (shape: readonly number[], width: number) =>
    b.constant(
      numbers(shape, () => (random.next() - 0.5) * width),
      'w',
    )
  const conv = (x: string, out: number, kernel: number, stride = 1, group = 1) => {
    const pad = (kernel - 1) / 2
    const op: OpOf<'Conv'> = {
      kind: 'Conv',
      group,
      layout: 'channels-first',
      strides: [stride, stride],
      dilations: [1, 1],
      padsBegin: [pad, pad],
      padsEnd: [pad, pad],
    }
    const inputs = b.shape(x)[1]!
    return b.op(op, [x, weights([out, inputs / group, kernel, kernel], 1.4), weights([out], 0.6)], 'conv')
  }
  const x = b.input('x', [1, 3, 16, 16])
  const stem = b.op({ kind: 'Relu' }, [conv(x, 8, 3, 2)])
  const clipped = b.op({ kind: 'Clip', min: 0, max: 6 }, [conv(stem, 8, 1)], 'relu6')
  const free = conv(stem, 8, 3, 1, 8)
  const joined = b.op({ kind: 'Concat', axis: 1 }, [clipped, free])
  const mixed = b.op({ kind: 'Relu' }, [conv(joined, 8, 1)])
  const sum = b.op({ kind: 'Relu' }, [b.add(mixed, b.add(free, stem))])
  const window = { strides: [2, 2], dilations: [1, 1], padsBegin: [0, 0], padsEnd: [0, 0] }
  const pool = { ...window, kernel: [2, 2], ceilMode: false, layout: 'channels-first' } as const
  const largest = b.op({ kind: 'MaxPool', ...pool }, [sum])
  const gate = b.op({ kind: 'Sigmoid' }, [
    conv(b.op({ kind: 'GlobalAveragePool', layout: 'channels-first' }, [largest]), 8, 1),
  ])
  const gated = b.mul(largest, gate)
  const shifted = b.add(gated, weights([1, 8, 1, 1], 2))
  const flat = b.reshape(shifted, [1, 8 * 4 * 4])
  const op = { kind: 'Gemm', alpha: 0.25, beta: 1, transA: false, transB: true } as const
  const logits = b.op(op, [flat, weights([10, 128], 0.5), weights([10], 1)], 'gemm')
  return b.finish([logits])
}

function numbers(shape: readonly number[], next: () => number) {
  const count = shape.reduce((product, size) => product * size, 1)
  return constantOf('float32', shape, Float32Array.from({ length: count }, next))
}
