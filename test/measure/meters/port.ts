import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, constants, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { spawnSync } from 'node:child_process'
import { repositoryRoot } from '../../fixtures.ts'

/** Why a test on a pseudo-terminal is left out; false where it runs. Where CI says so, nothing is left out. */
export const noPort: string | false =
  process.platform !== 'linux'
    ? 'pseudo-terminals: Linux'
    : spawnSync('socat', ['-V']).status === 0 || process.env['CI']
      ? false
      : 'needs socat'

/** A meter's simulator at a pseudo-terminal of its own. */
export interface SimulatedPort {
  readonly path: string
  /** What it was asked for that no document knows, and its other remarks, so far. */
  report(): SimulatorReport
  /** As if its cable was pulled. */
  unplug(): void
  close(): Promise<void>
}

export interface SimulatorReport {
  readonly violations: readonly string[]
  readonly remarks: Readonly<Record<string, number>>
}

/**
 * Starts `simulator` (a file beside this one) in a process of its own, its standard input and output on a real
 * pseudo-terminal.
 */
export async function simulate(simulator: string, settings: object = {}): Promise<SimulatedPort> {
  const folder = mkdtempSync(join(tmpdir(), 'edgewright-meter-'))
  const path = join(folder, 'tty')
  const reportPath = join(folder, 'report.json')
  const program = join(repositoryRoot, 'test', 'measure', 'meters', simulator)
  const socat = spawn(
    'socat',
    ['-t0', `PTY,link=${path},raw,echo=0`, `EXEC:"${process.execPath} --import tsx ${program}"`],
    {
      cwd: repositoryRoot,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, SIMULATOR: JSON.stringify(settings), SIMULATOR_REPORT: reportPath },
    },
  )
  let said = ''
  socat.stderr!.on('data', (chunk) => {
    said += chunk
  })
  for (let i = 0; !(existsSync(path) && existsSync(reportPath)); i++) {
    if (i > 1500 || socat.exitCode !== null) throw new Error(`the simulator did not start: ${said}`)
    await sleep(20)
  }
  // as a cable that stays plugged in between two openings: without it socat takes the first close for the end
  const held = openSync(path, constants.O_RDWR | constants.O_NOCTTY)
  return {
    path,
    report: () => JSON.parse(readFileSync(reportPath, 'utf8')) as SimulatorReport,
    unplug: () => void socat.kill('SIGKILL'),
    async close() {
      closeSync(held)
      await ended(socat)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function ended(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM')
  for (let i = 0; child.exitCode === null && child.signalCode === null; i++) {
    if (i === 50) child.kill('SIGKILL')
    await sleep(20)
  }
}
