import { printable } from '../../deploy/printable.ts'

/** One mode of nvpmodel. Numbers differ from module to module, so modes are always chosen by name. */
export interface PowerMode {
  readonly id: number
  readonly name: string
}

/** The modes in /etc/nvpmodel.conf: lines `< POWER_MODEL ID=0 NAME=MAXN >`. */
export function parsePowerModes(conf: string): PowerMode[] {
  const modes: PowerMode[] = []
  for (const [, inside] of conf.slice(0, 1 << 20).matchAll(/^\s*<\s*POWER_MODEL\s+([^>\n]{1,200})>/gm)) {
    const id = /\bID=(\d{1,3})\b/.exec(inside!)?.[1]
    const name = /\bNAME=(\S{1,64})/.exec(inside!)?.[1]
    if (id !== undefined && name !== undefined && modes.length < 64)
      modes.push({ id: Number(id), name: printable(name) })
  }
  return modes
}

/** The mode's number in /var/lib/nvpmodel/status: `pmode:0002 fmode:fanNull`. */
export function parsePowerStatus(status: string): number | null {
  const digits = /\bpmode:(\d{1,4})\b/.exec(status.slice(0, 1024))?.[1]
  return digits === undefined ? null : Number(digits)
}

/** What `nvpmodel -q` prints: `NV Power Mode: 15W` and, on a line of its own, the number. */
export function parsePowerQuery(text: string): PowerMode | null {
  const found = /NV Power Mode:\s*(\S{1,64})\s*\r?\n(?:.*\r?\n)?\s*(\d{1,3})\s*$/m.exec(
    text.slice(0, 16 * 1024),
  )
  return found ? { name: printable(found[1]!), id: Number(found[2]) } : null
}

/** By name, case and the vendor's prefix aside: `15w` is `MODE_15W`, `maxn` is `MAXN`. Undefined where there is none. */
export function findPowerMode(modes: readonly PowerMode[], name: string): PowerMode | undefined {
  const plain = (text: string) => text.toUpperCase().replace(/^MODE_/, '')
  return modes.find((mode) => mode.name === name) ?? modes.find((mode) => plain(mode.name) === plain(name))
}
