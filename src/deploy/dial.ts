import { connect, type Socket } from 'node:net'

/** Opens a TCP connection that suits ssh2; `giveUp` on the result ends a try that takes too long. */
export function dial(host: string, port: number): { readonly socket: Promise<Socket>; giveUp(): void } {
  const socket = connect({ host, port, noDelay: true })
  const opened = new Promise<Socket>((resolve, reject) => {
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.removeListener('error', reject)
      resolve(gatherWrites(socket))
    })
  })
  return { socket: opened, giveUp: () => socket.destroy() }
}

/**
 * ssh2 writes each packet in three parts, which without Nagle's delay are three segments and three system calls:
 * all that is written in one turn of the event loop goes out in one call instead.
 */
function gatherWrites(socket: Socket): Socket {
  const write = socket.write
  let corked = false
  socket.write = function (this: Socket, ...args: unknown[]): boolean {
    if (!corked) {
      corked = true
      socket.cork()
      process.nextTick(() => {
        corked = false
        socket.uncork()
      })
    }
    return (write as (...all: unknown[]) => boolean).apply(this, args)
  } as Socket['write']
  return socket
}
