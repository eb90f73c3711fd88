import { randomBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { sha256, sha256OfFile } from '../digest.ts'
import { EdgewrightError } from '../error.ts'
import { type Progress, silentProgress } from '../progress.ts'
import { checkDigest } from './names.ts'
import { remoteScript, wholeNumber } from './remote-script.ts'
import type { Device } from './types.ts'

/** Bytes to stand on a board as `blobs/<sha256>`. */
export interface Blob {
  /** A local file, or the bytes themselves. */
  readonly source: string | Uint8Array
  readonly sha256: string
  readonly bytes: number
  readonly executable: boolean
}

export interface PlacedBlob {
  /** Absolute path on the board. */
  readonly path: string
  readonly sentBytes: number
  readonly alreadyThere: boolean
}

/** Puts one file on a board by its digest, unless it is there: a runtime library, the runner. */
export async function ensureBlob(
  device: Device,
  localPath: string,
  sha256: string,
  options: { executable?: boolean; progress?: Progress } = {},
): Promise<PlacedBlob> {
  return place(
    device,
    await localBlob(localPath, sha256, options.executable ?? false),
    options.progress ?? silentProgress(),
  )
}

/** The same for bytes held in memory; their digest is their name. */
export function ensureBlobBytes(
  device: Device,
  bytes: Uint8Array,
  options: { executable?: boolean; progress?: Progress } = {},
): Promise<PlacedBlob> {
  const blob = {
    source: bytes,
    sha256: sha256(bytes),
    bytes: bytes.length,
    executable: options.executable ?? false,
  }
  return place(device, blob, options.progress ?? silentProgress())
}

async function place(device: Device, blob: Blob, progress: Progress): Promise<PlacedBlob> {
  const before = device.connection.traffic.sentBytes
  const state = await askStore(device, [blob])
  if (state.missing.length > 0) await sendBlobs(device, state.missing, state.freeBytes, progress)
  return {
    path: `${device.root}/blobs/${blob.sha256}`,
    sentBytes: device.connection.traffic.sentBytes - before,
    alreadyThere: state.missing.length === 0,
  }
}

/** A file of ours, once its bytes are known to have the digest that is claimed. */
export async function localBlob(localPath: string, sha256: string, executable = false): Promise<Blob> {
  checkDigest(sha256)
  let bytes: number
  let found: string
  try {
    bytes = (await stat(localPath)).size
    found = await sha256OfFile(localPath)
  } catch (error) {
    throw new EdgewrightError('ARTIFACT_INVALID', 'A file to be deployed cannot be read.', {
      where: localPath,
      saw: (error as Error).message,
      cause: error,
    })
  }
  if (found !== sha256)
    throw new EdgewrightError(
      'ARTIFACT_INVALID',
      'A file does not have the digest that is on record for it.',
      {
        where: localPath,
        saw: `sha256 ${found}, expected ${sha256}`,
        hint: 'It was changed or damaged after it was made; make it again.',
      },
    )
  return { source: localPath, sha256, bytes, executable }
}

export interface StoreState {
  readonly missing: readonly Blob[]
  readonly freeBytes: number
  /** The number of the current release where its content is `contentId`, else null. */
  readonly currentNumber: number | null
}

/** Asks in one call which blobs are missing, how much room there is, and whether a release is already current. */
export async function askStore(
  device: Device,
  blobs: readonly Blob[],
  release?: { name: string; contentId: string },
): Promise<StoreState> {
  const args = blobs.map((blob) => `${blob.sha256}:${blob.bytes}${blob.executable ? ':x' : ''}`)
  const lines = await remoteScript(device, 'looking at the store', askScript, [
    device.root,
    release?.name ?? '',
    release?.contentId ?? '',
    ...args,
  ])
  const missing = new Set(lines.filter(([word]) => word === 'missing').map(([, digest]) => digest))
  const free = lines.find(([word]) => word === 'free')
  const current = lines.find(([word]) => word === 'current')
  return {
    missing: blobs.filter(
      (blob, index) =>
        missing.has(blob.sha256) && blobs.findIndex((one) => one.sha256 === blob.sha256) === index,
    ),
    freeBytes: wholeNumber(device, free?.[1]) * 1024,
    currentNumber: current === undefined ? null : wholeNumber(device, current[1]),
  }
}

/** A blob of another size than it should have is as good as missing: what a power cut leaves behind. */
const askScript = `
root=$1 name=$2 id=$3; shift 3
mkdir -p "$root/blobs/.incoming" "$root/releases" "$root/runs" "$root/lock" || exit 70
find "$root/blobs/.incoming" -type f -mtime +0 -exec rm -f {} + 2>/dev/null
for b in "$@"; do
  s=\${b%%:*} n=\${b#*:} f=$root/blobs/\${b%%:*}
  if [ -f "$f" ] && [ "$(wc -c <"$f")" -eq "\${n%:x}" ]; then
    case $n in *:x) [ -x "$f" ] || chmod 555 "$f" ;; esac
  else echo "missing $s"; fi
done
df -Pk "$root" | { read -r _; read -r _ _ _ a _; echo "free $a"; }
c=$root/releases/$name/current
if [ -n "$name" ] && [ -f "$c/.content" ] && read -r have <"$c/.content" && [ "$have" = "$id" ]; then
  n=$(readlink "$c"); echo "current \${n##*/}"
fi
return 0`

/** Left free for the file system's own needs. */
const spareBytes = 1024 * 1024

/** Sends blobs to `.incoming`, then verifies them there and renames them into place; what is half there is never used. */
export async function sendBlobs(
  device: Device,
  blobs: readonly Blob[],
  freeBytes: number,
  progress: Progress,
): Promise<void> {
  const neededBytes = blobs.reduce((sum, blob) => sum + blob.bytes, 0)
  if (neededBytes + spareBytes > freeBytes) throw diskFull(device, neededBytes, freeBytes)
  const tag = randomBytes(6).toString('hex')
  const incoming = (blob: Blob) => `${device.root}/blobs/.incoming/${blob.sha256}.${tag}`
  let sentBytes = 0
  try {
    for (const blob of blobs) {
      const base = sentBytes
      if (typeof blob.source !== 'string') await device.connection.uploadBytes(blob.source, incoming(blob))
      else
        await device.connection.upload(blob.source, incoming(blob), {
          signal: progress.signal,
          stage: (name, detail) => progress.stage(name, detail),
          tick: (done) => progress.tick(base + done, neededBytes, 'B'),
          warn: (warning) => progress.warn(warning),
        })
      sentBytes += blob.bytes
    }
    await settleBlobs(device, blobs, tag)
  } catch (error) {
    throw await afterFailedUpload(device, blobs.map(incoming), neededBytes, error)
  }
}

async function settleBlobs(device: Device, blobs: readonly Blob[], tag: string): Promise<void> {
  const args = blobs.flatMap((blob) => [blob.sha256, blob.executable ? '555' : '444'])
  const totalBytes = blobs.reduce((sum, blob) => sum + blob.bytes, 0)
  const lines = await remoteScript(
    device,
    'checking what was sent',
    settleScript,
    [device.root, tag, ...args],
    {
      deadlineMs: 120_000 + totalBytes / 1000,
    },
  )
  const bad = lines.find(([word]) => word === 'bad')
  if (bad !== undefined)
    throw new EdgewrightError('DEVICE_ANSWER_INVALID', `A file arrived damaged on ${device.name}.`, {
      where: `${device.root}/blobs`,
      saw: `sha256 ${bad[2] ?? 'none'}, expected ${bad[1]}`,
      hint: "Deploy again; if it comes back, check the board's disk with dmesg.",
    })
  if (lines.filter(([word]) => word === 'ok').length !== blobs.length)
    throw new EdgewrightError('DEVICE_UNSUPPORTED', `${device.name} cannot check a sha256.`, {
      where: device.name,
      hint: 'It needs one of sha256sum, shasum or openssl.',
    })
}

/** Shell: the sha256 of a file, or nothing where the board has no program for it. */
export const digestFunction = `digest() {
  if command -v sha256sum >/dev/null 2>&1; then sha256sum
  elif command -v shasum >/dev/null 2>&1; then shasum -a 256
  elif command -v openssl >/dev/null 2>&1; then openssl dgst -sha256 -r
  else return 1; fi <"$1" | cut -c1-64
}`

/** On the disk before the rename, read-only after it: an application that writes into a release cannot spoil the blob. */
const settleScript = `
root=$1 tag=$2; shift 2
${digestFunction}
while [ $# -ge 2 ]; do
  f=$root/blobs/.incoming/$1.$tag
  d=$(digest "$f")
  if [ "$d" = "$1" ]; then
    chmod "$2" "$f" && { sync "$f" 2>/dev/null || sync; } && mv -f "$f" "$root/blobs/$1" && echo "ok $1" || exit 71
  elif [ -n "$d" ]; then rm -f "$f"; echo "bad $1 $d"; fi
  shift 2
done`

/** Takes the half-sent files away where the link still stands, and tells a full disk from other failures. */
async function afterFailedUpload(
  device: Device,
  paths: readonly string[],
  neededBytes: number,
  error: unknown,
): Promise<unknown> {
  const code = error instanceof EdgewrightError ? error.code : null
  if (code === 'DEVICE_LOST') return error
  try {
    const lines = await remoteScript(device, 'cleaning up', cleanUpScript, [device.root, ...paths], {
      deadlineMs: 15_000,
    })
    const freeBytes = wholeNumber(device, lines.find(([word]) => word === 'free')?.[1]) * 1024
    return code === 'DEVICE_DISK_FULL' ? diskFull(device, neededBytes, freeBytes, error) : error
  } catch {
    return error
  }
}

const cleanUpScript = `
root=$1; shift
rm -f -- "$@"
df -Pk "$root" | { read -r _; read -r _ _ _ a _; echo "free $a"; }`

function diskFull(device: Device, neededBytes: number, freeBytes: number, cause?: unknown): EdgewrightError {
  return new EdgewrightError('DEVICE_DISK_FULL', `${device.name} has too little room on its disk.`, {
    where: device.root,
    saw: `${megabytes(neededBytes)} needed, ${megabytes(freeBytes)} free`,
    hint: 'Free some space on the board, or give another --root.',
    cause,
  })
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
