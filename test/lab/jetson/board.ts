import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync, existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { repositoryRoot } from '../../fixtures.ts'
import { type Board, type BoardOptions, startBoard } from '../board.ts'

/** What a device tree says of the Jetsons that tests play. */
const models = {
  'orin-nano': {
    model: 'NVIDIA Jetson Orin Nano Developer Kit',
    compatible: ['nvidia,p3768-0000+p3767-0005', 'nvidia,p3767-0005', 'nvidia,tegra234'],
    release:
      '# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025',
  },
  'orin-nx': {
    model: 'NVIDIA Jetson Orin NX Engineering Reference Developer Kit',
    compatible: ['nvidia,p3768-0000+p3767-0000', 'nvidia,p3767-0000', 'nvidia,tegra234'],
    release:
      '# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025',
  },
  nano: {
    model: 'NVIDIA Jetson Nano Developer Kit',
    compatible: ['nvidia,p3450-0000', 'nvidia,jetson-nano', 'nvidia,tegra210'],
    release:
      '# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref, EABI: aarch64, DATE: Sat Feb 19 17:07:00 UTC 2022',
  },
} as const

export type JetsonModel = keyof typeof models

/** An emulated board that plays a Jetson: stand-ins for NVIDIA's programs, no GPU. Nothing that it says of speed is true. */
export interface JetsonBoard extends Board {
  /** What the stand-in for trtexec plays from now on: `{ version: '100300', fault: 'node' }`. */
  play(settings: Readonly<Record<string, string | number>>): void
  /** Moves trtexec elsewhere, or away. */
  placeTrtexec(path: string | null): void
  /** Command lines that the stand-in was given so far, `--help` left out. */
  calls(): string[]
  /** A text file of the board, or null. */
  read(path: string): string | null
  write(path: string, text: string, mode?: number): void
  remove(path: string): void
}

export const jetPackPlace = '/usr/src/tensorrt/bin/trtexec'

/** Starts the board and puts the stand-ins on it, with trtexec off PATH as JetPack has it. */
export async function startJetson(
  model: JetsonModel = 'orin-nano',
  options: BoardOptions = {},
): Promise<JetsonBoard> {
  const board = await startBoard(options)
  const { model: name, compatible, release } = models[model]
  board.setSys('firmware/devicetree/base/model', `${name}\0`)
  board.setSys('firmware/devicetree/base/compatible', `${compatible.join('\0')}\0`)
  const write = (path: string, text: string, mode?: number) => {
    const file = board.path(path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    if (mode !== undefined) chmodSync(file, mode)
  }
  const install = (script: string, path: string) => {
    mkdirSync(dirname(board.path(path)), { recursive: true })
    copyFileSync(join(repositoryRoot, 'test/lab/jetson', script), board.path(path))
    chmodSync(board.path(path), 0o755)
  }
  write('/etc/nv_tegra_release', `${release}\n`)
  write(
    '/etc/nvpmodel.conf',
    '# stand-in\n< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=1 NAME=25W >\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n< PM_CONFIG DEFAULT=1 >\n',
  )
  write('/var/lib/nvpmodel/status', 'pmode:0001 fmode:quiet\n', 0o666)
  install('nvpmodel.sh', '/usr/sbin/nvpmodel')
  install('jetson_clocks.sh', '/usr/bin/jetson_clocks')
  install('sudo.sh', '/usr/bin/sudo')
  let place: string | null = null
  const jetson = Object.create(board) as JetsonBoard
  return Object.assign(jetson, {
    play: (settings: Readonly<Record<string, string | number>>) =>
      write(
        '/etc/trtexec-stand-in',
        Object.entries(settings)
          .map(([key, value]) => `${key}=${value}\n`)
          .join(''),
      ),
    placeTrtexec: (path: string | null) => {
      if (place) rmSync(board.path(place), { force: true })
      place = path
      if (path) install('trtexec.sh', path)
    },
    calls: () =>
      (existsSync(board.path('/tmp/trtexec-stand-in/calls'))
        ? readFileSync(board.path('/tmp/trtexec-stand-in/calls'), 'utf8').trim().split('\n')
        : []
      ).filter((line) => !line.endsWith(' --help')),
    read: (path: string) => (existsSync(board.path(path)) ? readFileSync(board.path(path), 'utf8') : null),
    write,
    remove: (path: string) => rmSync(board.path(path), { force: true }),
  })
}
