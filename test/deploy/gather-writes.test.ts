import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { gatherWrites } from '../../src/deploy/gather-writes.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('what is written arrives whole and in order, whatever its sizes and turns', async () => {
  const { socket, received } = await pair()
  const wanted: Buffer[] = []
  for (let i = 0; i < 600; i++) {
    const bytes = randomBytes([1, 4, 16, 300, 9000, 32_800, 700_000][i % 7]!)
    wanted.push(Buffer.from(bytes))
    if (i % 97 === 0) socket.write(bytes.toString('hex'), 'hex')
    else socket.write(bytes)
    if (i % 13 === 0) await turn()
  }
  socket.end()
  assert.ok(Buffer.concat(wanted).equals(await received))
})

test('what was written in the turn in which the socket ends is still sent', async () => {
  const { socket, received } = await pair()
  socket.write(Buffer.from('last '))
  socket.end(Buffer.from('words'))
  assert.equal(String(await received), 'last words')
})

test('a buffer may be filled anew as soon as it was written', async () => {
  const { socket, received } = await pair()
  const buffer = Buffer.alloc(1000, 'a')
  socket.write(buffer)
  buffer.fill('b')
  socket.write(buffer)
  socket.end()
  assert.equal(String(await received), 'a'.repeat(1000) + 'b'.repeat(1000))
})

test('a socket destroyed with bytes still gathered neither throws nor emits an error', async () => {
  const { socket, received } = await pair()
  socket.on('error', (error) => assert.fail(error))
  socket.write(Buffer.from('lost'))
  socket.destroy()
  assert.equal((await received).length, 0)
})

async function pair(): Promise<{ socket: Socket; received: Promise<Buffer> }> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const received = new Promise<Buffer>((resolve) => {
    server.once('connection', (far) => {
      const chunks: Buffer[] = []
      far.on('data', (chunk) => chunks.push(chunk))
      far.on('close', () => resolve(Buffer.concat(chunks)))
      server.close()
    })
  })
  const socket = connect((server.address() as { port: number }).port, '127.0.0.1')
  await new Promise((resolve) => socket.once('connect', resolve))
  return { socket: gatherWrites(socket), received }
}
