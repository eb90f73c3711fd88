import type { WriteStream } from 'node:tty'
import type { Progress, Warning } from '../progress.ts'
import { sanitize } from './sanitize.ts'

export interface ProgressView extends Progress {
  readonly warnings: Warning[]
  /** Clears the bar so that something else can write. */
  pause(): void
  finish(): void
}

const redrawMs = 80
const plainLineMs = 5_000

/** Stages with a bar on a terminal; elsewhere plain lines, at most one every five seconds within a stage. */
export function createProgressView(stream: WriteStream, signal: AbortSignal): ProgressView {
  const animated = Boolean(stream.isTTY)
  const warnings: Warning[] = []
  let stageName = ''
  let stageStartMs = 0
  let drawnMs = 0
  let barShown = false
  /** The stage's first tick: resumed work does not begin at 0. */
  let startedAt: Start | undefined

  const clear = () => {
    if (barShown) stream.write('\r\x1b[2K')
    barShown = false
  }
  const endStage = () => {
    clear()
    if (animated && stageName)
      stream.write(`  ${sanitize(stageName)} \x1b[2m${seconds(performance.now() - stageStartMs)}\x1b[0m\n`)
    stageName = ''
  }
  return {
    signal,
    warnings,
    stage(name, detail) {
      endStage()
      stageName = detail ? `${name}: ${detail}` : name
      stageStartMs = drawnMs = performance.now()
      startedAt = undefined
      if (animated) {
        stream.write(`\x1b[2m…\x1b[0m ${sanitize(stageName)}`)
        barShown = true
      } else stream.write(`- ${sanitize(stageName)}\n`)
    },
    tick(done, total, unit, note = '') {
      const now = performance.now()
      startedAt ??= { done, ms: now }
      if (now - drawnMs < (animated ? redrawMs : plainLineMs)) return
      drawnMs = now
      const amount = total > 0 ? `${count(done, unit)} of ${count(total, unit)}` : count(done, unit)
      const left = total > 0 ? remaining(done, total, startedAt, now) : ''
      const noted = note && `  ${note}`
      if (!animated) {
        stream.write(sanitize(`  ${stageName}  ${amount}${noted}${note && left && `  ${left}`}`) + '\n')
        return
      }
      const bar = total > 0 ? ` ${drawBar(done / total)} ${left}` : ''
      stream.write(`\r\x1b[2K… ${sanitize(stageName)}  ${amount}${bar}${sanitize(noted)}`)
      barShown = true
    },
    warn(warning) {
      if (warnings.some((known) => known.code === warning.code && known.message === warning.message)) return
      warnings.push(warning)
      clear()
      stream.write(`${sanitize(`! ${warning.message}${warning.hint ? ` ${warning.hint}` : ''}`)}\n`)
    },
    pause: clear,
    finish: endStage,
  }
}

function count(amount: number, unit: string): string {
  return unit === 'bytes' ? `${(amount / 1e6).toFixed(1)} MB` : `${Math.floor(amount)} ${unit}`
}

function drawBar(share: number): string {
  const width = 24
  const full = Math.max(0, Math.min(width, Math.round(share * width)))
  return `[${'='.repeat(full)}${' '.repeat(width - full)}]`
}

interface Start {
  readonly done: number
  readonly ms: number
}

function remaining(done: number, total: number, start: Start, nowMs: number): string {
  const elapsedMs = nowMs - start.ms
  if (done <= start.done || elapsedMs < 1_000) return ''
  return `${seconds((elapsedMs / (done - start.done)) * Math.max(0, total - done))} left`
}

function seconds(ms: number): string {
  return ms < 60_000
    ? `${(ms / 1_000).toFixed(1)} s`
    : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1_000)} s`
}
