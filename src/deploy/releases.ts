import { EdgewrightError } from '../error.ts'
import { acquireLock } from './lock.ts'
import { checkName } from './names.ts'
import { printable } from './printable.ts'
import { listScript, pruneScript, rollbackScript } from './release-scripts.ts'
import { remoteScript, wholeNumber } from './remote-script.ts'
import type { Device } from './types.ts'

/** What is known of a release on a board. `half`: an installation that was cut; never used. */
export type ReleaseState = 'half' | 'installed' | 'verified' | 'failed' | 'rolled-back'

export interface ReleaseEntry {
  readonly name: string
  readonly number: number
  readonly state: ReleaseState
  /** What applications open. */
  readonly current: boolean
  /** Where a rollback would go. */
  readonly previous: boolean
  /** ISO time of its last change of state, by the board's clock; null where not on record. */
  readonly changedAt: string | null
  /** Digest of the files' digests and paths: the same for the same artifact everywhere. */
  readonly contentId: string | null
}

const states: readonly string[] = ['half', 'installed', 'verified', 'failed', 'rolled-back']

/** All releases on a board, or those of one name: by name, newest first. */
export async function listReleases(device: Device, name?: string): Promise<ReleaseEntry[]> {
  const lines = await remoteScript(device, 'listing the releases', listScript, [
    device.root,
    name === undefined ? '' : checkName(name, 'the name of a release'),
  ])
  return lines
    .filter(([word]) => word === 'release')
    .map((line) => entryOf(device, line))
    .sort((a, b) => (a.name === b.name ? b.number - a.number : a.name < b.name ? -1 : 1))
}

function entryOf(device: Device, [, name = '', number, said = '', time, content]: string[]): ReleaseEntry {
  const [state = '', ...marks] = said.split('+')
  const seconds = wholeNumber(device, time)
  return {
    name: printable(name, 128),
    number: wholeNumber(device, number),
    state: (states.includes(state) ? state : 'installed') as ReleaseState,
    current: marks.includes('current'),
    previous: marks.includes('previous'),
    changedAt: seconds > 0 && seconds < 1e11 ? new Date(seconds * 1000).toISOString() : null,
    contentId: content !== undefined && /^[0-9a-f]{64}$/.test(content) ? content : null,
  }
}

/**
 * Makes the release before the current one current again, or `to`. Repeated after a cut it goes to the same release.
 *
 * @throws EdgewrightError RELEASE_NOT_FOUND where there is none to go back to.
 */
export async function rollbackRelease(
  device: Device,
  name: string,
  to?: number,
): Promise<{ readonly number: number; readonly from: number | null }> {
  const [word, number, from] =
    (
      await remoteScript(device, 'rolling back', rollbackScript, [
        device.root,
        checkName(name, 'the name of a release'),
        to === undefined ? '' : String(to),
      ])
    ).at(-1) ?? []
  if (word === 'already') return { number: wholeNumber(device, number), from: null }
  if (word === 'back') return { number: wholeNumber(device, number), from: wholeNumber(device, from) || null }
  const why: Record<string, string> = {
    absent: `There is no release named ${printable(name)} on ${device.name}.`,
    none: `${printable(name)} has no earlier release on ${device.name} to go back to.`,
    half: `Release ${printable(name)} #${to} is not whole on ${device.name}.`,
  }
  throw new EdgewrightError('RELEASE_NOT_FOUND', why[word ?? ''] ?? `${device.name} did not roll back.`, {
    where: `${device.root}/releases/${printable(name)}`,
    saw: printable(word ?? 'no answer'),
    hint: 'edgewright releases list --device BOARD shows what is there; an artifact can be deployed again.',
  })
}

export interface PruneRequest {
  /** Undefined: of every name. */
  readonly name: string | undefined
  /** Releases kept besides the current one and the one before it. */
  readonly keep: number
  /** Also files that no release has: libraries and models that were measured are then sent again when needed. */
  readonly blobs: boolean
  /** Who to name to others meanwhile. */
  readonly holder: string
}

export interface Pruned {
  readonly releases: readonly { readonly name: string; readonly number: number }[]
  readonly blobs: number
  readonly bytes: number
}

/** Removes what nothing uses; the board is held meanwhile, so that no run loses its library. DEVICE_BUSY where one is going on. */
export async function pruneReleases(device: Device, request: PruneRequest): Promise<Pruned> {
  const lock = await acquireLock(device, { holder: request.holder, ttlSeconds: 120 })
  try {
    const lines = await remoteScript(device, 'removing old releases', pruneScript, [
      device.root,
      request.name === undefined ? '' : checkName(request.name, 'the name of a release'),
      String(request.keep),
      request.blobs ? '1' : '0',
    ])
    const blobs = lines.filter(([word]) => word === 'blob')
    return {
      releases: lines
        .filter(([word]) => word === 'removed')
        .map(([, name, number]) => ({
          name: printable(name ?? '', 128),
          number: wholeNumber(device, number),
        })),
      blobs: blobs.length,
      bytes: blobs.reduce((sum, [, , bytes]) => sum + wholeNumber(device, bytes), 0),
    }
  } finally {
    await lock.release().catch(() => {})
  }
}
