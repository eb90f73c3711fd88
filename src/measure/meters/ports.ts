import { readdir, readFile, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { printable } from '../../deploy/printable.ts'
import { EdgewrightError } from '../../error.ts'
import type { SerialMeterKind } from './spec.ts'

/** A serial port as the system lists it. */
export interface ListedPort {
  readonly path: string
  readonly serialNumber?: string | undefined
  readonly vendorId?: string | undefined
  readonly productId?: string | undefined
  readonly manufacturer?: string | undefined
  /** Which interface of a USB device that has several; Linux tells. */
  readonly interfaceNumber?: number | undefined
}

/** A port with the meter that it is, or may be. */
export interface MeterPort {
  readonly path: string
  readonly serialNumber: string | null
  /** What to write as `--meter`. */
  readonly kind: SerialMeterKind | null
  /** False: other devices have the same numbers. */
  readonly certain: boolean
  readonly description: string
}

/** USB vendor and product. A TC66C shares its numbers with every device of that chip; a UM25C is known to Bluetooth only. */
const known = [
  { vendor: '1915', product: 'c00a', kind: 'ppk2', certain: true },
  { vendor: '0483', product: '5740', kind: 'tc66c', certain: false },
] as const

/** Lists serial ports, meters first. */
export async function listMeterPorts(
  list: () => Promise<readonly ListedPort[]> = listPorts,
): Promise<MeterPort[]> {
  // its measuring port is interface 1 (nRF Connect's firmware) or the first
  const order = ({ interfaceNumber = 2 }: ListedPort) => (interfaceNumber === 1 ? 0 : interfaceNumber + 1)
  const listed = [...(await list())].sort((a, b) => order(a) - order(b) || (a.path < b.path ? -1 : 1))
  const ports = listed.map(describe)
  const meters = new Set<string>()
  return ports
    .filter(({ kind, serialNumber, certain }) => {
      // a PPK2 has two ports: the second is a shell of its firmware
      if (kind !== 'ppk2' || !certain || serialNumber === null) return true
      const seen = meters.has(serialNumber)
      meters.add(serialNumber)
      return !seen
    })
    .sort((a, b) => Number(b.kind !== null) - Number(a.kind !== null) || (a.path < b.path ? -1 : 1))
}

/**
 * The path of a meter: given, by serial number, or of the only one of its kind.
 *
 * @throws EdgewrightError METER_FAILED where none or several fit
 */
export async function findMeterPort(
  kind: SerialMeterKind,
  port: string | null,
  list: () => Promise<readonly ListedPort[]> = listPorts,
): Promise<string> {
  if (port !== null && (/[\\/]/.test(port) || /^COM\d+$/i.test(port))) return port
  const ports = await listMeterPorts(list)
  const alike = kind === 'tc66' ? 'tc66c' : kind
  const fitting = ports.filter((each) =>
    port === null ? each.kind === alike : each.serialNumber?.toLowerCase() === port.toLowerCase(),
  )
  if (fitting.length === 1) return fitting[0]!.path
  throw new EdgewrightError(
    'METER_FAILED',
    fitting.length === 0
      ? `No ${port === null ? kind : `meter with the serial number ${printable(port, 60)}`} is plugged in.`
      : `Several meters fit: say which one.`,
    {
      where: '--meter',
      saw:
        ports.length === 0
          ? 'no serial ports'
          : ports.map(({ path, description }) => `${path} (${description})`).join(', '),
      hint: `Name its port: --meter ${kind}:/dev/ttyACM0 (edgewright devices meters lists them).`,
    },
  )
}

function describe(port: ListedPort): MeterPort {
  const [vendor, product] = [port.vendorId?.toLowerCase(), port.productId?.toLowerCase()]
  const match = known.find((each) => each.vendor === vendor && each.product === product)
  const numbers =
    vendor === undefined ? 'no USB device' : `${printable(vendor, 8)}:${printable(product ?? '', 8)}`
  const maker = port.manufacturer === undefined ? '' : `, ${printable(port.manufacturer, 60)}`
  return {
    path: port.path,
    serialNumber: port.serialNumber === undefined ? null : printable(port.serialNumber, 60),
    kind: match?.kind ?? null,
    certain: match?.certain ?? false,
    description: `${match === undefined ? 'not known' : match.certain ? match.kind : `may be a ${match.kind}`}, ${numbers}${maker}`,
  }
}

async function listPorts(): Promise<readonly ListedPort[]> {
  if (process.platform === 'linux') return listSysfsPorts()
  const { SerialPort } = await import('serialport')
  return SerialPort.list()
}

/** Serial ports as Linux itself knows them: asks no udev, which containers lack. Ports without a device are left out. */
export async function listSysfsPorts(root = '/sys/class/tty'): Promise<ListedPort[]> {
  const ports: ListedPort[] = []
  for (const name of await readdir(root).catch((): string[] => [])) {
    if (!/^(tty(ACM|USB|AMA|S)|rfcomm)\d+$/.test(name)) continue
    const device = await realpath(join(root, name, 'device')).catch(() => null)
    if (device === null && !name.startsWith('rfcomm')) continue
    // a UART of the board's own, most of which lead nowhere
    if (device !== null && !/\/usb\d+\//.test(device) && !name.startsWith('ttyAMA')) continue
    ports.push({ path: `/dev/${name}`, ...(device === null ? {} : await usbFacts(device)) })
  }
  return ports
}

/** From a port's device upwards: first its USB interface, then the USB device. */
async function usbFacts(device: string): Promise<Omit<ListedPort, 'path'>> {
  let interfaceNumber: number | undefined
  for (let folder = device, depth = 0; depth < 5; folder = dirname(folder), depth++) {
    const fact = async (name: string) =>
      (await readFile(join(folder, name), 'utf8').catch(() => '')).trim() || undefined
    const number = await fact('bInterfaceNumber')
    if (number !== undefined) interfaceNumber ??= Number.parseInt(number, 16)
    const vendorId = await fact('idVendor')
    if (vendorId === undefined) continue
    return {
      interfaceNumber,
      vendorId,
      productId: await fact('idProduct'),
      serialNumber: await fact('serial'),
      manufacturer: await fact('manufacturer'),
    }
  }
  return {}
}
