import { constantOf, constantOfBytes, tensorOf } from '../graph/constant.ts'
import { sameShape } from '../graph/infer.ts'
import { reshapeConstant } from '../graph/rearrange.ts'
import type { Constant, Graph, Value } from '../graph/types.ts'
import { convertLayout } from '../passes/layout.ts'
import { elementCount, viewAs } from '../tensor.ts'
import { rebatch } from './rebatch.ts'

/** How a constant of a graph stands in the one that was made of it. */
export interface TracedConstant {
  /** Its name there. */
  readonly name: string
  readonly shape: readonly number[]
  /** For each element, its index in the constant that it comes from. */
  readonly elements: Uint32Array
}

/** A graph for training, and where its constants come from. */
export interface TracedGraph {
  readonly graph: Graph
  /**
   * By name in the graph before, the float32 constants that were made of it: several where operators take it in
   * several orders, none where nothing needs it any more.
   */
  readonly constants: ReadonlyMap<string, readonly TracedConstant[]>
}

/**
 * The graph channels first and for `batchSize` samples, its inputs and outputs in their own layout. Rewrites move the
 * bytes of constants and never read them: they are shown positions instead of numbers, and so say what went where.
 */
export function traceLayout(graph: Graph, batchSize: number): TracedGraph {
  const sources = [...graph.values.values()].filter(isFloatConstant)
  const starts: number[] = []
  const values = new Map(graph.values)
  let next = 0
  for (const value of sources) {
    starts.push(next)
    values.set(value.name, numbered(value, next))
    next += elementCount(value.type.shape)
  }
  const placed = convertLayout(rebatch({ ...graph, values }, batchSize), 'channels-first')
  const constants = new Map<string, TracedConstant[]>()
  const restored = new Map(placed.values)
  for (const value of placed.values.values()) {
    if (!isFloatConstant(value)) continue
    const positions = viewAs('uint32', value.constant!.bytes()) as Uint32Array
    const at = positions.length === 0 ? -1 : sourceOf(starts, positions[0]!)
    const source = at < 0 ? graph.values.get(value.name) : sources[at]
    if (!source) continue
    const elements = positions.map((position) => position - starts[at]!)
    const traced = { name: value.name, shape: value.type.shape, elements }
    constants.set(source.name, [...(constants.get(source.name) ?? []), traced])
    restored.set(value.name, { ...value, constant: rearranged(source.constant!, traced) })
  }
  return { graph: { ...placed, values: restored }, constants }
}

/** The numbers of a constant as they stand in the graph for training. */
export function placeElements(numbers: Float32Array, { elements }: TracedConstant): Float32Array {
  const placed = new Float32Array(elements.length)
  for (let to = 0; to < placed.length; to++) placed[to] = numbers[elements[to]!]!
  return placed
}

/** The other way: numbers from the graph for training in the order of the constant that they come from. */
export function returnElements(numbers: Float32Array, { elements }: TracedConstant): Float32Array {
  const returned = new Float32Array(numbers.length)
  for (let from = 0; from < returned.length; from++) returned[elements[from]!] = numbers[from]!
  return returned
}

/** True where the elements stand in the order that they had. */
export function inSourceOrder({ elements }: TracedConstant): boolean {
  return elements.every((from, index) => from === index)
}

function isFloatConstant({ constant, type }: Value): boolean {
  return constant?.dtype === 'float32' && type.quantization === null
}

function numbered(value: Value, start: number): Value {
  const { shape } = value.type
  const positions = new Uint32Array(elementCount(shape))
  for (let element = 0; element < positions.length; element++) positions[element] = start + element
  return { ...value, constant: constantOfBytes('float32', shape, new Uint8Array(positions.buffer)) }
}

/** The last that starts at a position or before it. */
function sourceOf(starts: readonly number[], position: number): number {
  let [low, high] = [0, starts.length]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (starts[middle]! <= position) low = middle
    else high = middle
  }
  return low
}

function rearranged(constant: Constant, traced: TracedConstant): Constant {
  if (!inSourceOrder(traced)) {
    const numbers = tensorOf(constant).data as Float32Array
    return constantOf('float32', traced.shape, placeElements(numbers, traced))
  }
  return sameShape(constant.shape, traced.shape) ? constant : reshapeConstant(constant, traced.shape)
}
