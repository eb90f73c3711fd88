import { EdgewrightError } from '../../../error.ts'
import type { Op, OpKind, OpOf } from '../../../graph/ops.ts'
import type { Node, TensorType } from '../../../graph/types.ts'
import type { DType } from '../../../tensor.ts'
import { constantOfNumbers } from '../../../graph/encode.ts'
import type { NetworkInWriting, Options } from '../write-graph.ts'

/** A node of one kind, or of several, being written. */
export type NodeInWriting<K extends OpKind = OpKind> = Writing<OpOf<K>>

/** One of our operators being written: its operands as tensors of the file. */
export class Writing<O extends Op> {
  readonly node: Node
  readonly op: O
  readonly network: NetworkInWriting
  /** The activation that the kernel applies too; 0 where none. */
  readonly activation: number
  /** Values that are made, the activated one in place of the first where one is fused. */
  readonly outputs: readonly string[]

  constructor(
    node: Node & { op: O },
    network: NetworkInWriting,
    activated?: { readonly code: number; readonly output: string },
  ) {
    this.node = node
    this.op = node.op
    this.network = network
    this.activation = activated?.code ?? 0
    this.outputs = activated ? [activated.output] : node.outputs
  }

  /** The name of an operand that must be there. */
  name(index: number): string {
    return this.node.inputs[index]!
  }

  has(index: number): boolean {
    return (this.node.inputs[index] ?? null) !== null
  }

  type(index: number): TensorType {
    return this.network.value(this.name(index)).type
  }

  input(index: number): number {
    return this.network.tensor(this.name(index))
  }

  get inputs(): number[] {
    return this.node.inputs.map((_, index) => this.input(index))
  }

  get output(): number {
    return this.network.tensor(this.outputs[0]!)
  }

  get outputType(): TensorType {
    return this.network.value(this.outputs[0]!).type
  }

  /** One operator of the file for ours. */
  write(opType: string, inputs: readonly number[], options?: Options): void {
    this.network.add(
      opType,
      inputs,
      this.outputs.map((name) => this.network.tensor(name)),
      options,
    )
  }

  /** An operator in between; gives its result. */
  step(opType: string, inputs: readonly number[], like: string, type: TensorType, options?: Options): number {
    const result = this.network.temporary(this.inside(like), type)
    this.network.add(opType, inputs, [result], options)
    return result
  }

  /** As `step`, with a result like a tensor but for its shape. */
  moved(
    opType: string,
    x: number,
    more: readonly number[],
    like: string,
    shape: readonly number[],
    options?: Options,
  ) {
    return this.step(opType, [x, ...more], like, { ...this.network.type(x), shape }, options)
  }

  reshaped(x: number, shape: readonly number[], like: string): number {
    return this.moved('RESHAPE', x, [this.integers(shape, 'shape')], like, shape, {
      name: 'ReshapeOptions',
      values: { newShape: shape },
    })
  }

  transposed(x: number, perm: readonly number[], like: string): number {
    const { shape, quantization } = this.network.type(x)
    const axis = quantization?.axis
    const type = {
      ...this.network.type(x),
      shape: perm.map((from) => shape[from]!),
      quantization:
        quantization && axis != null ? { ...quantization, axis: perm.indexOf(axis) } : quantization,
    }
    return this.step('TRANSPOSE', [x, this.integers(perm, 'permutation')], like, type)
  }

  integers(numbers: readonly number[], like: string, shape?: readonly number[]): number {
    return this.network.integers(numbers, this.inside(like), shape)
  }

  /** A scalar operand that stands for a real number, stored as the operator's result is. */
  scalar(value: number, like: string, type: TensorType = this.outputType): number {
    const { dtype, quantization } = type
    const stored = quantization ? nearest(value, type) : value
    return this.network.parameter(constantOfNumbers(dtype, [], [stored]), this.inside(like), quantization)
  }

  inside(like: string): string {
    return `${this.outputs[0]}/${like}`
  }

  /** Refuses to compose out of several operators what has no quantization in between. */
  requireFloat(what: string): void {
    const types = [...this.node.inputs, ...this.outputs].flatMap((name) =>
      name ? [this.network.value(name).type] : [],
    )
    if (types.some(({ quantization }) => quantization))
      throw this.unsupported(`${what} of quantized integers`)
  }

  unsupported(what: string, saw?: string): EdgewrightError {
    return new EdgewrightError('OPERATOR_UNSUPPORTED', `TensorFlow Lite has no operator for ${what}.`, {
      where: this.node.name,
      saw: saw ?? describe(this.op),
      hint: 'Keep it on a target that runs the source format, or rewrite this part of the network.',
    })
  }
}

const storedRanges: Partial<Record<DType, readonly [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
}

/** The stored integer nearest to a real number, within what the type holds. */
function nearest(value: number, { dtype, quantization }: TensorType): number {
  const [least, most] = storedRanges[dtype] ?? [-(2 ** 31), 2 ** 31 - 1]
  const stored = Math.round(value / quantization!.scales[0]!) + quantization!.zeroPoints[0]!
  return Math.min(Math.max(stored, least), most)
}

function describe(op: Op): string {
  return 'fn' in op ? `${op.kind} ${op.fn}` : op.kind
}
