import type { ChildProcess } from 'node:child_process'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from '../fixtures.ts'
import type { Board, BoardOptions } from './board.ts'
import { type BoardModel, coreOf } from './identity.ts'
import { makeKeys, trustHostKey } from './keys.ts'
import { openSsh, openSshOptions } from './open-ssh.ts'
import { freePort, waitForSsh } from './ports.ts'
import { boardPower, SensorLink } from './power.ts'
import { boardFolder, endProcess, startProcess } from './processes.ts'
import { buildOnce, userland } from './rootfs.ts'
import { createPersistentDisk, type PersistentDisk } from './system-disk.ts'
import { chipList, type SensorOptions, withChips } from './system-sensors.ts'

const upDeadlineMs = 120_000
const sensorSources = join(repositoryRoot, 'test/lab/sensors')

/** What stays the same when the board loses its power. */
interface Machine {
  readonly folder: string
  readonly image: string
  readonly model: BoardModel
  readonly port: number
  readonly instructionClock: boolean
  readonly sensors: SensorOptions | null
  /** Null: the disk forgets everything. */
  readonly disk: PersistentDisk | null
}

interface Running {
  readonly child: ChildProcess
  readonly link: SensorLink | null
}

/** A whole emulated arm64 machine that boots Debian's kernel; its disk forgets everything when it stops, unless told. */
export async function startSystemBoard(options: BoardOptions): Promise<Board> {
  const model = options.model ?? 'raspberry-pi-5'
  if ((options.cpu ?? coreOf[model]) !== coreOf[model]) throw new Error(`a ${model} has a ${coreOf[model]}`)
  const image = await systemImage()
  const folder = boardFolder()
  const { fingerprint } = await makeKeys(folder)
  const machine: Machine = {
    folder,
    image,
    model,
    port: await freePort(),
    instructionClock: options.instructionClock ?? false,
    sensors: options.sensors === true ? {} : options.sensors || null,
    disk:
      options.disk === 'persistent'
        ? createPersistentDisk(folder, join(image, 'root.ext4'), options.seed ?? 20261123)
        : null,
  }
  trustHostKey(folder, machine.port)
  return describe(machine, await boot(machine), fingerprint)
}

/** Built in less than a minute the first time. */
function systemImage(): Promise<string> {
  return userland('bookworm').then((root) =>
    buildOnce('system', 'lab-system.sh', [root, sensorSources], 420_000, [
      join(sensorSources, 'fakesoc.c'),
      join(sensorSources, 'power-wave.c'),
      join(sensorSources, 'start.sh'),
    ]),
  )
}

/** The kernel unpacks archives that stand one after another: the shared ones, then this board's keys and chips. */
function writeInitrd({ folder, image, sensors }: Machine): string {
  const own = join(folder, 'initrd', 'board')
  mkdirSync(own, { recursive: true })
  for (const name of ['host_key', 'identity.pub']) cpSync(join(folder, name), join(own, name))
  writeFileSync(join(own, 'now'), `${Math.floor(Date.now() / 1000)}\n`)
  if (sensors !== null) writeFileSync(join(own, 'chips'), chipList(sensors))
  const keys = execFileSync('cpio', ['-o', '-H', 'newc', '--quiet'], {
    cwd: join(folder, 'initrd'),
    input: ['', '/host_key', '/identity.pub', '/now', ...(sensors === null ? [] : ['/chips'])]
      .map((name) => `board${name}`)
      .join('\n'),
  })
  const path = join(folder, 'initrd.img')
  const shared = ['initrd.gz', ...(sensors === null ? [] : ['sensors.gz'])].map((name) =>
    readFileSync(join(image, name)),
  )
  // each archive starts at a multiple of four bytes
  const aligned = shared.flatMap((archive) => [archive, Buffer.alloc((4 - (archive.length % 4)) % 4)])
  writeFileSync(path, Buffer.concat([...aligned, keys]))
  return path
}

function writeDeviceTree({ folder, image, model, sensors }: Machine): string {
  const plain = join(image, `${model}.dtb`)
  if (sensors === null) return plain
  const path = join(folder, 'board.dtb')
  writeFileSync(path, withChips(readFileSync(plain), sensors))
  return path
}

