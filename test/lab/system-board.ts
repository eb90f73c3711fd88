import type { ChildProcess } from 'node:child_process'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Board, BoardOptions } from './board.ts'
import { type BoardModel, coreOf } from './identity.ts'
import { makeKeys, trustHostKey } from './keys.ts'
import { openSsh, openSshOptions } from './open-ssh.ts'
import { freePort, waitForSsh } from './ports.ts'
import { boardFolder, endProcess, startProcess } from './processes.ts'
import { buildOnce, userland } from './rootfs.ts'

const upDeadlineMs = 120_000

/** A whole emulated arm64 machine that boots Debian's kernel; its disk forgets everything when it stops. */
export async function startSystemBoard(options: BoardOptions): Promise<Board> {
  const model = options.model ?? 'raspberry-pi-5'
  if ((options.cpu ?? coreOf[model]) !== coreOf[model]) throw new Error(`a ${model} has a ${coreOf[model]}`)
  const image = await buildOnce('system', 'lab-system.sh', [await userland('bookworm')], 300_000)
  const folder = boardFolder()
  const { fingerprint } = await makeKeys(folder)
  const initrd = initrdWithKeys(folder, image)
  const { child, port } = await boot(folder, image, initrd, model, options.instructionClock ?? false)
  trustHostKey(folder, port)
  return describe(child, folder, port, fingerprint)
}

/** The kernel unpacks archives that stand one after another: the shared one, then this board's keys. */
function initrdWithKeys(folder: string, image: string): string {
  const own = join(folder, 'initrd', 'board')
  mkdirSync(own, { recursive: true })
  for (const name of ['host_key', 'identity.pub']) cpSync(join(folder, name), join(own, name))
  writeFileSync(join(own, 'now'), `${Math.floor(Date.now() / 1000)}\n`)
  const keys = execFileSync('cpio', ['-o', '-H', 'newc', '--quiet'], {
    cwd: join(folder, 'initrd'),
    input: ['board', 'board/host_key', 'board/identity.pub', 'board/now'].join('\n'),
  })
  const path = join(folder, 'initrd.img')
  const shared = readFileSync(join(image, 'initrd.gz'))
  // each archive starts at a multiple of four bytes
  writeFileSync(path, Buffer.concat([shared, Buffer.alloc((4 - (shared.length % 4)) % 4), keys]))
  return path
}

async function boot(
  folder: string,
  image: string,
  initrd: string,
  model: BoardModel,
  instructionClock: boolean,
): Promise<{ child: ChildProcess; port: number }> {
  const port = await freePort()
  const child = startProcess(
    folder,
    [
      'qemu-system-aarch64',
      ...[
        '-M',
        'virt,gic-version=3',
        '-cpu',
        coreOf[model],
        '-smp',
        instructionClock ? '1' : '2',
        '-m',
        '1024',
      ],
      ...['-accel', `tcg,thread=${instructionClock ? 'single' : 'multi'},tb-size=256`],
      ...(instructionClock ? ['-icount', 'shift=1'] : []),
      ...['-kernel', join(image, 'vmlinuz'), '-initrd', initrd, '-dtb', join(image, `${model}.dtb`)],
      ...['-append', 'console=ttyAMA0 quiet panic=-1', '-no-reboot', '-display', 'none', '-nodefaults'],
      ...['-serial', `file:${join(folder, 'console')}`],
      ...['-drive', `if=none,id=disk,file=${join(image, 'root.ext4')},format=raw,snapshot=on`],
      ...['-device', 'virtio-blk-pci,drive=disk,romfile='],
      ...['-netdev', `user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:${port}-:22`],
      ...['-device', 'virtio-net-pci,netdev=net,romfile=', '-device', 'virtio-rng-pci'],
    ],
    { TMPDIR: folder },
  )
  if (await waitForSsh(port, upDeadlineMs, () => child.exitCode !== null || child.signalCode !== null))
    return { child, port }
  const log = ['log', 'console'].map((name) => readText(join(folder, name)).slice(-1500)).join('\n')
  await endProcess(child, folder)
  throw new Error(`the emulated machine did not come up: ${log}`)
}

function describe(child: ChildProcess, folder: string, port: number, hostKeyFingerprint: string): Board {
  const sshOptions = openSshOptions(folder)
  const userOnly = (): never => {
    throw new Error('only a board of kind user can do this')
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
    suspend: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    stop: () => endProcess(child, folder),
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
