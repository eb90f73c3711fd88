import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Manifest, manifestSchema } from '../artifact/manifest.ts'
import { sha256 } from '../digest.ts'
import { EdgewrightError } from '../error.ts'
import { type Progress, silentProgress } from '../progress.ts'
import { askStore, type Blob, localBlob, sendBlobs } from './blobs.ts'
import { checkName, checkRelativePath } from './names.ts'
import { printable } from './printable.ts'
import { remoteScript, wholeNumber } from './remote-script.ts'
import type { Device, Release } from './types.ts'

/** Releases kept of a name, the current one among them or beyond them. */
const keptReleases = 5

interface ReleaseFile extends Blob {
  readonly path: string
}

/**
 * Puts an artifact on a device as the current release of `name`, sending only what is not there.
 * The same artifact again sends a few hundred bytes and changes nothing. An application opens `currentPath`, whose
 * switch is one rename; a deploy that is cut leaves the release before in place.
 */
export async function deployArtifact(
  device: Device,
  artifactFolder: string,
  options: { name: string; progress?: Progress },
): Promise<Release> {
  const progress = options.progress ?? silentProgress()
  const name = checkName(options.name, 'the name of a release')
  const before = device.connection.traffic.sentBytes
  progress.stage('verify', artifactFolder)
  const { manifest, files } = await readArtifact(artifactFolder)
  const contentId = sha256(
    files
      .map((file) => `${file.sha256} ${file.path}\n`)
      .sort()
      .join(''),
  )
  progress.stage('deploy', `${name} to ${device.name}`)
  const state = await askStore(device, files, { name, contentId })
  if (state.missing.length > 0) await sendBlobs(device, state.missing, state.freeBytes, progress)
  const number =
    state.missing.length === 0 && state.currentNumber !== null
      ? state.currentNumber
      : await makeRelease(device, name, contentId, files)
  const currentPath = `${device.root}/releases/${name}/current`
  return {
    name,
    number,
    path: `${device.root}/releases/${name}/${number}`,
    currentPath,
    modelPath: `${device.root}/releases/${name}/${number}/${manifest.model}`,
    sentBytes: device.connection.traffic.sentBytes - before,
    alreadyThere: number === state.currentNumber && state.missing.length === 0,
  }
}

/** The manifest and every file it names, each checked against its digest before anything is sent. */
async function readArtifact(folder: string): Promise<{ manifest: Manifest; files: ReleaseFile[] }> {
  const path = join(folder, 'manifest.json')
  let text: Buffer
  try {
    text = await readFile(path)
  } catch (error) {
    throw new EdgewrightError('ARTIFACT_NOT_FOUND', 'There is no artifact in this folder.', {
      where: folder,
      saw: (error as Error).message,
      hint: 'An artifact is a folder with a manifest.json, made by `edgewright compile`.',
      cause: error,
    })
  }
  const manifest = parseManifest(text, path)
  const files: ReleaseFile[] = []
  for (const file of manifest.files) {
    if (file.path === 'manifest.json') continue
    files.push({
      ...(await localBlob(join(folder, checkRelativePath(file.path)), file.sha256)),
      path: file.path,
    })
  }
  if (!files.some((file) => file.path === manifest.model))
    throw new EdgewrightError('ARTIFACT_INVALID', 'The manifest does not list the model among its files.', {
      where: path,
      saw: printable(manifest.model),
    })
  files.push({ ...(await localBlob(path, sha256(text))), path: 'manifest.json' })
  return { manifest, files }
}

function parseManifest(text: Buffer, path: string): Manifest {
  let value: unknown
  try {
    value = JSON.parse(text.toString('utf8'))
  } catch (error) {
    throw new EdgewrightError('ARTIFACT_INVALID', 'The manifest is not JSON.', {
      where: path,
      saw: printable((error as Error).message),
      cause: error,
    })
  }
  const parsed = manifestSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new EdgewrightError('ARTIFACT_INVALID', 'The manifest is not one that this version understands.', {
    where: path,
    saw: printable(`${issue?.path.join('.')}: ${issue?.message}`),
  })
}

async function makeRelease(
  device: Device,
  name: string,
  contentId: string,
  files: readonly ReleaseFile[],
): Promise<number> {
  const args = files.flatMap((file) => [file.sha256, file.path])
  const lines = await remoteScript(device, 'making the release', releaseScript, [
    device.root,
    name,
    contentId,
    String(keptReleases),
    ...args,
  ])
  return wholeNumber(device, lines.find(([word]) => word === 'release')?.[1])
}

/**
 * `mkdir` takes the number, so two hosts never share one; `current` is renamed over from a folder of its own, since
 * `mv` onto a link to a folder would move into that folder. A half-made release is never current and goes with the old.
 */
const releaseScript = `
root=$1 name=$2 id=$3 keep=$4; shift 4
r=$root/releases/$name
mkdir -p "$r" || exit 70
numbers() { for d in "$r"/*; do k=\${d##*/}; case $k in *[!0-9]*) ;; *) [ -d "$d" ] && echo "$k" ;; esac; done; }
n=0
for k in $(numbers); do [ "$k" -gt "$n" ] && n=$k; done
tries=0
until n=$((n + 1)); mkdir "$r/$n" 2>/dev/null; do tries=$((tries + 1)); [ "$tries" -lt 50 ] || { mkdir "$r/$n"; exit 71; }; done
t=$r/$n
while [ $# -ge 2 ]; do
  case $2 in */*) mkdir -p "$t/\${2%/*}" || exit 72 ;; esac
  ln "$root/blobs/$1" "$t/$2" 2>/dev/null || ln -s "$root/blobs/$1" "$t/$2" || exit 73
  shift 2
done
printf '%s\\n' "$id" >"$t/.content" || exit 74
mkdir -p "$r/.switch.$n" && ln -s "$n" "$r/.switch.$n/current" && mv -f "$r/.switch.$n/current" "$r/" || exit 75
rmdir "$r/.switch.$n"
now=$(readlink "$r/current")
for k in $(numbers); do [ "$k" -le $((n - keep)) ] && [ "$k" != "$now" ] && rm -rf "\${r:?}/$k"; done
sync
echo "release $n"`
