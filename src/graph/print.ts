import type { Op } from './ops.ts'
import type { Graph, Node, Quantization, TensorType, Value } from './types.ts'

/**
 * A graph as text, one line a node: what it makes, how, from what. `%name` is a computed value, `@name` a constant.
 * Names are escaped so that nothing in a model file reaches a terminal as control characters.
 */
export function printGraph(graph: Graph): string {
  const lines = [
    `graph ${escapeName(graph.name)}(${graph.inputs.map((name) => typed(graph, name)).join(', ')}) {`,
    ...graph.nodes.map((node) => `  ${printNode(graph, node)}`),
    `  return ${graph.outputs.map((name) => reference(graph, name)).join(', ')}`,
    '}',
  ]
  return `${lines.join('\n')}\n`
}

/** One node, with the types of what it makes and of the constants that it takes. */
export function printNode(graph: Graph, node: Node): string {
  const outputs = node.outputs.map((name) => typed(graph, name)).join(', ')
  const inputs = node.inputs.map((name) => {
    if (name === null) return '_'
    return graph.values.get(name)?.constant ? typed(graph, name) : reference(graph, name)
  })
  return `${outputs} = ${operatorName(node.op)}(${inputs.join(', ')})${printAttributes(node.op)}`
}

/** `int8[1,8,32,32] q(0.0213, 3)`; per channel: `q(axis 0, 64 scales 0.001…0.02, 0)`. */
export function printType({ dtype, shape, quantization }: TensorType): string {
  return `${dtype}[${shape.join(',')}]${quantization ? ` ${printQuantization(quantization)}` : ''}`
}

function printQuantization({ scales, zeroPoints, axis }: Quantization): string {
  if (axis === null) return `q(${short(scales[0]!)}, ${zeroPoints[0]})`
  const [least, most] = extent(scales)
  const zeros = extent(zeroPoints)
  const zero = zeros[0] === zeros[1] ? `${zeros[0]}` : `${zeros[0]}…${zeros[1]}`
  return `q(axis ${axis}, ${scales.length} scales ${short(least)}…${short(most)}, ${zero})`
}

function typed(graph: Graph, name: string): string {
  const value = graph.values.get(name)
  return `${reference(graph, name)}: ${value ? printType(value.type) : '?'}`
}

function reference(graph: Graph, name: string): string {
  const value: Value | undefined = graph.values.get(name)
  return `${value?.constant ? '@' : '%'}${escapeName(name)}`
}

function operatorName(op: Op): string {
  if (op.kind === 'Opaque')
    return escapeName(`${op.format}.${op.domain ? `${op.domain}.` : ''}${op.opType}@${op.opset}`)
  return 'fn' in op ? (op.kind === 'Reduce' ? `Reduce${op.fn}` : op.fn) : op.kind
}

function printAttributes(op: Op): string {
  if (op.kind === 'Opaque')
    return op.captures.length > 0 ? ` {captures: ${op.captures.map(escapeName).join(', ')}}` : ''
  const shown = Object.entries(op).flatMap(([name, value]) =>
    name === 'kind' || name === 'fn' || value === null || value === 'channels-first'
      ? []
      : [`${name}: ${printAttribute(value)}`],
  )
  return shown.length > 0 ? ` {${shown.join(', ')}}` : ''
}

function printAttribute(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(printAttribute).join(',')}]`
  return typeof value === 'number' ? short(value) : String(value)
}

/** A name as it is where it is plain, else as a JSON string in ASCII: also bidirectional and invisible characters. */
function escapeName(name: string): string {
  if (/^[\w./:@+-]+$/.test(name)) return name
  return JSON.stringify(name).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function short(number: number): string {
  return Number.isInteger(number) ? String(number) : String(Number(number.toPrecision(6)))
}

function extent(numbers: readonly number[]): [number, number] {
  let least = Infinity
  let most = -Infinity
  for (const number of numbers) {
    least = Math.min(least, number)
    most = Math.max(most, number)
  }
  return [least, most]
}
