import { listMeterPorts, type ListedPort, type MeterPort } from '../measure/meters/ports.ts'

/** Serial ports, with the power meters among them; `list` stands in for the system's own. */
export async function listMeters(list?: () => Promise<readonly ListedPort[]>): Promise<MeterPort[]> {
  return list === undefined ? listMeterPorts() : listMeterPorts(list)
}

export function describeMeters(ports: readonly MeterPort[]): string {
  if (ports.length === 0)
    return 'No serial ports. Meters on Bluetooth are bound first: rfcomm bind 0 ADDRESS (docs/meters.md).'
  return ports
    .map(({ path, kind, certain, serialNumber, description }) => {
      const written =
        kind === null ? '' : `  --meter ${kind}:${certain && serialNumber !== null ? serialNumber : path}`
      return `${path}  ${description}${serialNumber === null ? '' : `, serial number ${serialNumber}`}${written}`
    })
    .join('\n')
}
