import { EdgewrightError } from '../../error.ts'
import { GraphEditor, sortTopologically } from '../../graph/edit.ts'
import { inferTypes } from '../../graph/infer.ts'
import type { Op, OpKind } from '../../graph/ops.ts'
import type { Constant, Value, Graph, NodeSource, Quantization, TensorType } from '../../graph/types.ts'
import { foldSmall } from './read-fold.ts'
import { NotExpressible } from './read-operator.ts'
import type { ExternalFolder } from './read-tensor.ts'

/** Which names the file uses for what: known before the first operator is read. */
export interface NameUse {
  /** Every name of the file, in subgraphs too: none may be given to a value of ours. */
  readonly taken: ReadonlySet<string>
  /** Names that an operator, a subgraph or the graph's outputs read. */
  readonly used: ReadonlySet<string>
  /** Outer names that subgraphs read: their values must keep them. */
  readonly captured: ReadonlySet<string>
}

/** Operators that only move elements: quantized integers pass them as they are. */
const movingKinds: ReadonlySet<OpKind> = new Set<OpKind>([
  'MaxPool',
  'Concat',
  'Split',
  'Slice',
  'Gather',
  'Reshape',
  'Transpose',
  'Expand',
  'Tile',
  'DepthToSpace',
  'SpaceToDepth',
  'GlobalMaxPool',
])

/** As for tensors of the file. */
const mostRank = 64

/** The graph as far as it is read: ONNX names to our values. */
export class GraphInReading {
  readonly editor: GraphEditor
  readonly folder: ExternalFolder
  readonly boundBatch: number
  readonly #names: NameUse
  readonly #resolved = new Map<string, string>()
  readonly #nodeNames = new Set<string>()
  readonly #read = new Set<string>()
  readonly #raw: ReadonlySet<string>
  /** Values found in this pass that the next must read as plain integers. */
  readonly rawDemanded = new Set<string>()

  constructor(
    name: string,
    names: NameUse,
    folder: ExternalFolder,
    boundBatch: number,
    raw: ReadonlySet<string>,
  ) {
    this.#raw = raw
    this.editor = GraphEditor.empty(name)
    this.#names = names
    this.folder = folder
    this.boundBatch = boundBatch
  }

  addInput(name: string, type: TensorType): void {
    this.editor.addInput(name, type)
    this.#resolved.set(name, name)
  }

  define(name: string, constant: Constant): void {
    this.#requireNew(name)
    this.#resolved.set(name, this.editor.addConstant(name, constant))
  }

  isUsed(name: string): boolean {
    return this.#names.used.has(name)
  }

  knows(name: string): boolean {
    return this.#resolved.has(name)
  }

  /** Whether the integers of a value are read as they are, so that they must not stand for reals. */
  isRaw(name: string): boolean {
    return this.#raw.has(name)
  }

  /** Has a value that was read as quantized read as plain integers in the next pass. */
  demandRaw(name: string): void {
    if (this.editor.type(name).quantization) this.rawDemanded.add(name)
  }

  /** Our value of an ONNX name. */
  resolve(name: string): string {
    const value = this.#resolved.get(name)
    if (value === undefined)
      throw new EdgewrightError(
        'MODEL_BROKEN',
        `Nothing makes the value ${JSON.stringify(name)} that the model uses.`,
        { where: this.editor.name },
      )
    return value
  }

  /** Another name for a value; a name that a subgraph reads gets a value of its own. */
  alias(name: string, value: string): void {
    this.#requireNew(name)
    if (!this.#names.captured.has(name)) {
      this.#resolved.set(name, value)
      return
    }
    this.editor.addNode({
      name: this.freshNodeName(name),
      op: { kind: 'Identity' },
      inputs: [value],
      outputs: [{ name, type: this.editor.type(value) }],
    })
    this.#resolved.set(name, name)
  }

