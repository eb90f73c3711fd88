import type { Socket } from 'node:net'

const gatheredBytes = 256 * 1024
/** Together the 2 MiB window of a channel. */
const keptBuffers = 8

/**
 * Makes a socket suit ssh2, which must be the only one that writes to it. ssh2 writes each packet in three parts: all that
 * is written in one turn of the event loop is copied together and goes out in few calls (bench/transfer.ts).
 */
export function gatherWrites(socket: Socket): Socket {
  const write: (...all: unknown[]) => boolean = socket.write.bind(socket) as never
  const end: (...all: unknown[]) => Socket = socket.end.bind(socket) as never
  const kept: Buffer[] = []
  let current: Buffer | null = null
  let filled = 0
  let planned = false

  const flush = () => {
    if (current === null || filled === 0) return
    const full = current
    const bytes = full.subarray(0, filled)
    current = null
    filled = 0
    if (!socket.writable) return
    write(bytes, () => {
      if (kept.length < keptBuffers) kept.push(full)
    })
  }
  const endTurn = () => {
    planned = false
    flush()
  }
  const gather = (chunk: Uint8Array) => {
    for (let at = 0; at < chunk.length; ) {
      current ??= kept.pop() ?? Buffer.allocUnsafeSlow(gatheredBytes)
      const part = chunk.subarray(at, at + gatheredBytes - filled)
      current.set(part, filled)
      filled += part.length
      at += part.length
      if (filled === gatheredBytes) flush()
    }
    if (planned) return
    planned = true
    process.nextTick(endTurn)
  }

  socket.write = ((chunk: unknown, ...rest: unknown[]): boolean => {
    if (chunk instanceof Uint8Array && rest.length === 0) {
      gather(chunk)
      return !socket.writableNeedDrain
    }
    flush()
    return write(chunk, ...rest)
  }) as Socket['write']
  socket.end = ((...all: unknown[]): Socket => {
    flush()
    return end(...all)
  }) as Socket['end']
  return socket
}
