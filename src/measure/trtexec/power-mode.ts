import { printable } from '../../deploy/printable.ts'
import type { PowerMode } from '../conditions/types.ts'

/** What `nvpmodel -q` prints: `NV Power Mode: 15W` and, on a line of its own, the number. Null where it says neither. */
export function parsePowerQuery(text: string): PowerMode | null {
  const found = /NV Power Mode:\s*(\S{1,64})\s*\r?\n(?:.*\r?\n)?\s*(\d{1,3})\s*$/m.exec(
    text.slice(0, 16 * 1024),
  )
  return found ? { name: printable(found[1]!), id: Number(found[2]) } : null
}
