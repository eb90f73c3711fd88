import { connect, createServer } from 'node:net'

/** A TCP port of the loopback that nobody listens on just now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** Waits until an SSH server greets on the port; false where `ended` became true first or the time was up. */
export async function waitForSsh(port: number, deadlineMs: number, ended: () => boolean): Promise<boolean> {
  const deadline = Date.now() + deadlineMs
  while (Date.now() < deadline && !ended()) {
    if (await greets(port)) return true
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return false
}

function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const finish = (greeted: boolean) => {
      socket.destroy()
      resolve(greeted)
    }
    socket.setTimeout(3000, () => finish(false))
    socket.once('error', () => finish(false))
    socket.once('close', () => resolve(false))
    socket.once('data', (data) => finish(data.toString('latin1').startsWith('SSH-')))
  })
}
