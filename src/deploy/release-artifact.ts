import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Manifest, manifestSchema } from '../artifact/manifest.ts'
import { sha256 } from '../digest.ts'
import { EdgewrightError } from '../error.ts'
import { type Blob, localBlob } from './blobs.ts'
import { checkRelativePath } from './names.ts'
import { printable } from './printable.ts'

export interface ReleaseFile extends Blob {
  readonly path: string
}

/** The manifest and every file it names, each checked against its digest before anything is sent. */
export async function readArtifact(
  folder: string,
): Promise<{ manifest: Manifest; files: ReleaseFile[]; contentId: string }> {
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
  const lines = files.map((file) => `${file.sha256} ${file.path}\n`)
  return { manifest, files, contentId: sha256(lines.sort().join('')) }
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
