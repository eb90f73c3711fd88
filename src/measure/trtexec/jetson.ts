/** What the generation of a Jetson means for TensorRT. */
export interface JetsonGpu {
  /** SoC as the device tree names it. */
  readonly soc: string
  readonly computeCapability: string
  readonly int8: boolean
  /** Deep learning accelerators beside the GPU. */
  readonly dla: number
}

/**
 * By the SoC in the device tree's `compatible`; null for boards that are no Jetson.
 * Orin Nano has Orin's SoC with its DLA switched off: modules p3767-0003, -0004 and -0005.
 */
export function jetsonGpu(compatible: readonly string[]): JetsonGpu | null {
  const soc = compatible.map((name) => /^nvidia,(tegra\d{3})$/.exec(name)?.[1]).find(Boolean)
  const known = soc === undefined ? undefined : socs[soc]
  if (soc === undefined || known === undefined) return null
  const orinNano = compatible.some((name) => /p3767-000[345]/.test(name))
  return { soc, ...known, dla: orinNano ? 0 : known.dla }
}

const socs: Readonly<Record<string, Omit<JetsonGpu, 'soc'> | undefined>> = {
  tegra210: { computeCapability: '5.3', int8: false, dla: 0 },
  tegra186: { computeCapability: '6.2', int8: false, dla: 0 },
  tegra194: { computeCapability: '7.2', int8: true, dla: 2 },
  tegra234: { computeCapability: '8.7', int8: true, dla: 2 },
  tegra264: { computeCapability: '11.0', int8: true, dla: 0 },
}

/** `# R36 (release), REVISION: 4.3, GCID: …` becomes `36.4.3`; null where it is not such a line. */
export function l4tRelease(nvTegraRelease: string | undefined): string | null {
  const found = /^#\s*R(\d{2}) \(release\), REVISION: (\d{1,2}(?:\.\d{1,2})?)/.exec(nvTegraRelease ?? '')
  return found ? `${found[1]}.${found[2]}` : null
}
