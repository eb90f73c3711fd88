import { createHash } from 'node:crypto'
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { EdgewrightError } from '../error.ts'
import { bytesOf, elementCount } from '../tensor.ts'

/** A training as it stands, in one file. */
export interface Checkpoint {
  /** sha256 over whatever decides what training comes to: a file of another training is refused. */
  readonly digest: string
  readonly step: number
  readonly epoch: number
  /** float32, exact. */
  readonly tensors: ReadonlyMap<string, Float32Array>
}

export interface ExpectedCheckpoint {
  readonly digest: string
  /** Shape of each tensor by name. */
  readonly tensors: ReadonlyMap<string, readonly number[]>
}

const magic = 'edgewright checkpoint 1\n'
const digestLength = 32
const longestHeader = 16 << 20

/**
 * Writes a checkpoint whole or not at all: under another name first, and renamed once it is on the disk.
 * Layout: magic, length of the header (uint32), header (JSON), the tensors in its order, sha256 over everything before.
 */
export async function writeCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const { digest, step, epoch, tensors } = checkpoint
  const header = Buffer.from(
    JSON.stringify({
      digest,
      step,
      epoch,
      tensors: [...tensors].map(([name, values]) => [name, values.length]),
    }),
  )
  const length = Buffer.alloc(4)
  length.writeUInt32LE(header.length)
  const parts = [Buffer.from(magic), length, header, ...[...tensors.values()].map(bytesOf)]
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  await mkdir(dirname(path), { recursive: true })
  const temporary = `${path}.${process.pid}.tmp`
  try {
    const file = await open(temporary, 'w')
    try {
      for (const part of [...parts, hash.digest()]) await file.writeFile(part)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/**
 * Reads a checkpoint back; null where there is none.
 *
 * @throws CHECKPOINT_INVALID where the file is cut, damaged or of another training
 */
export async function readCheckpoint(path: string, expected: ExpectedCheckpoint): Promise<Checkpoint | null> {
  const bytes = await bytesAt(path, expected)
  if (!bytes) return null
  const header = headerOf(bytes, path)
  if (header.digest !== expected.digest)
    throw invalid(path, 'It is of another training: network, data or options differ.')
  const sizes = new Map(header.tensors)
  const tensors = new Map<string, Float32Array>()
  let at = header.end
  for (const [name, shape] of expected.tensors)
    if (sizes.get(name) !== elementCount(shape)) throw invalid(path, `It lacks ${name}.`)
  for (const [name, length] of header.tensors) {
    if (!expected.tensors.has(name))
      throw invalid(path, `It holds ${JSON.stringify(name)}, which is not in this network.`)
    tensors.set(
      name,
      new Float32Array(bytes.buffer.slice(bytes.byteOffset + at, bytes.byteOffset + at + 4 * length)),
    )
    at += 4 * length
  }
  return { digest: header.digest, step: header.step, epoch: header.epoch, tensors }
}

async function bytesAt(path: string, { tensors }: ExpectedCheckpoint): Promise<Buffer | null> {
  const found = await stat(path).catch(() => null)
  if (!found) return null
  const payload = [...tensors.values()].reduce((sum, shape) => sum + 4 * elementCount(shape), 0)
  // read nothing that cannot be right
  if (!found.isFile() || found.size > payload + longestHeader)
    throw invalid(path, `It has ${found.size} bytes.`)
  return readFile(path)
}

interface Header {
  readonly digest: string
  readonly step: number
  readonly epoch: number
  readonly tensors: readonly (readonly [string, number])[]
  /** Offset of the first tensor. */
  readonly end: number
}

function headerOf(bytes: Buffer, path: string): Header {
  const start = magic.length + 4
  if (bytes.length < start + digestLength || bytes.toString('latin1', 0, magic.length) !== magic)
    throw invalid(path, 'It is no checkpoint, or it is cut.')
  const body = bytes.subarray(0, bytes.length - digestLength)
  if (
    !createHash('sha256')
      .update(body)
      .digest()
      .equals(bytes.subarray(bytes.length - digestLength))
  )
    throw invalid(path, 'It is damaged or cut: its checksum is another.')
  const end = start + body.readUInt32LE(magic.length)
  // the checksum holds: what follows was written by this program or by somebody who means harm
  try {
    const { digest, step, epoch, tensors } = JSON.parse(body.toString('utf8', start, end)) as Header
    const whole = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0
    const named = tensors.every(([name, length]) => typeof name === 'string' && whole(length))
    const total = tensors.reduce((sum, [, length]) => sum + 4 * length, 0)
    if (typeof digest === 'string' && whole(step) && whole(epoch) && named && end + total === body.length)
      return { digest, step, epoch, tensors, end }
  } catch {
    // said below
  }
  throw invalid(path, 'Its header says what is not in it.')
}

function invalid(path: string, saw: string): EdgewrightError {
  return new EdgewrightError('CHECKPOINT_INVALID', 'The checkpoint cannot be taken up.', {
    where: path,
    saw,
    hint: 'Leave out --resume to begin anew, or use the options that it was made with.',
  })
}
