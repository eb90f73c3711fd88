/** One supply of the Raspberry Pi 5's power management chip. */
export interface PmicRail {
  readonly name: string
  readonly amperes: number
  readonly volts: number
}

/**
 * What `vcgencmd pmic_read_adc` printed: `NAME_A current(n)=x.xA` and `NAME_V volt(n)=x.xV`. Currents and volts are
 * joined by name (indices differ between them); EXT5V and BATT have volts only and are no power. Empty where it was
 * refused, as every board but a Pi 5 does.
 */
export function parsePmic(text: string): PmicRail[] {
  const amperes = new Map<string, number>()
  const volts = new Map<string, number>()
  for (const line of text.slice(0, 16_384).split('\n')) {
    const match =
      /^\s*([A-Z0-9_]{1,24})_([AV])\s+(current|volt)\(\d{1,3}\)=(\d{1,4}(?:\.\d{1,12})?)([AV])\s*$/.exec(line)
    if (!match || match[2] !== match[5] || (match[2] === 'A') !== (match[3] === 'current')) continue
    const into = match[2] === 'A' ? amperes : volts
    into.set(match[1]!, Number(match[4]))
  }
  return [...amperes].flatMap(([name, ampere]) => {
    const volt = volts.get(name)
    return volt === undefined ? [] : [{ name, amperes: ampere, volts: volt }]
  })
}

/** Milliwatts of all rails together; null where the text holds none. */
export function pmicPower(text: string): number | null {
  const rails = parsePmic(text)
  return rails.length === 0 ? null : rails.reduce((sum, rail) => sum + rail.amperes * rail.volts * 1000, 0)
}