  /** Adds an operator, or its results as constants where all it reads is constant and small. */
  emit(
    op: Op,
    inputs: readonly (string | null)[],
    outputs: readonly string[],
    nodeName: string,
    source: NodeSource,
    types?: readonly TensorType[],
  ): void {
    for (const name of outputs) this.#requireNew(name)
    const operands = inputs.map((name) => (name === null ? null : this.editor.value(name)))
    while (operands.at(-1) === null) operands.pop()
    const where = `${source.opType} ${JSON.stringify(source.name || outputs[0])}`
    if (op.kind !== 'Convert' && outputs.some((name) => this.#raw.has(name)))
      for (const operand of operands) if (operand) this.demandRaw(operand.name)
    const resultTypes = types ?? this.#resultTypes(op, operands, outputs.length, where)
    if (resultTypes.some(({ shape }) => shape.length > mostRank))
      throw new EdgewrightError(
        'MODEL_BROKEN',
        `A value of the model has more than ${mostRank} dimensions.`,
        { where },
      )
    const folded = foldSmall(op, operands, resultTypes)
    if (folded) {
      for (const [i, constant] of folded.entries()) this.define(outputs[i]!, constant)
      return
    }
    this.editor.addNode({
      name: this.freshNodeName(nodeName),
      op,
      inputs: inputs.slice(0, operands.length),
      outputs: outputs.map((name, i) => ({ name, type: resultTypes[i]! })),
      source,
    })
    for (const name of inputs) if (name !== null) this.#read.add(name)
    for (const name of outputs) this.#resolved.set(name, name)
  }

  /** Says how the integers of a value map to reals; false where an operator has read them as they are. */
  quantize(name: string, quantization: Quantization): boolean {
    if (
      this.#raw.has(name) ||
      !this.editor.inputs.includes(name) ||
      this.#read.has(name) ||
      this.#names.captured.has(name)
    )
      return false
    this.editor.retype(name, { ...this.editor.type(name), quantization })
    return true
  }

  freshName(wanted: string): string {
    for (let i = 0; ; i++) {
      const name = i === 0 ? wanted : `${wanted}_${i}`
      if (!this.#names.taken.has(name) && !this.editor.hasValue(name)) return name
    }
  }

  freshNodeName(wanted: string): string {
    for (let i = 0; ; i++) {
      const name = i === 0 ? wanted : `${wanted}_${i}`
      if (this.#nodeNames.has(name)) continue
      this.#nodeNames.add(name)
      return name
    }
  }

  /** The finished graph. Outputs keep the file's names, whatever became of the operators that made them. */
  finish(outputs: readonly string[]): Graph {
    const renamed = new Map<string, string>()
    const made: string[] = []
    for (const output of outputs) {
      const value = this.resolve(output)
      const { constant } = this.editor.value(value)
      const byNode = constant === null && !this.editor.inputs.includes(value)
      if (value === output && constant === null) made.push(value)
      else if (value === output) {
        renamed.set(value, this.freshName(`${output}/constant`))
        made.push(this.#identity(value, this.freshName(`${output}/output`)))
        renamed.set(made.at(-1)!, output)
      } else if (
        byNode &&
        !renamed.has(value) &&
        !outputs.includes(value) &&
        !this.#names.captured.has(value)
      ) {
        renamed.set(value, output)
        made.push(value)
      } else made.push(this.#identity(value, output))
    }
    this.editor.outputs = made
    return renameValues(this.editor.finish(), renamed)
  }

  #identity(value: string, name: string): string {
    this.editor.addNode({
      name: this.freshNodeName(name),
      op: { kind: 'Identity' },
      inputs: [value],
      outputs: [{ name, type: this.editor.type(value) }],
    })
    return name
  }

  #requireNew(name: string): void {
    if (this.#resolved.has(name))
      throw new EdgewrightError('MODEL_BROKEN', `Two operators make the value ${JSON.stringify(name)}.`, {
        where: this.editor.name,
      })
  }

  #resultTypes(
    op: Op,
    operands: readonly (Value | null)[],
    outputCount: number,
    where: string,
  ): TensorType[] {
    const types = inferTypes(op, operands, outputCount, where)
    if (!operands.some((operand) => operand?.type.quantization)) return types
    const data = op.kind === 'Gather' ? operands.slice(0, 1) : operands
    const first = data[0]!.type
    const alike = data.every(
      (operand) =>
        operand!.type.dtype === first.dtype && samePerTensor(operand!.type.quantization, first.quantization),
    )
    if (!movingKinds.has(op.kind) || !alike)
      throw new NotExpressible('it reads quantized integers as they are')
    return types.map((type) => ({ dtype: first.dtype, shape: type.shape, quantization: first.quantization }))
  }
}

function samePerTensor(a: Quantization | null, b: Quantization | null): boolean {
  return (
    a !== null &&
    b !== null &&
    a.axis === null &&
    b.axis === null &&
    a.scales[0] === b.scales[0] &&
    a.zeroPoints[0] === b.zeroPoints[0]
  )
}

function renameValues(graph: Graph, renamed: ReadonlyMap<string, string>): Graph {
  if (renamed.size === 0) return graph
  const to = (name: string) => renamed.get(name) ?? name
  const nodes = graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((name) => (name === null ? null : to(name))),
    outputs: node.outputs.map(to),
  }))
  return {
    ...graph,
    outputs: graph.outputs.map(to),
    values: new Map([...graph.values].map(([name, value]) => [to(name), { ...value, name: to(name) }])),
    // a captured name may now be made by another operator
    nodes: sortTopologically(nodes, graph.name),
  }
}
