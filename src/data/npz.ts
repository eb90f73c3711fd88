import { readFile, stat } from 'node:fs/promises'
import { unzipSync } from 'fflate'
import { EdgewrightError } from '../error.ts'
import { arrayLimitBytes, npyInMemory } from './npy.ts'
import type { StoredArray } from './stored-array.ts'

const memberLimit = 1024
/** Deflate cannot shrink more than 1032 to 1: a member that claims to is lying. */
const deflateLimit = 1032

/**
 * Opens a .npz archive (a zip of .npy files, as numpy.savez and savez_compressed write): arrays by name.
 * Sizes are checked before anything is inflated.
 *
 * @throws DATA_BROKEN for what is not such an archive, and for one that claims to hold more than 2 GB
 */
export async function openNpz(path: string): Promise<Map<string, StoredArray>> {
  const { size } = await stat(path)
  if (size > arrayLimitBytes) throw broken(path, `${size} bytes`)
  let members = 0
  let total = 0
  let inflated: Record<string, Uint8Array>
  try {
    inflated = unzipSync(await readFile(path), {
      filter(member) {
        total += member.originalSize
        if (++members > memberLimit) throw broken(path, `more than ${memberLimit} members`)
        if (total > arrayLimitBytes || !(member.originalSize >= 0))
          throw broken(path, `${total} bytes when unpacked`)
        if (member.originalSize > member.size * deflateLimit + 64)
          throw broken(
            path,
            `${member.name}: ${member.size} bytes that claim to unpack to ${member.originalSize}`,
          )
        return member.name.endsWith('.npy')
      },
    })
  } catch (error) {
    if (error instanceof EdgewrightError) throw error
    throw broken(path, error instanceof Error ? error.message : String(error), error)
  }
  const arrays = new Map<string, StoredArray>()
  for (const [name, bytes] of Object.entries(inflated))
    arrays.set(name.slice(0, -'.npy'.length), npyInMemory(bytes, `${path}:${name}`))
  return arrays
}

function broken(path: string, saw: string, cause?: unknown): EdgewrightError {
  return new EdgewrightError('DATA_BROKEN', 'The .npz archive cannot be read.', {
    where: path,
    saw,
    hint: 'Save it again with numpy.savez; arrays of more than 2 GB go in a .npy of their own.',
    cause,
  })
}
