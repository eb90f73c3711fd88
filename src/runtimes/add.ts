import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EdgewrightError } from '../error.ts'
import type { Progress } from '../progress.ts'
import { cachedLibrary, storeLibrary } from './cache.ts'
import { downloadWheel } from './pip.ts'
import { type PinnedRuntime, type RuntimePin, pinnedRuntimes } from './pins.ts'
import { extractLibrary, recognizeWheel } from './wheel.ts'

export interface RuntimeState {
  readonly name: string
  readonly describe: string
  readonly version: string
  readonly architecture: string
  readonly glibc: string
  readonly bytes: number
  readonly sha256: string
  /** Where it is on this computer; null where it was not fetched. */
  readonly path: string | null
}

/** Every runtime library that can be fetched, and whether it has been. */
export function listRuntimes(): RuntimeState[] {
  return pinnedRuntimes.flatMap((runtime) => runtime.pins.map((pin) => stateOf(runtime, pin)))
}

/**
 * Fetches a runtime's libraries into the cache, those that are not there; `from` takes one wheel from disk instead.
 *
 * @param options.architectures default: all that there are
 * @throws EdgewrightError USAGE for an unknown name or architecture; RUNTIME_MISSING where it cannot be fetched
 */
export async function addRuntime(
  name: string,
  options: {
    readonly progress: Progress
    readonly from?: string
    readonly architectures?: readonly string[]
  },
): Promise<RuntimeState[]> {
  const runtime = pinnedRuntimes.find((candidate) => candidate.name === name)
  if (runtime === undefined)
    throw new EdgewrightError('USAGE', 'There is no such runtime to fetch.', {
      saw: name,
      hint: `There are: ${pinnedRuntimes.map((one) => one.name).join(', ')}.`,
    })
  if (options.from !== undefined) {
    const pin = recognizeWheel(options.from, runtime)
    storeLibrary(runtime, pin, extractLibrary(options.from, pin))
    return [stateOf(runtime, pin)]
  }
  const pins = choose(runtime, options.architectures ?? [])
  for (const pin of pins)
    if (cachedLibrary(runtime, pin) === undefined) await fetchLibrary(runtime, pin, options.progress)
  return pins.map((pin) => stateOf(runtime, pin))
}

function choose(runtime: PinnedRuntime, architectures: readonly string[]): readonly RuntimePin[] {
  for (const architecture of architectures)
    if (!runtime.pins.some((pin) => pin.architecture === architecture))
      throw new EdgewrightError('USAGE', `${runtime.name} is not there for this architecture.`, {
        saw: architecture,
        hint: `There are: ${runtime.pins.map((pin) => pin.architecture).join(', ')}.`,
      })
  return architectures.length === 0
    ? runtime.pins
    : runtime.pins.filter((pin) => architectures.includes(pin.architecture))
}

async function fetchLibrary(runtime: PinnedRuntime, pin: RuntimePin, progress: Progress): Promise<void> {
  progress.stage('download', `${pin.file} (${Math.round(pin.bytes / 1e6)} MB)`)
  const folder = mkdtempSync(join(tmpdir(), 'edgewright-wheel-'))
  try {
    const wheel = await downloadWheel(runtime, pin, folder, progress.signal)
    storeLibrary(runtime, pin, extractLibrary(wheel, pin))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function stateOf(runtime: PinnedRuntime, pin: RuntimePin): RuntimeState {
  const { name, describe, version } = runtime
  const { glibc, bytes, sha256 } = pin.library
  return {
    name,
    describe,
    version,
    architecture: pin.architecture,
    glibc,
    bytes,
    sha256,
    path: cachedLibrary(runtime, pin) ?? null,
  }
}
