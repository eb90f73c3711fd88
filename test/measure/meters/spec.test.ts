import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { wordsOf } from '../../../src/measure/meters/exec.ts'
import {
  findMeterPort,
  listMeterPorts,
  type ListedPort,
  listSysfsPorts,
} from '../../../src/measure/meters/ports.ts'
import { parseMeter } from '../../../src/measure/meters/spec.ts'

test('a meter is named by kind and port, command or file', () => {
  const spec = (meter: string) => parseMeter({ meter }).spec
  assert.deepEqual(spec('ppk2:/dev/ttyACM0'), { kind: 'ppk2', port: '/dev/ttyACM0' })
  assert.deepEqual(spec('PPK2:E5A1C0DE'), { kind: 'ppk2', port: 'E5A1C0DE' })
  assert.deepEqual(spec('ppk2'), { kind: 'ppk2', port: null })
  assert.deepEqual(spec('um25c:COM7'), { kind: 'um25c', port: 'COM7' })
  assert.deepEqual(spec('csv:C:\\logs\\a.csv'), { kind: 'csv', path: 'C:\\logs\\a.csv' })
  assert.deepEqual(spec('exec:joule --rate 10'), { kind: 'exec', argv: ['joule', '--rate', '10'] })
  for (const meter of ['', 'exec:', 'csv:', 'multimeter:/dev/ttyUSB0', '/dev/ttyACM0', 'ppk3:/dev/ttyACM0'])
    assert.throws(() => spec(meter), { code: 'USAGE' }, meter)
})

test('volts, shares and pins are checked where they are written', () => {
  const settings = parseMeter({ meter: 'ppk2', supply: '3300mV', voltage: '5', accuracy: '0.5%', edge: 'D3' })
  assert.deepEqual(
    [settings.supplyVolts, settings.volts, settings.accuracyShare, settings.edge],
    [3.3, 5, 0.005, 'D3'],
  )
  for (const flags of [
    { meter: 'ppk2', supply: '3,3V' },
    { meter: 'ppk2', supply: '-1' },
    { meter: 'ppk2', voltage: 'high' },
    { meter: 'ppk2', accuracy: '300%' },
    { meter: 'ppk2', edge: 'D8' },
    { meter: 'um25c', edge: 'D0' },
    { meter: 'um25c', supply: '5V' },
    { meter: 'ppk2', columns: 'a,b' },
  ])
    assert.throws(() => parseMeter(flags), { code: 'USAGE' }, JSON.stringify(flags))
})

test('a command is split into words as a person means it, and nothing in it is expanded', () => {
  assert.deepEqual(wordsOf(`prog  -a "two words" 'it is' "q\\"uote" a\\ b x"y"z ''`), [
    'prog',
    '-a',
    'two words',
    'it is',
    'q"uote',
    'a b',
    'xyz',
    '',
  ])
  assert.deepEqual(wordsOf('p $HOME $(reboot) `id` ; | > f *'), [
    'p',
    '$HOME',
    '$(reboot)',
    '`id`',
    ';',
    '|',
    '>',
    'f',
    '*',
  ])
  assert.throws(() => wordsOf(`p "open`), { code: 'METER_FAILED' })
})

const ports: ListedPort[] = [
  { path: '/dev/ttyS0' },
  { path: '/dev/ttyACM1', vendorId: '1915', productId: 'C00A', serialNumber: 'A1', manufacturer: 'Nordic' },
  { path: '/dev/ttyACM0', vendorId: '1915', productId: 'c00a', serialNumber: 'A1', manufacturer: 'Nordic' },
  {
    path: '/dev/ttyACM2',
    vendorId: '0483',
    productId: '5740',
    serialNumber: 'T7',
    manufacturer: 'x\u001b[2J',
  },
]

test('ports are listed with the meters that they are, the measuring port of a PPK2 only', async () => {
  const listed = await listMeterPorts(async () => ports)
  assert.deepEqual(
    listed.map(({ path, kind, certain }) => [path, kind, certain]),
    [
      ['/dev/ttyACM0', 'ppk2', true],
      ['/dev/ttyACM2', 'tc66c', false],
      ['/dev/ttyS0', null, false],
    ],
  )
  assert.doesNotMatch(JSON.stringify(listed), /\\u001b/)
})

test('of a PPK2’s two ports the one that measures is taken, however they are numbered', async () => {
  const kit = { vendorId: '1915', productId: 'c00a', serialNumber: 'A1' }
  for (const [measuring, shell] of [
    [1, 3],
    [0, 2],
  ]) {
    const list = async () => [
      { ...kit, path: '/dev/ttyACM0', interfaceNumber: shell },
      { ...kit, path: '/dev/ttyACM1', interfaceNumber: measuring },
    ]
    assert.equal(await findMeterPort('ppk2', 'A1', list), '/dev/ttyACM1')
  }
})

test('ports are listed from sysfs, with the facts of the USB device above them', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'edgewright-sysfs-'))
  t.after(() => rmSync(root, { recursive: true, force: true }))
  const device = join(root, 'devices/pci0000:00/usb1/1-2')
  const acm = join(device, '1-2:1.1')
  const port = join(device, '1-2:1.0/ttyUSB0')
  for (const folder of [acm, port]) mkdirSync(folder, { recursive: true })
  for (const [file, text] of [
    ['idVendor', '1915'],
    ['idProduct', 'c00a'],
    ['serial', 'E5A1'],
    ['manufacturer', 'Nordic'],
    ['1-2:1.1/bInterfaceNumber', '01'],
  ])
    writeFileSync(join(device, file!), `${text}\n`)
  const tty = join(root, 'tty')
  for (const [name, to] of [
    ['ttyACM0', acm],
    ['ttyUSB0', port],
    ['ttyS0', root],
  ]) {
    mkdirSync(join(tty, name!), { recursive: true })
    symlinkSync(to!, join(tty, name!, 'device'))
  }
  mkdirSync(join(tty, 'console'))
  mkdirSync(join(tty, 'rfcomm0'))
  const facts = { vendorId: '1915', productId: 'c00a', serialNumber: 'E5A1', manufacturer: 'Nordic' }
  const listed = await listSysfsPorts(tty)
  assert.deepEqual(
    listed.sort((a, b) => (a.path < b.path ? -1 : 1)),
    [
      { path: '/dev/rfcomm0' },
      { path: '/dev/ttyACM0', interfaceNumber: 1, ...facts },
      { path: '/dev/ttyUSB0', interfaceNumber: undefined, ...facts },
    ],
  )
  assert.deepEqual(await listSysfsPorts(join(root, 'nothing')), [])
})

test('a meter is found by path, by serial number, or as the only one of its kind', async () => {
  const list = async () => ports
  assert.equal(await findMeterPort('ppk2', '/dev/anything', list), '/dev/anything')
  assert.equal(await findMeterPort('ppk2', 'a1', list), '/dev/ttyACM0')
  assert.equal(await findMeterPort('ppk2', null, list), '/dev/ttyACM0')
  assert.equal(await findMeterPort('tc66c', 'T7', list), '/dev/ttyACM2')
  await assert.rejects(findMeterPort('ppk2', 'B2', list), { code: 'METER_FAILED' })
  await assert.rejects(findMeterPort('um25c', null, list), { code: 'METER_FAILED' })
  const two = async () => [...ports, { ...ports[1]!, path: '/dev/ttyACM5', serialNumber: 'A2' }]
  await assert.rejects(findMeterPort('ppk2', null, two), (error: Error & { saw: string }) => {
    assert.match(error.saw, /ttyACM0.*ttyACM5/)
    return true
  })
})
