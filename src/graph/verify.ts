import { EdgewrightError } from '../error.ts'
import { byteLength, type DType } from '../tensor.ts'
import { usedNames } from './edit.ts'
import { declaredDtypeKinds, inferTypes, realType, sameShape } from './infer.ts'
import type { Graph, Node, Quantization, TensorType, Value } from './types.ts'

/** The integers that a quantized tensor stores, with their ranges. int32 and int64 hold biases and accumulators. */
const storedRanges: Partial<Record<DType, readonly [number, number]>> = {
  int4: [-8, 7],
  uint4: [0, 15],
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int64: [-(2 ** 63), 2 ** 63],
}

/**
 * Checks that a graph holds together: names resolve, nodes stand in topological order, each value is made once, types
 * are what inference gives, constants match their types, quantization can be computed with, outputs exist.
 * @throws GRAPH_INVALID naming the first node or value that is wrong; what inference throws for a node's shapes
 */
export function verifyGraph(graph: Graph): void {
  for (const [key, value] of graph.values) verifyValue(graph, key, value)
  const made = new Map<string, string>()
  const define = (name: string, by: string) => {
    const value = lookUp(graph, name, by)
    if (value.constant) fail(graph, `${by} makes ${quote(name)}, which is a constant.`)
    if (made.has(name)) fail(graph, `${quote(name)} is made twice.`, `by ${made.get(name)} and by ${by}`)
    made.set(name, by)
  }
  const use = (name: string, by: string) => {
    const value = lookUp(graph, name, by)
    if (!value.constant && !made.has(name))
      fail(graph, `${by} uses ${quote(name)}, which nothing before it makes.`)
  }
  for (const name of graph.inputs) define(name, 'the list of inputs')
  for (const node of graph.nodes) {
    const by = `node ${quote(node.name)}`
    for (const name of usedNames(node)) use(name, by)
    verifyTypes(graph, node, by)
    for (const name of node.outputs) define(name, by)
  }
  if (graph.outputs.length === 0) fail(graph, 'The graph has no output.')
  for (const name of graph.outputs) use(name, 'the list of outputs')
}

function verifyValue(graph: Graph, key: string, { name, type, constant }: Value): void {
  if (key !== name) fail(graph, `The value ${quote(name)} is kept under the name ${quote(key)}.`)
  if (!type.shape.every((dimension) => Number.isSafeInteger(dimension) && dimension >= 0))
    fail(graph, `The shape of ${quote(name)} is not of whole numbers of 0 or more.`, describe(type))
  if (type.quantization) verifyQuantization(graph, name, type, type.quantization)
  if (!constant) return
  if (constant.dtype !== type.dtype || !sameShape(constant.shape, type.shape))
    fail(
      graph,
      `The constant ${quote(name)} is not of its value's type.`,
      `${describe(constant)} under ${describe(type)}`,
    )
  if (constant.dtype !== 'string' && constant.byteLength !== byteLength(constant.dtype, constant.shape))
    fail(graph, `The constant ${quote(name)} has ${constant.byteLength} bytes.`, describe(type))
}

function verifyQuantization(graph: Graph, name: string, type: TensorType, quantization: Quantization): void {
  const { scales, zeroPoints, axis } = quantization
  const range = storedRanges[type.dtype]
  if (!range) fail(graph, `${quote(name)} is quantized as ${type.dtype}, which stores no quantized integers.`)
  if (axis !== null && !(Number.isInteger(axis) && axis >= 0 && axis < type.shape.length))
    fail(graph, `The quantization axis ${axis} of ${quote(name)} is outside its shape.`, describe(type))
  const wanted = axis === null ? 1 : type.shape[axis]!
  if (scales.length !== wanted || zeroPoints.length !== wanted)
    fail(
      graph,
      `${quote(name)} needs ${wanted} scales and zero points.`,
      `${scales.length} scales, ${zeroPoints.length} zero points`,
    )
  // scales are stored as float32, where a very small one would become 0
  const badScale = scales.find((scale) => !(Math.fround(scale) > 0 && Math.fround(scale) < Infinity))
  if (badScale !== undefined)
    fail(graph, `A scale of ${quote(name)} is not a positive float32 number.`, `${badScale}`)
  const badZeroPoint = zeroPoints.find(
    (zero) => !(Number.isInteger(zero) && zero >= range[0] && zero <= range[1]),
  )
  if (badZeroPoint !== undefined)
    fail(graph, `A zero point of ${quote(name)} is outside ${type.dtype}.`, `${badZeroPoint}`)
  if ((type.dtype === 'int32' || type.dtype === 'int64') && zeroPoints.some((zero) => zero !== 0))
    fail(graph, `${quote(name)} is an ${type.dtype} with a zero point other than 0.`)
}

function verifyTypes(graph: Graph, node: Node, by: string): void {
  const outputs = node.outputs.map((name) => lookUp(graph, name, by))
  if (node.op.kind === 'Opaque') return
  const inputs = node.inputs.map((name) => (name === null ? null : lookUp(graph, name, by)))
  const inferred = inferTypes(node.op, inputs, outputs.length, node.name)
  outputs.forEach(({ name, type }, i) => {
    const { dtype, shape } = realType(type)
    const wanted = inferred[i]!
    const dtypeFits = declaredDtypeKinds.has(node.op.kind) || dtype === wanted.dtype
    if (!dtypeFits || !sameShape(shape, wanted.shape))
      fail(
        graph,
        `${by} makes ${quote(name)} as ${describe(wanted)}, its value says otherwise.`,
        describe(type),
      )
  })
  const bias =
    node.op.kind === 'Conv' || node.op.kind === 'ConvTranspose' || node.op.kind === 'Gemm' ? inputs[2] : null
  // beside activations of 16 bits a bias takes 64
  const biasTypes = inputs[0]?.type.dtype === 'int16' ? ['int32', 'int64'] : ['int32']
  if (bias?.type.quantization && !biasTypes.includes(bias.type.dtype))
    fail(
      graph,
      `The quantized bias ${quote(bias.name)} of ${by} is not ${biasTypes.join(' or ')}.`,
      describe(bias.type),
    )
  const [from, to] = [inputs[0], outputs[0]]
  if (node.op.kind === 'Convert' && !from?.type.quantization && !to?.type.quantization)
    fail(graph, `${by} converts between two values that are not quantized.`)
}

function lookUp(graph: Graph, name: string, by: string): Value {
  return graph.values.get(name) ?? fail(graph, `${by} uses ${quote(name)}, which is no value of the graph.`)
}

function fail(graph: Graph, message: string, saw?: string): never {
  throw new EdgewrightError('GRAPH_INVALID', message, { where: `graph ${quote(graph.name)}`, saw })
}

function describe({
  dtype,
  shape,
  ...rest
}: Pick<TensorType, 'dtype' | 'shape'> & Partial<TensorType>): string {
  return `${dtype}[${shape.join(',')}]${rest.quantization ? ' quantized' : ''}`
}

function quote(name: string): string {
  return JSON.stringify(name)
}
