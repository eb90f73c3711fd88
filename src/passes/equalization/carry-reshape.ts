import type { Node } from '../../graph/types.ts'
import { elementCount } from '../../tensor.ts'
import type { CarryContext } from './carry.ts'
import type { ScaledAxis } from './channel-union.ts'

/**
 * Scales of channels after a reshape, along the one axis that tells most channels apart: a flattened picture repeats
 * them at each position. Channels that share an index along it are united.
 */
export function carryReshape(
  node: Node,
  x: ScaledAxis,
  { graph, union, axisOfReaders }: CarryContext,
): readonly ScaledAxis[] | null {
  const from = graph.values.get(node.inputs[0]!)!.type.shape
  const to = graph.values.get(node.outputs[0]!)!.type.shape
  const elements = elementCount(from)
  if (elements === 0 || to.length === 0) return null
  const inner = innerSize(from, x.axis)
  const period = inner * x.channels.length
  const whole = to.findIndex((size, axis) => {
    const within = innerSize(to, axis)
    return inner % within === 0 && (within * size) % period === 0
  })
  const axis = whole >= 0 ? whole : axisOfReaders(node.outputs[0]!)
  if (axis === undefined) return null
  const size = to[axis]!
  const within = innerSize(to, axis)
  const channels = new Int32Array(size).fill(-1)
  for (let element = 0; element < elements; element++) {
    const channel = x.channels[Math.floor(element / inner) % x.channels.length]!
    const index = Math.floor(element / within) % size
    if (channels[index] === -1) channels[index] = channel
    else if (channels[index] !== channel) union.unite(channels[index]!, channel)
  }
  return [{ axis, channels }]
}

/** Elements from one index along an axis to the next. */
function innerSize(shape: readonly number[], axis: number): number {
  return elementCount(shape.slice(axis + 1))
}
