import { type ChildProcess, spawn } from 'node:child_process'
import { lastLine } from '../../deploy/printable.ts'
import { createRecording, maxRecorded, wallClock } from './recorded.ts'
import { meterFailed } from './serial-link.ts'
import { type Meter, monotonicNs } from './types.ts'
import { parseWrittenSample } from './written-sample.ts'

export interface ExecOptions {
  readonly accuracyShare: number
  /** How long to wait for the first sample. */
  readonly waitMs?: number
}

const waitMs = 15_000
const graceMs = 2_000
const maxLineBytes = 4096
/** A program that prints so much else first is no meter. */
const maxOtherLines = 1000

/** A program of the user's that prints samples until it gets SIGINT; started as argv, by no shell. */
export function execMeter(argv: readonly string[], options: ExecOptions): Meter {
  const { accuracyShare } = options
  const deadlineMs = options.waitMs ?? waitMs
  const name = argv[0]!
  let child: ChildProcess | null = null
  let recording = createRecording()
  let lost: string | null = null
  let stopping = false
  let ended: Promise<void> = Promise.resolve()
  let began: [number, number] = [0, 0]
  let wallSamples = 0
  let latestNs = Number.NEGATIVE_INFINITY

  function take(line: string, arrivedNs: number): boolean {
    const sample = parseWrittenSample(line)
    if (sample === null) return false
    if (sample.time?.clock === 'wall') wallSamples++
    const ns = sample.time === null ? arrivedNs : sample.time.ns
    const atNs = sample.time?.clock === 'wall' ? ns - began[0] + began[1] : ns
    if (atNs <= latestNs) return true
    latestNs = atNs
    if (recording.length < maxRecorded) recording.add(atNs, sample.milliW)
    else lose(`more than ${maxRecorded} samples`)
    return true
  }

  function lose(reason: string): void {
    if (stopping) return
    lost ??= reason
    interrupt('SIGTERM')
  }

  function interrupt(signal: NodeJS.Signals): void {
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    try {
      process.kill(-child.pid, signal)
    } catch {
      // it ended in this moment
    }
  }

  async function end(): Promise<void> {
    stopping = true
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
      interrupt(signal)
      let timer: NodeJS.Timeout | undefined
      const patience = new Promise<'late'>((resolve) => {
        timer = setTimeout(() => resolve('late'), graceMs)
      })
      const first = await Promise.race([ended, patience])
      clearTimeout(timer)
      if (first !== 'late') return
    }
  }

  return {
    name: `the meter program ${name}`,
    periodMs: 0,
    async start() {
      recording = createRecording()
      began = [Date.now() * 1e6, monotonicNs()]
      // a group of its own: Ctrl-C is ours to pass on, and what it starts ends with it
      const started = spawn(name, argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
      child = started
      let errors = ''
      started.stderr.on('data', (chunk: Buffer) => {
        errors = (errors + chunk.toString('utf8')).slice(-2048)
      })
      let first = (_: null) => {}
      const sampled = new Promise<null>((resolve) => {
        first = resolve
      })
      ended = new Promise<void>((resolve) => {
        started.on('error', (error) => {
          lost ??= error.message
          resolve()
        })
        started.on('close', (status, signal) => {
          const said = lastLine(errors)
          lose(`it ended by itself (${signal ?? `status ${status}`})${said === '' ? '' : `: ${said}`}`)
          resolve()
        })
      })
      let others = 0
      linesOf(started, (line, atNs) => {
        if (line === null) lose(`a line of over ${maxLineBytes} bytes`)
        else if (take(line, atNs)) first(null)
        else if (recording.length === 0 && ++others > maxOtherLines)
          lose('nothing that it prints is a sample')
      })
      let timer: NodeJS.Timeout | undefined
      // it may not heed being asked to end: that must not be waited for without an end
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(() => {
          lose(`no sample within ${deadlineMs / 1000} s`)
          resolve()
        }, deadlineMs)
      })
      await Promise.race([sampled, ended, late])
      clearTimeout(timer)
      if (recording.length > 0) return
      const reason = lost ?? 'it printed nothing'
      await end()
      throw meterFailed(
        name,
        'The meter program gives no samples.',
        reason,
        'It is to print lines TIME,WATTS: docs/meters.md.',
      )
    },
    async stop() {
      const before = began
      await end()
      const clock = wallClock(before, [Date.now() * 1e6, monotonicNs()])
      return recording.series({
        source: name,
        accuracyShare,
        clockBoundNs: wallSamples > 0 ? clock.boundNs * 2 : 0,
        timeBase: 'host',
        edges: [],
        lost,
      })
    },
    close: end,
  }
}

/** Lines as they come; null once for one that is too long. */
function linesOf(child: ChildProcess, take: (line: string | null, atNs: number) => void): void {
  let rest = ''
  child.stdout!.setEncoding('utf8')
  child.stdout!.on('data', (chunk: string) => {
    const atNs = monotonicNs()
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    for (const line of lines) take(line.length > maxLineBytes ? null : line, atNs)
    if (rest.length > maxLineBytes) {
      rest = ''
      take(null, atNs)
    }
  })
}

/** Splits a command line into words: blanks part them, quotes and backslashes hold together. Nothing is expanded. */
export function wordsOf(line: string): string[] {
  const words: string[] = []
  const pattern = /((?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+)|(\S)/gs
  for (const [, word, stray] of line.matchAll(pattern)) {
    if (stray !== undefined) throw meterFailed(line, 'The meter’s command has a quote without its end.')
    words.push(
      word!.replace(/\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'/gs, (_, escaped, double, single) =>
        escaped !== undefined ? escaped : double !== undefined ? double.replace(/\\(.)/gs, '$1') : single,
      ),
    )
  }
  return words
}
