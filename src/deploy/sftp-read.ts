import type { Client, SFTPWrapper } from 'ssh2'

const pieceBytes = 32 * 1024
const readsInFlight = 16
/** SSH_FX_EOF of draft-ietf-secsh-filexfer-02. */
const endOfFile = 1

/** Opens the SFTP subsystem; null where the board has none. */
export function openSftp(client: Client): Promise<SFTPWrapper | null> {
  return new Promise((resolve) => {
    try {
      client.sftp((error, sftp) => resolve(error ? null : sftp))
    } catch {
      resolve(null)
    }
  })
}

/**
 * Reads from an offset to the file's end as it is now, at most `maxBytes`. Files of /proc, which say that their size
 * is 0, are read as well: the end is where a read says so. The first piece goes alone, as most reads are small.
 */
export async function sftpRead(
  sftp: SFTPWrapper,
  path: string,
  offset: number,
  maxBytes: number,
): Promise<Buffer> {
  const handle = await new Promise<Buffer>((resolve, reject) => {
    sftp.open(path, 'r', (error, opened) => (error ? reject(error) : resolve(opened)))
  })
  try {
    const pieces: Buffer[] = []
    let total = 0
    for (let width = 1; total < maxBytes; width = readsInFlight) {
      const wanted: Promise<Buffer>[] = []
      for (let i = 0; i < width && total + i * pieceBytes < maxBytes; i++) {
        const at = total + i * pieceBytes
        wanted.push(readPiece(sftp, handle, offset + at, Math.min(pieceBytes, maxBytes - at)))
      }
      for (const piece of await Promise.all(wanted)) {
        pieces.push(piece)
        total += piece.length
        // A short piece is the end, or a file that grew since: what came after it is asked for again next time.
        if (piece.length < pieceBytes) return Buffer.concat(pieces)
      }
    }
    return Buffer.concat(pieces)
  } finally {
    sftp.close(handle, () => {})
  }
}

/** One piece, whole unless the file ends in it. */
async function readPiece(
  sftp: SFTPWrapper,
  handle: Buffer,
  position: number,
  length: number,
): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  let filled = 0
  while (filled < length) {
    const got = await new Promise<number>((resolve, reject) => {
      sftp.read(handle, buffer, filled, length - filled, position + filled, (error, bytesRead) => {
        if (error === undefined || error === null) resolve(bytesRead)
        else if ((error as { code?: number }).code === endOfFile) resolve(0)
        else reject(error)
      })
    })
    if (got === 0) break
    filled += got
  }
  return buffer.subarray(0, filled)
}
