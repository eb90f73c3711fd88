import type { TargetOptions } from '../../targets/target.ts'
import type { Board } from './board.ts'
import type { Prepared } from './compile.ts'

/**
 * The float network as a file that states float16 itself, for builders of engines that choose no types of their own.
 * Null where the target makes no such file, or the network cannot be one.
 */
export function halfBaseline({ source }: Prepared, { target, options }: Board): Uint8Array | null {
  if (!target.schemes.includes('float16')) return null
  const half: TargetOptions = { ...options, scheme: 'float16', io: 'float' }
  const graph = target.tailor?.(source.graph, half) ?? source.graph
  const emitted = target.emit(target.prepare(graph, new Map(), half).graph, half)
  return emitted.evaluated === undefined ? null : (emitted.files.get(emitted.evaluated) ?? null)
}
