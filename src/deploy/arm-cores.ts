/** Part numbers of Arm Ltd. (implementer 0x41), from the MIDR_EL1 pages of each core's Technical Reference Manual. */
const armCores: Readonly<Record<string, string>> = {
  '0xb76': 'ARM1176',
  '0xc07': 'Cortex-A7',
  '0xc08': 'Cortex-A8',
  '0xc09': 'Cortex-A9',
  '0xc0f': 'Cortex-A15',
  '0xd03': 'Cortex-A53',
  '0xd04': 'Cortex-A35',
  '0xd05': 'Cortex-A55',
  '0xd07': 'Cortex-A57',
  '0xd08': 'Cortex-A72',
  '0xd09': 'Cortex-A73',
  '0xd0a': 'Cortex-A75',
  '0xd0b': 'Cortex-A76',
  '0xd0c': 'Neoverse-N1',
  '0xd0d': 'Cortex-A77',
  '0xd41': 'Cortex-A78',
  '0xd42': 'Cortex-A78AE',
}

/** The name of a core from /proc/cpuinfo's implementer and part, or null. */
export function armCoreName(implementer: string | null, part: string | null): string | null {
  return implementer === '0x41' && part !== null ? (armCores[part] ?? null) : null
}
