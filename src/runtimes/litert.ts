import type { RuntimeNeed } from '../artifact/manifest.ts'
import type { RuntimeBuild } from '../artifact/runtimes.ts'
import { EdgewrightError } from '../error.ts'
import { cachedLibrary } from './cache.ts'
import { type PinnedRuntime, type RuntimePin, pinnedRuntimes } from './pins.ts'

/** A LiteRT library on this computer, ready to be sent. */
export interface LiteRtBuild extends RuntimeBuild {
  readonly name: PinnedRuntime['name']
  /** Its file name. */
  readonly library: string
}

export interface LiteRtRequest {
  /** As `uname -m` says it. */
  readonly architecture: string
  /** The board's glibc, e.g. `2.31`; absent: any will do. */
  readonly glibc?: string
  /** A delegate is to be used, or operators are to be timed: both need TFLite's C API. */
  readonly tfliteApi?: boolean
}

/** LiteRT as a manifest names it; known without any download. */
export function litertNeed(): RuntimeNeed {
  const runtime = pinnedRuntimes[0]!
  return {
    name: runtime.name,
    version: runtime.version,
    library: fileOf(runtime.pins[0]!),
    builds: runtime.pins.map(({ architecture, library: { sha256, bytes, glibc } }) => ({
      architecture,
      sha256,
      bytes,
      glibc,
    })),
  }
}

/**
 * The library to send to a board: the newest LiteRT that its system can load, from the cache.
 *
 * @throws EdgewrightError DEVICE_UNSUPPORTED where none is made for it; RUNTIME_MISSING where it has not been fetched yet
 */
export function litertBuild(request: LiteRtRequest): LiteRtBuild {
  const { architecture, glibc, tfliteApi = false } = request
  const made = pinnedRuntimes
    .flatMap((runtime) => runtime.pins.map((pin) => ({ runtime, pin })))
    .filter(({ pin }) => pin.architecture === architecture)
  const fit = made.filter(
    ({ runtime, pin }) =>
      (!tfliteApi || runtime.name === 'tflite') &&
      (glibc === undefined || compareVersions(pin.library.glibc, glibc) <= 0),
  )
  const chosen = fit[0]
  if (chosen === undefined)
    throw unsupported(
      request,
      made.map(({ pin }) => pin),
    )
  const { runtime, pin } = chosen
  const path = cachedLibrary(runtime, pin)
  if (path === undefined)
    throw new EdgewrightError(
      'RUNTIME_MISSING',
      `${runtime.name} ${runtime.version} for ${architecture} is not on this computer yet.`,
      {
        hint: `Run: edgewright runtimes add ${runtime.name}`,
      },
    )
  const { sha256, bytes } = pin.library
  return {
    name: runtime.name,
    version: runtime.version,
    library: fileOf(pin),
    architecture: pin.architecture,
    path,
    sha256,
    bytes,
    glibc: pin.library.glibc,
  }
}

function unsupported(
  { architecture, glibc, tfliteApi }: LiteRtRequest,
  made: readonly RuntimePin[],
): EdgewrightError {
  if (made.length === 0)
    return new EdgewrightError(
      'DEVICE_UNSUPPORTED',
      'There is no build of LiteRT for this kind of processor.',
      {
        saw: architecture,
        hint: 'Boards need a 64-bit Linux: aarch64 or x86_64.',
      },
    )
  if (tfliteApi === true && architecture === 'x86_64')
    return new EdgewrightError(
      'RUNTIME_MISSING',
      'LiteRT’s x86-64 library takes no delegate and gives no operator times.',
      {
        hint: 'Give the path of a library with TFLite’s C API on that computer, such as libtensorflowlite_c.so.',
      },
    )
  const oldest = made.map(({ library }) => library.glibc).sort(compareVersions)[0]!
  return new EdgewrightError(
    'DEVICE_UNSUPPORTED',
    `The board’s C library is older than LiteRT’s builds need: glibc ${oldest}.`,
    {
      saw: `glibc ${glibc}`,
      hint: 'Update its system, or give the path of a TFLite library that the board has, such as libtensorflowlite_c.so.',
    },
  )
}

function fileOf({ library }: RuntimePin): string {
  return library.member.slice(library.member.lastIndexOf('/') + 1)
}

/** By number, part by part: 2.9 is before 2.30. */
function compareVersions(a: string, b: string): number {
  const left = a.split('.').map(Number)
  const right = b.split('.').map(Number)
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
