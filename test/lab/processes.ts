import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { labFolder } from './rootfs.ts'

const runFolder = join(labFolder, 'run')

/** Names a process for good: a pid alone may be given to another one later. */
interface ProcessId {
  readonly pid: number
  readonly startTicks: string
}

/** A board's process and the test process that owns it, as written to `.lab/run/<id>/process.json`. */
interface Record {
  readonly board: ProcessId
  readonly owner: ProcessId
}

/** A new folder for one board. */
export function boardFolder(): string {
  endLeftovers()
  const folder = join(runFolder, `${process.pid}-${nextId++}-${Date.now().toString(36)}`)
  mkdirSync(join(folder, 'disk'), { recursive: true })
  return folder
}
let nextId = 0

/**
 * Starts a board's first process. It is killed by the kernel when this process ends, however it ends; the record in
 * its folder is for what even that misses.
 */
export function startProcess(
  folder: string,
  command: readonly string[],
  env: NodeJS.ProcessEnv = {},
): ChildProcess {
  const log = openSync(join(folder, 'log'), 'a')
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], {
    stdio: ['ignore', log, log],
    env: { PATH: process.env.PATH, ...env },
    // keeps a terminal's Ctrl-C away from the board, so that a test can still talk to it while it cleans up
    detached: true,
  })
  closeSync(log)
  child.on('error', () => {})
  if (child.pid !== undefined) {
    const record: Record = { board: identify(child.pid)!, owner: identify(process.pid)! }
    writeFileSync(join(folder, 'process.json'), JSON.stringify(record))
  }
  return child
}

/**
 * Kills a board and waits until it is gone. Its own first process before ours, which then collects it and ends: the
 * other way round it would be left to process 1, and not every container has one that collects.
 */
export async function endProcess(child: ChildProcess, folder: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    const gone = new Promise((resolve) => child.once('exit', resolve))
    const inner = childrenOf(child.pid)
    for (const pid of inner.length > 0 ? inner : [child.pid]) process.kill(pid, 'SIGKILL')
    const impatient = setTimeout(() => child.kill('SIGKILL'), 2000)
    await gone
    clearTimeout(impatient)
  }
  await namespaceGone(folder)
  rmSync(folder, { recursive: true, force: true })
}

/** Ends boards whose test process is no more. */
export function endLeftovers(): void {
  for (const id of listFolder(runFolder)) {
    const folder = join(runFolder, id)
    const record = readRecord(join(folder, 'process.json'))
    if (!record || isAlive(record.owner)) continue
    if (isAlive(record.board)) process.kill(record.board.pid, 'SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Host pids of all processes below `pid`. */
export function descendants(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendants(child)])
}

function childrenOf(pid: number): number[] {
  return processIds().filter((candidate) => parentOf(candidate) === pid)
}

function processIds(): number[] {
  return listFolder('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

/** Command line of a process, words separated by spaces; empty where it is gone. */
export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
  } catch {
    return ''
  }
}

/** Processes that hold anything of a board's folder: its mounts are in nobody's namespace when this is empty. */
export function holders(folder: string): number[] {
  return processIds().filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/mountinfo`, 'utf8').includes(folder)
    } catch {
      return false
    }
  })
}

async function namespaceGone(folder: string): Promise<void> {
  const deadline = Date.now() + 5000
  while (holders(folder).length > 0) {
    if (Date.now() > deadline)
      throw new Error(`processes of ${folder} are still there: ${holders(folder).join(' ')}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

function readRecord(path: string): Record | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record
  } catch {
    return null
  }
}

function identify(pid: number): ProcessId | null {
  const fields = statFields(pid)
  return fields && { pid, startTicks: fields[19]! }
}

function isAlive({ pid, startTicks }: ProcessId): boolean {
  return identify(pid)?.startTicks === startTicks
}

function parentOf(pid: number): number | null {
  const fields = statFields(pid)
  return fields && Number(fields[1])
}

/** Fields of /proc/PID/stat from `state` on; the name before it may hold spaces and brackets. */
function statFields(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return null
  }
}

function listFolder(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}
