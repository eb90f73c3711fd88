import { createHash } from 'node:crypto'
import { constants, type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { EdgewrightError } from '../error.ts'
import { bytesOf, elementCount } from '../tensor.ts'

/** A training as it stands, in one file. */
export interface Checkpoint {
  /** sha256 over whatever decides what training comes to: a file of another training is refused. */
  readonly digest: string
  /** Steps done, over all epochs. */
  readonly step: number
  readonly epoch: number
  /** Parameters, statistics and what the optimizer keeps, by name: float32, exact. */
  readonly tensors: ReadonlyMap<string, Float32Array>
}

export interface ExpectedCheckpoint {
  readonly digest: string
  /** Shape of each tensor by name. */
  readonly tensors: ReadonlyMap<string, readonly number[]>
}

interface Header {
  readonly digest: string
  readonly step: number
  readonly epoch: number
  /** Name and elements of each tensor, in the order of the file. */
  readonly tensors: readonly (readonly [string, number])[]
}

const magic = Buffer.from('edgewright checkpoint 1\n')
const digestLength = 32
const longestHeader = 16 * 2 ** 20

/**
 * Writes a checkpoint whole or not at all: beside its place first, and moved there once it is on the disk. Whatever
 * kills the program or the computer meanwhile leaves the old one.
 *
 * Layout: magic, length of the header (uint32), header (JSON), the tensors in its order, sha256 over everything before.
 *
 * @throws CHECKPOINT_NOT_WRITTEN
 */
export async function writeCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const { digest, step, epoch, tensors } = checkpoint
  const sizes = [...tensors].map(([name, { length }]) => [name, length] as const)
  const header = Buffer.from(JSON.stringify({ digest, step, epoch, tensors: sizes } satisfies Header))
  const headerLength = Buffer.alloc(4)
  headerLength.writeUInt32LE(header.length)
  const parts = [magic, headerLength, header, ...[...tensors.values()].map(bytesOf)]
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  parts.push(hash.digest())
  // one name for all: what a kill leaves is overwritten by the next, and its ending is that of a checkpoint
  const unfinished = join(dirname(path), `unfinished-${basename(path)}`)
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeThrough(unfinished, parts)
    await rename(unfinished, path)
    await syncFolder(dirname(path))
  } catch (cause) {
    await rm(unfinished, { force: true }).catch(() => undefined)
    throw new EdgewrightError('CHECKPOINT_NOT_WRITTEN', 'The checkpoint cannot be written.', {
      where: path,
      saw: (cause as Error).message,
      hint: 'Make room there, or choose another folder (--out). A checkpoint from before is whole.',
      cause,
    })
  }
}

async function writeThrough(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const file = await open(path, 'w')
  try {
    for (const part of parts) await file.writeFile(part)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** The new name is on the disk only when the folder is. */
async function syncFolder(path: string): Promise<void> {
  // Windows opens no folders and needs none of this
  const folder = await open(path, 'r').catch(() => null)
  await folder?.sync().catch(() => undefined)
  await folder?.close()
}

/**
 * Reads a checkpoint back; null where there is none. Nothing in the file is trusted: it is read only where its size can be
 * right, and used only where its checksum, its training and the size of every tensor are.
 *
 * @throws CHECKPOINT_INVALID where the file is cut, damaged or of another training
 */
export async function readCheckpoint(path: string, expected: ExpectedCheckpoint): Promise<Checkpoint | null> {
  const bytes = await bytesAt(path, expected)
  if (!bytes) return null
  const { header, payload } = sectionsOf(bytes, path)
  if (header.digest !== expected.digest)
    throw invalid(path, 'It is of another training: network, data or options differ.')
  const { step, epoch, digest } = header
  const sizes = new Map(header.tensors)
  const unknown = [...sizes.keys()].find((name) => !expected.tensors.has(name))
  if (unknown !== undefined)
    throw invalid(path, `It holds ${JSON.stringify(unknown)}, which is not in this network.`)
  for (const [name, shape] of expected.tensors)
    if (sizes.get(name) !== elementCount(shape))
      throw invalid(
        path,
        sizes.has(name) ? `${name} has another size in it: ${sizes.get(name)}.` : `It lacks ${name}.`,
      )
  const tensors = new Map<string, Float32Array>()
  let at = 0
  for (const [name, length] of header.tensors) {
    const values = new Float32Array(length)
    bytesOf(values).set(payload.subarray(at, at + values.byteLength))
    tensors.set(name, values)
    at += values.byteLength
  }
  return { digest, step, epoch, tensors }
}

/** The file's bytes where it can be a checkpoint of these tensors, null where there is none. */
async function bytesAt(path: string, { tensors }: ExpectedCheckpoint): Promise<Buffer | null> {
  let most = longestHeader
  for (const shape of tensors.values()) most += Float32Array.BYTES_PER_ELEMENT * elementCount(shape)
  const file = await openIfThere(path)
  try {
    const found = await file?.stat()
    if (!file || !found) return null
    if (!found.isFile()) throw invalid(path, 'It is not a file.')
    if (found.size > most) throw invalid(path, `It has ${found.size} bytes, ${most} at most belong to it.`)
    const bytes = Buffer.alloc(found.size)
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
    return bytes.subarray(0, bytesRead)
  } finally {
    await file?.close()
  }
}

async function openIfThere(path: string): Promise<FileHandle | null> {
  try {
    // a pipe without a writer would be waited for
    return await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw invalid(path, `It cannot be read: ${(error as Error).message}.`, error)
  }
}

function sectionsOf(bytes: Buffer, path: string): { header: Header; payload: Buffer } {
  const start = magic.length + 4
  if (bytes.length < start + digestLength || !bytes.subarray(0, magic.length).equals(magic))
    throw invalid(path, 'It is no checkpoint, or it is cut.')
  const body = bytes.subarray(0, -digestLength)
  const checksum = createHash('sha256').update(body).digest()
  if (!checksum.equals(bytes.subarray(-digestLength)))
    throw invalid(path, 'It is damaged or cut: its checksum is another.')
  // the checksum holds: what follows was written by this program or by somebody who means harm
  const end = start + body.readUInt32LE(magic.length)
  const header = end <= body.length ? headerOf(body.toString('utf8', start, end)) : null
  const payload = body.subarray(end)
  const total = header?.tensors.reduce((sum, [, length]) => sum + 4 * length, 0)
  if (!header || total !== payload.length) throw invalid(path, 'Its header says what is not in it.')
  return { header, payload }
}

/** Null where it is not what `writeCheckpoint` writes. */
function headerOf(written: string): Header | null {
  try {
    const { digest, step, epoch, tensors } = JSON.parse(written) as Header
    const whole = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0
    const named = tensors.every(([name, length]) => typeof name === 'string' && whole(length))
    const once = new Map(tensors).size === tensors.length
    return typeof digest === 'string' && whole(step) && whole(epoch) && named && once
      ? { digest, step, epoch, tensors }
      : null
  } catch {
    return null
  }
}

function invalid(path: string, saw: string, cause?: unknown): EdgewrightError {
  return new EdgewrightError('CHECKPOINT_INVALID', 'The checkpoint cannot be taken up.', {
    where: path,
    saw,
    hint: 'Leave out --resume to begin anew, or use the options that it was made with.',
    ...(cause === undefined ? {} : { cause }),
  })
}
