import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'

/** sha256 in lower-case hex. */
export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Read at once: runtime libraries have tens of megabytes, and small pieces cost more than hashing them. */
const pieceBytes = 2 ** 20

/** sha256 of a file, a piece at a time. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  const file = await open(path, 'r')
  try {
    const piece = new Uint8Array(pieceBytes)
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, piece.length)
      if (bytesRead === 0) return hash.digest('hex')
      hash.update(piece.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
}
