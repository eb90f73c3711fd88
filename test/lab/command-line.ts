import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from '../fixtures.ts'
import type { Board } from './board.ts'

export interface CommandRun {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
  /** Largest resident memory that was seen, in bytes. */
  readonly peakRssBytes: number
}

export interface CommandOptions {
  readonly cwd: string
  readonly environment?: Readonly<Record<string, string>>
  readonly deadlineMs?: number
}

/** Runs the real command line from its sources, as a person would, without a terminal. */
export function edgewright(args: readonly string[], options: CommandOptions): Promise<CommandRun> {
  const child = spawn(
    process.execPath,
    [
      '--import',
      join(repositoryRoot, 'node_modules/tsx/dist/esm/index.mjs'),
      join(repositoryRoot, 'test/cli/from-sources.ts'),
      ...args,
    ],
    { cwd: options.cwd, env: { ...process.env, ...options.environment }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []]
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  let peakRssBytes = 0
  const watch = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
      peakRssBytes = Math.max(peakRssBytes, Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024)
    } catch {
      // it has just ended
    }
  }, 50)
  const deadline = setTimeout(() => child.kill('SIGKILL'), options.deadlineMs ?? 180_000)
  return new Promise((resolve) =>
    child.on('close', (exitCode) => {
      clearInterval(watch)
      clearTimeout(deadline)
      const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString('utf8')
      resolve({ exitCode, stdout: text(stdout), stderr: text(stderr), peakRssBytes })
    }),
  )
}

/** Options of the command line that reach an emulated board, and nothing of the person who runs the tests. */
export function reach(board: Board): string[] {
  return [
    ...['--device', board.spec, '--identity', board.identityFile],
    ...['--known-hosts', board.knownHostsFile, '--host-key', board.hostKeyFingerprint],
  ]
}
