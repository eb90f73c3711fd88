import type { Graph } from '../../graph/types.ts'
import type { ChannelMap } from './channel-map.ts'
import { removeChannels as remove } from './channels/remove.ts'

/**
 * The network without some channels: smaller kernels, vectors and shapes; nothing is computed that nobody reads.
 *
 * @param removed channels of `map.groups`; whatever is tied to them goes too
 * @throws USAGE where a layer would lose all its channels
 */
export function removeChannels({ graph }: ChannelMap, removed: ReadonlySet<number>): Graph {
  return remove(graph, removed)
}
