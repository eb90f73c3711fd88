import { EdgewrightError } from '../error.ts'
import { type Progress, silentProgress } from '../progress.ts'
import { askStore, sendBlobs } from './blobs.ts'
import { checkName } from './names.ts'
import { type ReleaseFile, readArtifact } from './release-artifact.ts'
import { commitScript, failScript, installScript, markScript } from './release-scripts.ts'
import { remoteScript, wholeNumber } from './remote-script.ts'
import type { Device, Release } from './types.ts'

/** Releases kept of a name besides the current one and the one that a rollback would go to. */
const keptReleases = 5

/** Holds a release that is installed but not current to what it should do; throws where it does not. */
export type VerifyRelease = (release: Release) => Promise<void>

/**
 * Puts an artifact on a device as the current release of `name`: download → install → verify → commit. Each step may be
 * repeated: what it made is found again, after a lost connection or a power cut too. Until the commit, which is one
 * rename, the release before is what applications open at `currentPath`.
 *
 * @throws what `verify` throws; the release is then marked failed and never becomes current.
 */
export async function deployArtifact(
  device: Device,
  artifactFolder: string,
  options: { name: string; progress?: Progress; verify?: VerifyRelease },
): Promise<Release> {
  const release = await installRelease(device, artifactFolder, options)
  if (release.current) return release
  if (options.verify) {
    try {
      await options.verify(release)
    } catch (error) {
      throw await afterFailedVerify(device, release, artifactFolder, error)
    }
    await markRelease(device, release, 'verified')
  }
  await commitRelease(device, release)
  return { ...release, current: true }
}

/** Marks the release, and tells a file that has been damaged on the board since it was sent from other failures. */
async function afterFailedVerify(
  device: Device,
  release: Release,
  artifactFolder: string,
  error: unknown,
): Promise<unknown> {
  try {
    const { files } = await readArtifact(artifactFolder)
    const lines = await remoteScript(device, 'checking the release', failScript, [
      device.root,
      release.name,
      String(release.number),
      ...files.map(({ sha256 }) => sha256),
    ])
    const damaged = lines.filter(([word]) => word === 'damaged').map(([, digest]) => digest)
    if (damaged.length === 0) return error
    return new EdgewrightError(
      'RELEASE_NOT_VERIFIED',
      `A file of the release is damaged on ${device.name}.`,
      {
        where: `${device.root}/blobs/${damaged[0]}`,
        saw: 'bytes of another digest than its name',
        hint: "It was removed: deploy again; if it comes back, check the board's disk with dmesg.",
        cause: error,
      },
    )
  } catch {
    return error
  }
}

/**
 * Puts an artifact on a device beside the current release, sending only what is not there. The same artifact again is
 * the same release: a few hundred bytes are sent and nothing changes.
 */
export async function installRelease(
  device: Device,
  artifactFolder: string,
  options: { name: string; progress?: Progress },
): Promise<Release> {
  const progress = options.progress ?? silentProgress()
  const name = checkName(options.name, 'the name of a release')
  const before = device.connection.traffic.sentBytes
  progress.stage('verify', artifactFolder)
  const { manifest, files, contentId } = await readArtifact(artifactFolder)
  progress.stage('deploy', `${name} to ${device.name}`)
  const state = await askStore(device, files, { name, contentId })
  if (state.missing.length > 0) await sendBlobs(device, state.missing, state.freeBytes, progress)
  const installed =
    state.missing.length === 0 && state.currentNumber !== null
      ? { number: state.currentNumber, alreadyThere: true }
      : await install(device, name, contentId, files)
  const path = `${device.root}/releases/${name}/${installed.number}`
  return {
    name,
    number: installed.number,
    path,
    currentPath: `${device.root}/releases/${name}/current`,
    modelPath: `${path}/${manifest.model}`,
    sentBytes: device.connection.traffic.sentBytes - before,
    alreadyThere: installed.alreadyThere && state.missing.length === 0,
    current: installed.number === state.currentNumber,
  }
}

async function install(
  device: Device,
  name: string,
  contentId: string,
  files: readonly ReleaseFile[],
): Promise<{ number: number; alreadyThere: boolean }> {
  const args = files.flatMap((file) => [file.sha256, file.path])
  const lines = await remoteScript(device, 'making the release', installScript, [
    device.root,
    name,
    contentId,
    String(keptReleases),
    ...args,
  ])
  const said = lines.find(([word]) => word === 'release')
  return { number: wholeNumber(device, said?.[1]), alreadyThere: said?.[2] === 'there' }
}

/** Makes an installed release the one that applications open. RELEASE_NOT_FOUND where it is not whole on the board. */
async function commitRelease(
  device: Device,
  { name, number }: Pick<Release, 'name' | 'number'>,
): Promise<void> {
  const lines = await remoteScript(device, 'switching to the release', commitScript, [
    device.root,
    checkName(name, 'the name of a release'),
    String(number),
    String(keptReleases),
  ])
  if (lines.at(-1)?.[0] !== 'committed')
    throw new EdgewrightError(
      'RELEASE_NOT_FOUND',
      `Release ${name} #${number} is not whole on ${device.name}.`,
      {
        where: `${device.root}/releases/${name}/${number}`,
        hint: 'Deploy it again.',
      },
    )
}

/** Records on the board what is known of a release; `edgewright releases list` shows it. */
async function markRelease(
  device: Device,
  { name, number }: Pick<Release, 'name' | 'number'>,
  state: 'verified',
): Promise<void> {
  await remoteScript(device, 'marking the release', markScript, [device.root, name, String(number), state])
}
