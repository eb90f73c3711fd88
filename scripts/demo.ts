/**
 * `npm run demo`: the main job on a real network and real digits. Measures on this computer and, where QEMU is
 * installed, on an emulated Raspberry Pi that is reached over SSH like any board.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { startBoard, type Board } from '../test/lab/board.ts'
import { labMissing } from '../test/lab/requirements.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
process.exitCode = await demo()

async function demo(): Promise<number> {
  const missing = labMissing()
  if (missing) {
    console.error(`No emulated board: ${missing}. Measuring on this computer only.\n`)
    return edgewright(['--device', 'local:'])
  }
  console.error('Starting an emulated Raspberry Pi 5 (the first time, Debian arm64 is unpacked for it: half a minute) …')
  const board = await startBoard({ model: 'raspberry-pi-5' })
  try {
    return await edgewright(['--device', 'local:', '--device', board.spec, ...reach(board)])
  } finally {
    await board.stop()
  }
}

function reach(board: Board): string[] {
  return ['--identity', board.identityFile, '--host-key', board.hostKeyFingerprint, '--known-hosts', board.knownHostsFile]
}

function edgewright(more: readonly string[]): Promise<number> {
  const args = ['bin/edgewright.js', 'run', '--config', 'examples/mnist/edgewright.yaml', ...more, ...process.argv.slice(2)]
  const child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit' })
  // Ctrl-C reaches the child through the terminal; wait for it to leave the board as it was
  process.on('SIGINT', () => {})
  return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)))
}
