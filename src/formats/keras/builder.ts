import { EdgewrightError } from '../../error.ts'
import { float32Constant } from '../../graph/constant.ts'
import { GraphEditor } from '../../graph/edit.ts'
import { constantOfNumbers } from '../../graph/encode.ts'
import { inferTypes } from '../../graph/infer.ts'
import type { Op } from '../../graph/ops.ts'
import type { Constant, Graph, Node, Quantization, TensorType, Value } from '../../graph/types.ts'

/** No network for a board has more; an unrolled recurrence of a hostile file would. */
const mostNodes = 200_000

/** A graph under construction, layer by layer. Values are named after the layer that makes them. */
export class LayerGraph {
  readonly inputs: string[] = []
  readonly #values = new Map<string, Value>()
  #nodes: Node[] = []
  #layer = { name: '', className: '', index: 0 }
  #firstOfLayer = 0

  type(name: string): TensorType {
    return this.#values.get(name)!.type
  }

  shape(name: string): readonly number[] {
    return this.type(name).shape
  }

  addInput(name: string, type: TensorType): string {
    const made = this.#freshName(name)
    this.#values.set(made, { name: made, type, constant: null })
    this.inputs.push(made)
    return made
  }

  /** What follows belongs to this layer. */
  enter(name: string, className: string, index: number): void {
    this.#layer = { name, className, index }
    this.#firstOfLayer = this.#nodes.length
  }

  /** Gives what the layer returns the layer's name. */
  leave(outputs: readonly string[]): string[] {
    const made = new Set(this.#nodes.slice(this.#firstOfLayer).flatMap((node) => node.outputs))
    return outputs.map((output, i) => {
      const wanted = i === 0 ? this.#layer.name : `${this.#layer.name}:${i}`
      return made.has(output) && outputs.indexOf(output) === i && !this.#values.has(wanted)
        ? this.#rename(output, wanted)
        : output
    })
  }

  constant(suffix: string, constant: Constant, quantization: Quantization | null = null): string {
    const name = this.#freshName(`${this.#layer.name}/${suffix}`)
    this.#values.set(name, {
      name,
      type: { dtype: constant.dtype, shape: constant.shape, quantization },
      constant,
    })
    return name
  }

  numbers(suffix: string, shape: readonly number[], numbers: ArrayLike<number>): string {
    return this.constant(suffix, float32Constant(shape, numbers))
  }

  scalar(number: number, dtype: TensorType['dtype'] = 'float32'): string {
    return this.constant('constant', constantOfNumbers(dtype, [], [number]))
  }

  /** Adds an operator with one output, whose type is inferred unless it is declared. */
  node(op: Op, inputs: readonly (string | null)[], declared?: TensorType): string {
    return this.#add(op, inputs, 1, declared)[0]!
  }

  nodes(op: Op, inputs: readonly (string | null)[], outputs: number): string[] {
    return this.#add(op, inputs, outputs)
  }

  /** Names of outputs are kept; one that is an input, a constant or listed twice is copied. */
  finish(name: string, outputs: readonly string[]): Graph {
    const named = outputs.map((output, i) => {
      const copied = !this.#nodes.some((node) => node.outputs.includes(output)) || outputs.indexOf(output) < i
      return copied ? this.node({ kind: 'Identity' }, [output]) : output
    })
    return new GraphEditor({
      name,
      inputs: this.inputs,
      outputs: named,
      values: this.#values,
      nodes: this.#nodes,
    }).finish()
  }

  #add(op: Op, inputs: readonly (string | null)[], count: number, declared?: TensorType): string[] {
    const { name: layer, className, index } = this.#layer
    if (this.#nodes.length >= mostNodes)
      throw new EdgewrightError('MODEL_TOO_LARGE', `The network has more than ${mostNodes} operators.`, {
        where: layer,
      })
    const operands = inputs.map((input) => (input === null ? null : this.#values.get(input)!))
    const types = declared ? [declared] : inferTypes(op, operands, count, layer)
    const kind = 'fn' in op ? op.fn : op.kind
    const name = `${layer}/${kind.toLowerCase()}`
    const outputs = types.map((type) => {
      const output = this.#freshName(name)
      this.#values.set(output, { name: output, type, constant: null })
      return output
    })
    this.#nodes.push({
      name: outputs[0]!,
      op,
      inputs: [...inputs],
      outputs,
      source: { opType: className, name: layer, index },
    })
    return outputs
  }

  #rename(from: string, to: string): string {
    this.#values.set(to, { ...this.#values.get(from)!, name: to })
    this.#values.delete(from)
    const renamed = (name: string) => (name === from ? to : name)
    for (let i = this.#firstOfLayer; i < this.#nodes.length; i++) {
      const node = this.#nodes[i]!
      const inputs = node.inputs.map((name) => name && renamed(name))
      this.#nodes[i] = { ...node, name: renamed(node.name), inputs, outputs: node.outputs.map(renamed) }
    }
    return to
  }

  readonly #nextSuffix = new Map<string, number>()
  #freshName(wanted: string): string {
    if (!this.#values.has(wanted)) return wanted
    for (let i = this.#nextSuffix.get(wanted) ?? 1; ; i++) {
      if (this.#values.has(`${wanted}_${i}`)) continue
      this.#nextSuffix.set(wanted, i + 1)
      return `${wanted}_${i}`
    }
  }
}
