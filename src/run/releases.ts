import {
  listReleases,
  type Pruned,
  pruneReleases,
  type ReleaseEntry,
  rollbackRelease,
} from '../deploy/releases.ts'
import type { Device } from '../deploy/types.ts'
import type { Progress } from '../progress.ts'
import { formatBytes } from '../report/format.ts'
import { type ConnectionOptions, holderName, openBoard } from './open-device.ts'

interface OnDevice {
  readonly device: string
  readonly connection: ConnectionOptions
}

/** What is deployed on a board. */
export function releasesOn(
  request: OnDevice & { readonly name: string | undefined },
  progress: Progress,
): Promise<ReleaseEntry[]> {
  return onDevice(request, progress, (device) => listReleases(device, request.name))
}

/** Goes back to the release before the current one, or to a number. */
export function rollbackOn(
  request: OnDevice & { readonly name: string; readonly to: number | undefined },
  progress: Progress,
): Promise<{ readonly number: number; readonly from: number | null }> {
  return onDevice(request, progress, (device) => rollbackRelease(device, request.name, request.to))
}

export function pruneOn(
  request: OnDevice & { readonly name: string | undefined; readonly keep: number; readonly blobs: boolean },
  progress: Progress,
): Promise<Pruned> {
  return onDevice(request, progress, (device) => pruneReleases(device, { ...request, holder: holderName() }))
}

async function onDevice<T>(
  request: OnDevice,
  progress: Progress,
  action: (device: Device) => Promise<T>,
): Promise<T> {
  const board = await openBoard(request.device, undefined, request.connection, progress)
  try {
    return await action(board.device)
  } finally {
    await board.close()
  }
}

export function describeReleases(entries: readonly ReleaseEntry[], device: string): string {
  if (entries.length === 0) return `No releases on ${device}: edgewright deploy ARTIFACT --device ${device}`
  const width = Math.max(...entries.map(({ name }) => name.length))
  return entries
    .map(({ name, number, state, current, previous, changedAt, contentId }) =>
      [
        current ? '*' : ' ',
        name.padEnd(width),
        `#${number}`.padStart(5),
        state.padEnd(11),
        (changedAt ?? 'unknown').replace(/\.\d+Z$/, 'Z').padEnd(20),
        contentId?.slice(0, 12) ?? '',
        current ? 'current' : previous ? 'a rollback goes here' : '',
      ]
        .join(' ')
        .trimEnd(),
    )
    .join('\n')
}

export function describePruned({ releases, blobs, bytes }: Pruned): string {
  const gone = releases.map(({ name, number }) => `${name} #${number}`).join(', ')
  return [
    releases.length === 0 ? 'No release had to go.' : `Removed ${gone}.`,
    ...(blobs > 0 ? [`Removed ${blobs} files that no release has, ${formatBytes(bytes)}.`] : []),
  ].join('\n')
}
