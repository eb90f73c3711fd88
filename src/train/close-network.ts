import { EdgewrightError } from '../error.ts'
import { constantOf } from '../graph/constant.ts'
import type { Graph } from '../graph/types.ts'
import type { Network, NetworkValues } from './network.ts'
import { viewsOf } from './open-network.ts'
import { returnElements, traceLayout } from './traced-layout.ts'
import { unshareConstants } from './unshare-constants.ts'

/**
 * The graph that a network was opened from, in its own layout, batch and names, with the values of training in the
 * place of the constants that they come from. Numbers are put back exactly; what has no value stays as it was, and what
 * training added to the network (learned scales) is left out.
 *
 * @param original the graph that `openNetwork` was given
 * @throws INTERNAL where a value has another size than its parameter
 */
export function closeNetwork(original: Graph, network: Network, values: NetworkValues): Graph {
  const own = unshareConstants(original)
  const traced = traceLayout(own, network.batchSize)
  const restored = new Map(own.values)
  for (const { name } of [...network.parameters, ...network.statistics]) {
    const numbers = values.get(name)
    const value = own.values.get(name)
    const primary = viewsOf(traced, name)?.primary
    if (!numbers || !value?.constant || !primary) continue
    if (numbers.length !== primary.elements.length)
      throw new EdgewrightError(
        'INTERNAL',
        'Internal error: a trained value has another size than its constant.',
        {
          where: name,
          saw: `${numbers.length} numbers for [${value.type.shape.join(', ')}]`,
        },
      )
    const constant = constantOf('float32', value.type.shape, returnElements(numbers, primary))
    restored.set(name, { ...value, constant })
  }
  return { ...own, values: restored }
}
