import { constantOf, float32Constant } from '../../src/graph/constant.ts'
import { GraphEditor } from '../../src/graph/edit.ts'
import { inferTypes } from '../../src/graph/infer.ts'
import type { Op } from '../../src/graph/ops.ts'
import type { Graph, TensorType } from '../../src/graph/types.ts'
import { randomNumbers } from '../../src/execute/random.ts'
import type { TensorData } from '../../src/tensor.ts'

export function floatType(...shape: number[]): TensorType {
  return { dtype: 'float32', shape, quantization: null }
}

/** Builds small graphs for tests: one line a node, types inferred, weights seeded. */
export class SmallGraph {
  readonly editor: GraphEditor
  readonly #next = randomNumbers(7)
  #count = 0

  constructor(name = 'small') {
    this.editor = GraphEditor.empty(name)
  }

  input(name: string, ...shape: number[]): string {
    return this.editor.addInput(name, floatType(...shape))
  }

  /** Numbers uniform in [−1, 1) · scale + shift. */
  weights(shape: number[], scale = 1, shift = 0): string {
    const count = shape.reduce((a, b) => a * b, 1)
    const numbers = Array.from({ length: count }, () => (2 * this.#next() - 1) * scale + shift)
    return this.editor.addConstant('w', float32Constant(shape, numbers))
  }

  constant(shape: number[], numbers: number[]): string {
    return this.editor.addConstant('c', float32Constant(shape, numbers))
  }

  integers(shape: number[], numbers: bigint[]): string {
    return this.editor.addConstant('i', constantOf('int64', shape, BigInt64Array.from(numbers) as TensorData))
  }

  /** Adds a node and returns its first output. */
  node(op: Op, inputs: (string | null)[], name = `n${this.#count}`): string {
    return this.nodeOutputs(op, inputs, name)[0]!
  }

  nodeOutputs(op: Op, inputs: (string | null)[], name = `n${this.#count}`): string[] {
    this.#count++
    const operands = inputs.map((input) => (input === null ? null : this.editor.value(input)))
    const types = inferTypes(op, operands, op.kind === 'Split' ? op.sizes.length : 1)
    const outputs = types.map((type, i) => ({
      name: this.editor.freshName(i === 0 ? `${name}_out` : `${name}_out${i}`),
      type,
    }))
    this.editor.addNode({ name, op, inputs, outputs })
    return outputs.map((output) => output.name)
  }

  conv(
    x: string,
    channels: number,
    options: { kernel?: number; pad?: number; stride?: number; group?: number; bias?: boolean } = {},
    name?: string,
  ): string {
    const { kernel = 3, stride = 1, group = 1, bias = true } = options
    const pad = options.pad ?? kernel >> 1
    const from = this.editor.type(x).shape[1]!
    const w = this.weights(
      [channels, from / group, kernel, kernel],
      1 / Math.sqrt((from / group) * kernel * kernel),
    )
    const b = bias ? this.weights([channels], 0.2) : null
    return this.node(convOp({ pad, stride, group }), [x, w, b], name)
  }

  finish(...outputs: string[]): Graph {
    this.editor.outputs = outputs
    return this.editor.finish()
  }
}

export function convOp({ pad = 1, stride = 1, group = 1 } = {}): Op {
  return {
    kind: 'Conv',
    group,
    layout: 'channels-first',
    strides: [stride, stride],
    dilations: [1, 1],
    padsBegin: [pad, pad],
    padsEnd: [pad, pad],
  }
}
