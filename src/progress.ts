import { EdgewrightError } from './error.ts'

/** A thing worth telling the user that is not an error. Lands in the report and in `warnings` of the JSON. */
export interface Warning {
  code: string
  message: string
  hint: string
}

/**
 * What long work is given: where to say how far it is, and when to stop.
 * Only the CLI draws; everything below only reports.
 */
export interface Progress {
  readonly signal: AbortSignal
  /** Names the step that now begins, e.g. `calibrate`. */
  stage(name: string, detail?: string): void
  /** How far the current stage is; `total` 0 means unknown. A note says how it goes: `loss 0.31`. */
  tick(done: number, total: number, unit: string, note?: string): void
  warn(warning: Warning): void
}

/** For library use and tests: says nothing, keeps warnings. */
export function silentProgress(signal?: AbortSignal): Progress & { warnings: Warning[] } {
  const warnings: Warning[] = []
  return {
    signal: signal ?? new AbortController().signal,
    stage() {},
    tick() {},
    warn(warning) {
      warnings.push(warning)
    },
    warnings,
  }
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new EdgewrightError('INTERRUPTED', 'Interrupted.')
}
