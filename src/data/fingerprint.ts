import { stat } from 'node:fs/promises'
import { sha256, sha256OfFile } from '../digest.ts'

/** A file this young may change once more without its times showing it. */
const settledMs = 2_000

/**
 * What changes whenever a file does, mostly without reading it: place, size and times. The time of the last change of
 * state (ctime) cannot be set back, unlike that of the last change of content. A file whose times are too young to tell is
 * read.
 */
export async function fingerprintOfFile(path: string): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs, ctimeMs } = await stat(path, { bigint: true })
  const settled = Date.now() - Number(ctimeMs) > settledMs
  return settled ? [path, dev, ino, size, mtimeNs, ctimeNs].join(' ') : `${path} ${await sha256OfFile(path)}`
}

/** Of several files, in order. */
export async function fingerprintOfFiles(paths: readonly string[]): Promise<string> {
  const lines: string[] = []
  for (const path of paths) lines.push(await fingerprintOfFile(path))
  return sha256(lines.join('\n'))
}
