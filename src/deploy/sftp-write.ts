import type { SFTPWrapper } from 'ssh2'

/** What OpenSSH takes in one write (255 KiB); ssh2 splits further where a server takes less. */
const pieceBytes = 255 * 1024
/** Writes under way at a time: fills the channel's 2 MiB window, so that the link is never idle. */
const writesInFlight = 8

/** Bytes by position, from a file (into the buffer given, which is used again) or from memory. */
export type ByteSource = (position: number, into: Buffer) => Promise<Buffer> | Buffer

/**
 * Writes a whole file over SFTP with several large writes under way: twice as fast on a loopback as `cat`, which has a
 * pipe and one more process between (bench/transfer.ts). `isWanted` turning false stops it between two writes.
 */
export async function sftpWrite(
  sftp: SFTPWrapper,
  path: string,
  source: ByteSource,
  sizeBytes: number,
  onSent: (bytes: number) => void,
  isWanted: () => boolean,
): Promise<void> {
  const handle = await new Promise<Buffer>((resolve, reject) => {
    sftp.open(path, 'w', (error, opened) => (error ? reject(error) : resolve(opened)))
  })
  let next = 0
  let failed = false
  const work = async () => {
    const buffer = Buffer.allocUnsafe(Math.min(pieceBytes, sizeBytes))
    while (next < sizeBytes && isWanted() && !failed) {
      const position = next
      const length = Math.min(pieceBytes, sizeBytes - position)
      next += length
      try {
        const piece = await source(position, buffer.subarray(0, length))
        if (piece.length !== length) throw new Error('the local file became shorter while it was sent')
        await new Promise<void>((resolve, reject) => {
          sftp.write(handle, piece, 0, length, position, (error) => (error ? reject(error) : resolve()))
        })
      } catch (error) {
        failed = true
        throw error
      }
      onSent(length)
    }
  }
  const results = await Promise.allSettled(Array.from({ length: writesInFlight }, work))
  const closed = new Promise<void>((resolve, reject) =>
    sftp.close(handle, (error) => (error ? reject(error) : resolve())),
  )
  const failure = results.find((result) => result.status === 'rejected')
  if (failure !== undefined) {
    await closed.catch(() => {})
    throw failure.reason
  }
  await closed
}