function machineArguments({ model, instructionClock }: Machine): string[] {
  return [
    ...['-M', 'virt,gic-version=3', '-cpu', coreOf[model]],
    ...['-smp', instructionClock ? '1' : '2', '-m', '1024'],
    ...['-accel', `tcg,thread=${instructionClock ? 'single' : 'multi'},tb-size=256`],
    ...(instructionClock ? ['-icount', 'shift=1'] : []),
  ]
}

async function boot(machine: Machine): Promise<Running> {
  const { folder, image, port, disk } = machine
  const linkPath = join(folder, 'lab.sock')
  const child = startProcess(
    folder,
    [
      'qemu-system-aarch64',
      ...machineArguments(machine),
      ...['-kernel', join(image, 'vmlinuz'), '-initrd', writeInitrd(machine)],
      ...['-dtb', writeDeviceTree(machine)],
      ...['-append', 'console=ttyAMA0 quiet panic=-1', '-no-reboot', '-display', 'none', '-nodefaults'],
      ...['-serial', `file:${join(folder, 'console')}`],
      ...(disk?.powerOn() ?? [
        '-drive',
        `if=none,id=disk,file=${join(image, 'root.ext4')},format=raw,snapshot=on`,
      ]),
      ...['-device', 'virtio-blk-pci,drive=disk,romfile='],
      ...['-netdev', `user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:${port}-:22`],
      ...['-device', 'virtio-net-pci,netdev=net,romfile=', '-device', 'virtio-rng-pci'],
      ...(machine.sensors === null
        ? []
        : [
            ...['-chardev', `socket,id=lab,path=${linkPath},server=on,wait=off`],
            ...['-device', 'virtio-serial-pci', '-device', 'virtserialport,chardev=lab,name=lab'],
          ]),
    ],
    { TMPDIR: folder },
  )
  if (await waitForSsh(port, upDeadlineMs, () => child.exitCode !== null || child.signalCode !== null))
    return { child, link: machine.sensors === null ? null : await SensorLink.open(linkPath) }
  const log = ['log', 'console'].map((name) => readText(join(folder, name)).slice(-1500)).join('\n')
  await endProcess(child, folder)
  throw new Error(`the emulated machine did not come up: ${log}`)
}

function describe(machine: Machine, booted: Running, hostKeyFingerprint: string): Board {
  const { folder, port, disk } = machine
  let running = booted
  const sshOptions = openSshOptions(folder)
  const userOnly = (): never => {
    throw new Error('only a board of kind user can do this')
  }
  const link = (): SensorLink => {
    if (running.link !== null) return running.link
    throw new Error('only a board with sensors can do this')
  }
  const write = async (path: string, text: string): Promise<void> => {
    await link().ask(`write ${path} ${text}`)
  }
  return {
    kind: 'system',
    host: '127.0.0.1',
    port,
    user: 'pi',
    home: '/home/pi',
    spec: `ssh://pi@127.0.0.1:${port}`,
    identityFile: join(folder, 'identity'),
    knownHostsFile: join(folder, 'known_hosts'),
    hostKeyFingerprint,
    sshOptions,
    ssh: (command, deadlineMs = 60_000) => openSsh(sshOptions, port, command, deadlineMs),
    path: userOnly,
    setSys: userOnly,
    setCpuInfo: userOnly,
    fillDisk: userOnly,
    cutConnections: userOnly,
    power: boardPower(link),
    temperature: (milliC) => write('/sys/module/fakesoc/parameters/temperature_mc', String(milliC)),
    clockCap: (khz) => write('/sys/module/fakesoc/parameters/cap_khz', String(khz ?? 0)),
    async powerCut() {
      if (disk === null) throw new Error('only a board with a persistent disk can do this')
      running.link?.close()
      await kill(running.child)
      return disk.powerLoss()
    },
    async powerOn() {
      running = await boot(machine)
    },
    suspend: () => running.child.kill('SIGSTOP'),
    resume: () => running.child.kill('SIGCONT'),
    async stop() {
      running.link?.close()
      await endProcess(running.child, folder)
    },
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
