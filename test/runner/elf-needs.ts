/** What a 64-bit little-endian ELF asks of its loader. */
export interface ElfNeeds {
  /** `DT_NEEDED`. */
  readonly libraries: readonly string[]
  /** Version names by library, e.g. `libc.so.6` → `GLIBC_2.17`. */
  readonly versions: ReadonlyMap<string, readonly string[]>
  /** `e_machine`: 62 is x86-64, 183 AArch64. */
  readonly machine: number
}

const dynamicSection = 6
const neededSection = 0x6ffffffe
const neededTag = 1n

/** Reads section headers, `.dynamic` and `.gnu.version_r` (System V ABI; LSB Core, Symbol Versioning). */
export function readElfNeeds(bytes: Buffer): ElfNeeds {
  if (bytes.readUInt32BE(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1)
    throw new Error('not a 64-bit little-endian ELF')
  const table = Number(bytes.readBigUInt64LE(40))
  const size = bytes.readUInt16LE(58)
  const sections = Array.from({ length: bytes.readUInt16LE(60) }, (_, i) => {
    const at = table + i * size
    return {
      type: bytes.readUInt32LE(at + 4),
      offset: Number(bytes.readBigUInt64LE(at + 24)),
      bytes: Number(bytes.readBigUInt64LE(at + 32)),
      link: bytes.readUInt32LE(at + 40),
      entries: bytes.readUInt32LE(at + 44),
    }
  })
  const stringAt = (link: number, offset: number): string => {
    const start = sections[link]!.offset + offset
    return bytes.toString('latin1', start, bytes.indexOf(0, start))
  }

  const libraries: string[] = []
  const dynamic = sections.find(({ type }) => type === dynamicSection)!
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.bytes; at += 16)
    if (bytes.readBigUInt64LE(at) === neededTag)
      libraries.push(stringAt(dynamic.link, Number(bytes.readBigUInt64LE(at + 8))))

  const versions = new Map<string, string[]>()
  const needed = sections.find(({ type }) => type === neededSection)!
  for (let i = 0, at = needed.offset; i < needed.entries; i++, at += bytes.readUInt32LE(at + 12)) {
    const names: string[] = []
    versions.set(stringAt(needed.link, bytes.readUInt32LE(at + 4)), names)
    let entry = at + bytes.readUInt32LE(at + 8)
    for (let j = bytes.readUInt16LE(at + 2); j > 0; j--, entry += bytes.readUInt32LE(entry + 12))
      names.push(stringAt(needed.link, bytes.readUInt32LE(entry + 8)))
  }
  return { libraries, versions, machine: bytes.readUInt16LE(18) }
}

/** `2.17` as 2017, for comparison. */
export function glibcNumber(version: string): number {
  const [, major, minor] = /^GLIBC_(\d+)\.(\d+)/.exec(version) ?? []
  if (major === undefined) throw new Error(`no glibc version: ${version}`)
  return Number(major) * 1000 + Number(minor)
}
