import { readFileSync, statSync } from 'node:fs'
import { unzipSync } from 'fflate'
import { sha256 } from '../digest.ts'
import { EdgewrightError } from '../error.ts'
import { type PinnedRuntime, type RuntimePin, pinnedRuntimes } from './pins.ts'

/**
 * The pin that a wheel on disk is, by its size and digest; its name does not matter.
 *
 * @throws EdgewrightError RUNTIME_MISSING where it is none of `runtime`'s
 */
export function recognizeWheel(path: string, runtime: PinnedRuntime): RuntimePin {
  const bytes = statSync(path, { throwIfNoEntry: false })
  if (bytes === undefined || !bytes.isFile())
    throw new EdgewrightError('RUNTIME_MISSING', 'There is no such wheel.', { where: path })
  const candidates = runtime.pins.filter((pin) => pin.bytes === bytes.size)
  const digest = candidates.length > 0 ? sha256(readFileSync(path)) : undefined
  const pin = candidates.find((candidate) => candidate.sha256 === digest)
  if (pin) return pin
  const other = pinnedRuntimes.find(({ pins }) =>
    pins.some(
      (candidate) => candidate.bytes === bytes.size && candidate.sha256 === sha256(readFileSync(path)),
    ),
  )
  throw new EdgewrightError(
    'RUNTIME_MISSING',
    `This file is not a wheel of ${runtime.name} ${runtime.version} that Edgewright knows by its digest.`,
    {
      where: path,
      saw: digest ?? `${bytes.size} bytes`,
      hint: other
        ? `It is ${other.name}: edgewright runtimes add ${other.name} --from FILE`
        : `Known are ${runtime.pins.map(({ file }) => file).join(' and ')}.`,
    },
  )
}

/**
 * The library inside a wheel whose own digest has been checked, checked again by its own.
 *
 * @throws EdgewrightError RUNTIME_MISSING where it is not there as pinned
 */
export function extractLibrary(path: string, { library, sha256: expected }: RuntimePin): Uint8Array {
  const wheel = readFileSync(path)
  if (sha256(wheel) !== expected)
    throw new EdgewrightError('RUNTIME_MISSING', 'The wheel is not what was pinned.', { where: path })
  const found = unzipSync(wheel, {
    filter: ({ name, originalSize }) => name === library.member && originalSize === library.bytes,
  })
  const content = found[library.member]
  if (content === undefined || sha256(content) !== library.sha256)
    throw new EdgewrightError('RUNTIME_MISSING', 'The wheel does not hold the library that was pinned.', {
      where: path,
      saw: library.member,
    })
  return content
}
