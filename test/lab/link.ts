import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { dirname } from 'node:path'
import type { Board } from './board.ts'
import { trustHostKey } from './keys.ts'

/** A cable to a board, to be pulled: a TCP relay whose port stands for the board's. */
export interface Link {
  readonly port: number
  /** `ssh://pi@127.0.0.1:PORT` through this link; the board's key is in its known_hosts for it. */
  readonly spec: string
  /** Bytes that went to the board and came from it, over all connections. */
  readonly toBoardBytes: number
  readonly fromBoardBytes: number
  /** Resets every open connection; new ones work. */
  cut(): void
  /** Resets the connection over which the `bytes`-th byte from now goes to the board; resolves when that happened. */
  cutAfter(bytes: number): Promise<void>
  /** Lets nothing through any more, and tells nobody: the cable is out. `false` puts it back in. */
  silence(silent: boolean): void
  close(): Promise<void>
}

export async function openLink(board: Board): Promise<Link> {
  const pairs = new Set<{ client: Socket; board: Socket }>()
  let toBoardBytes = 0
  let fromBoardBytes = 0
  let silent = false
  let cutAt = Number.POSITIVE_INFINITY
  let cutHappened = () => {}

  const server = createServer((client) => {
    const pair = { client, board: connect(board.port, board.host) }
    pairs.add(pair)
    const end = () => {
      pairs.delete(pair)
      reset(pair)
    }
    relay(client, pair.board, (bytes) => {
      toBoardBytes += bytes
      if (toBoardBytes < cutAt) return
      cutAt = Number.POSITIVE_INFINITY
      end()
      cutHappened()
    })
    relay(pair.board, client, (bytes) => {
      fromBoardBytes += bytes
    })
    for (const socket of [client, pair.board]) {
      socket.setNoDelay(true)
      socket.on('error', end)
      socket.on('close', () => pairs.delete(pair))
      if (silent) socket.pause()
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  trustHostKey(dirname(board.knownHostsFile), address.port)

  const cut = () => {
    for (const pair of [...pairs]) reset(pair)
    pairs.clear()
  }
  return {
    port: address.port,
    spec: `ssh://pi@127.0.0.1:${address.port}`,
    get toBoardBytes() {
      return toBoardBytes
    },
    get fromBoardBytes() {
      return fromBoardBytes
    },
    cut,
    cutAfter: (bytes) => {
      cutAt = toBoardBytes + bytes
      return new Promise((resolve) => {
        cutHappened = resolve
      })
    },
    silence: (on) => {
      silent = on
      for (const socket of [...pairs].flatMap((pair) => [pair.client, pair.board]))
        if (on) socket.pause()
        else socket.resume()
    },
    close: async () => {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Passes bytes on, no faster than the other side takes them. */
function relay(from: Socket, to: Socket, count: (bytes: number) => void): void {
  from.on('data', (data) => {
    count(data.length)
    if (!to.destroyed && !to.write(data)) {
      from.pause()
      to.once('drain', () => from.resume())
    }
  })
  from.on('end', () => to.end())
}

function reset({ client, board }: { client: Socket; board: Socket }): void {
  client.resetAndDestroy()
  board.resetAndDestroy()
}
