import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { type Manifest, manifestSchema } from './manifest.ts'
import { sha256 } from '../digest.ts'
import { EdgewrightError } from '../error.ts'

/**
 * Writes an artifact's folder whole or not at all. An artifact that stands there is replaced; anything else is left
 * alone and refused.
 */
export async function writeArtifact(folder: string, manifest: Omit<Manifest, 'files'>, files: ReadonlyMap<string, Uint8Array>): Promise<Manifest> {
  const target = resolve(folder)
  if (existsSync(target) && !existsSync(join(target, 'manifest.json')))
    throw new EdgewrightError('ARTIFACT_INVALID', 'The output folder exists and is not an artifact.', { where: target, hint: 'Name another folder with --out.' })
  const complete: Manifest = {
    ...manifest,
    files: [...files].map(([path, bytes]) => ({ path, bytes: bytes.byteLength, sha256: sha256(bytes) })),
  }
  const temporary = `${target}.incoming-${process.pid}`
  try {
    await mkdir(temporary, { recursive: true })
    for (const [path, bytes] of files) {
      await mkdir(dirname(join(temporary, path)), { recursive: true })
      await writeFile(join(temporary, path), bytes)
    }
    await writeFile(join(temporary, 'manifest.json'), `${JSON.stringify(complete, null, 2)}\n`)
    await rm(target, { recursive: true, force: true })
    await rename(temporary, target)
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
  return complete
}

/** Reads and checks an artifact folder's manifest; the files are checked where they are used. */
export async function readArtifact(folder: string): Promise<Manifest> {
  const path = join(resolve(folder), 'manifest.json')
  let written: string
  try {
    written = await readFile(path, 'utf8')
  } catch (cause) {
    throw new EdgewrightError('ARTIFACT_NOT_FOUND', 'There is no artifact.', { where: path, hint: 'Make one with edgewright compile.', cause })
  }
  let parsed: unknown
  try {
    parsed = JSON.parse(written)
  } catch (cause) {
    throw new EdgewrightError('ARTIFACT_INVALID', "The artifact's manifest is not JSON.", { where: path, cause })
  }
  const result = manifestSchema.safeParse(parsed)
  if (!result.success)
    throw new EdgewrightError('ARTIFACT_INVALID', "The artifact's manifest has mistakes.", {
      where: path,
      saw: result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '),
      hint: 'Compile it again.',
    })
  return result.data
}
