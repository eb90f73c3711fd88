import { connect, type Socket } from 'node:net'
import { gatherWrites } from './gather-writes.ts'

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
