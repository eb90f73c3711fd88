import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { sha256 } from '../digest.ts'
import type { PinnedRuntime, RuntimePin } from './pins.ts'

/** Where a library is kept: `$XDG_CACHE_HOME/edgewright/runtimes/<name>/<version>/<architecture>/<library>`. */
export function cachedLibraryPath(
  runtime: PinnedRuntime,
  pin: RuntimePin,
  environment = process.env,
): string {
  const given = environment.XDG_CACHE_HOME
  // the XDG specification has relative paths ignored
  const cache = given !== undefined && isAbsolute(given) ? given : join(homedir(), '.cache')
  const folder = join(cache, 'edgewright', 'runtimes', runtime.name, runtime.version, pin.architecture)
  return join(folder, basename(pin.library.member))
}

/** The path of a library that is there and whole; undefined where it is not, or is not what was pinned. */
export function cachedLibrary(runtime: PinnedRuntime, pin: RuntimePin): string | undefined {
  const path = cachedLibraryPath(runtime, pin)
  if (!existsSync(path)) return undefined
  const content = readFileSync(path)
  return content.byteLength === pin.library.bytes && sha256(content) === pin.library.sha256 ? path : undefined
}

/** Puts a library there in one step: who looks meanwhile sees the old state or the new one. */
export function storeLibrary(runtime: PinnedRuntime, pin: RuntimePin, content: Uint8Array): string {
  const path = cachedLibraryPath(runtime, pin)
  const partial = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.partial`
  mkdirSync(dirname(path), { recursive: true })
  try {
    writeFileSync(partial, content, { mode: 0o755, flush: true })
    renameSync(partial, path)
  } finally {
    rmSync(partial, { force: true })
  }
  return path
}
