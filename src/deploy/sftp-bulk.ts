import type { Client, ClientChannel } from 'ssh2'
import type { ByteSource } from './sftp-write.ts'

/** Packet types and flags of draft-ietf-secsh-filexfer-02, the version that OpenSSH and every board speak. */
const packet = { init: 1, version: 2, open: 3, close: 4, write: 6, status: 101, handle: 102 }
const writeCreateTruncate = 0x02 | 0x08 | 0x10
const pieceBytes = 255 * 1024
const writesInFlight = 8
/** Answers to these requests are short; a longer one is not SFTP. */
const maxAnswerBytes = 64 * 1024

/**
 * A second SFTP channel for large files, with the few requests that these take. ssh2's own SFTP copies every write into
 * a packet first, and the garbage of that costs a fifth of the time on a fast link (bench/transfer.ts); here data is read
 * from the file to where it stands in its request, which goes to the channel in one piece.
 */
export class BulkSftp {
  readonly #answers: Answers
  #id = 0

  private constructor(channel: ClientChannel) {
    this.#answers = new Answers(channel)
  }

  /** Null where the board has no SFTP server. */
  static async open(client: Client): Promise<BulkSftp | null> {
    const channel = await openChannel(client)
    if (channel === null) return null
    const bulk = new BulkSftp(channel)
    await bulk.#answers.of(-1, [framed(Buffer.from([packet.init, 0, 0, 0, 3]))])
    return bulk
  }

  get ended(): boolean {
    return this.#answers.ended
  }

  /** Writes a whole file; `isWanted` turning false stops it between two writes. */
  async write(
    path: string,
    source: ByteSource,
    sizeBytes: number,
    onSent: (bytes: number) => void,
    isWanted: () => boolean,
  ): Promise<void> {
    const opening = ++this.#id
    const opened = await this.#answers.of(opening, [
      framed(
        Buffer.from([packet.open]),
        uint32(opening),
        string(Buffer.from(path)),
        uint32(writeCreateTruncate),
        uint32(0),
      ),
    ])
    if (opened[0] !== packet.handle) throw statusError(opened)
    const handle = opened.subarray(5)
    const headBytes = 4 + 1 + 4 + handle.length + 8 + 4
    let next = 0
    let failed = false
    const work = async () => {
      const buffer = Buffer.allocUnsafe(headBytes + Math.min(pieceBytes, sizeBytes))
      while (next < sizeBytes && isWanted() && !failed) {
        const position = next
        const length = Math.min(pieceBytes, sizeBytes - position)
        next += length
        try {
          const data = buffer.subarray(headBytes, headBytes + length)
          const piece = await source(position, data)
          if (piece.length !== length) throw new Error('the local file became shorter while it was sent')
          if (piece.buffer !== data.buffer) data.set(piece)
          const mine = ++this.#id
          let at = buffer.writeUInt32BE(headBytes - 4 + length, 0)
          at = buffer.writeUInt8(packet.write, at)
          at = buffer.writeUInt32BE(mine, at)
          at += handle.copy(buffer, at)
          at = buffer.writeUInt32BE(Math.floor(position / 2 ** 32), at)
          at = buffer.writeUInt32BE(position % 2 ** 32, at)
          buffer.writeUInt32BE(length, at)
          checkStatus(await this.#answers.of(mine, [buffer.subarray(0, headBytes + length)]))
        } catch (error) {
          failed = true
          throw error
        }
        onSent(length)
      }
    }
    const results = await Promise.allSettled(Array.from({ length: writesInFlight }, work))
    const closing = ++this.#id
    const closed = this.#answers.of(closing, [framed(Buffer.from([packet.close]), uint32(closing), handle)])
    const failure = results.find((result) => result.status === 'rejected')
    if (failure !== undefined) {
      await closed.catch(() => {})
      throw failure.reason
    }
    checkStatus(await closed)
  }
}

function openChannel(client: Client): Promise<ClientChannel | null> {
  return new Promise((resolve) => {
    try {
      client.subsys('sftp', (error, channel) => resolve(error ? null : channel))
    } catch {
      resolve(null)
    }
  })
}

/** Matches answers to requests by id; -1 is the version's. A channel that ends rejects all that wait. */
class Answers {
  readonly #channel: ClientChannel
  readonly #waiting = new Map<number, { resolve: (answer: Buffer) => void; reject: (error: Error) => void }>()
  #unread: Buffer = Buffer.alloc(0)
  ended = false

  constructor(channel: ClientChannel) {
    this.#channel = channel
    channel.stderr.resume()
    channel.on('data', (chunk: Buffer) => this.#read(chunk))
    for (const event of ['close', 'error', 'end'])
      channel.on(event, () => this.#end('the SFTP channel ended'))
  }

  of(id: number, parts: readonly Buffer[]): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.ended) return reject(new Error('the SFTP channel ended'))
      this.#waiting.set(id, { resolve, reject })
      for (const part of parts) this.#channel.write(part)
    })
  }

  #read(chunk: Buffer): void {
    this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk])
    while (this.#unread.length >= 4) {
      const length = this.#unread.readUInt32BE(0)
      if (length < 5 || length > maxAnswerBytes) {
        this.#end('the board does not speak SFTP')
        return
      }
      if (this.#unread.length < 4 + length) return
      const answer = this.#unread.subarray(4, 4 + length)
      this.#unread = this.#unread.subarray(4 + length)
      const id = answer[0] === packet.version ? -1 : answer.readUInt32BE(1)
      this.#waiting.get(id)?.resolve(answer)
      this.#waiting.delete(id)
    }
  }

  #end(reason: string): void {
    this.ended = true
    for (const { reject } of this.#waiting.values()) reject(new Error(reason))
    this.#waiting.clear()
  }
}

function checkStatus(answer: Buffer): void {
  if (answer[0] !== packet.status || answer.length < 9 || answer.readUInt32BE(5) !== 0)
    throw statusError(answer)
}

/** With `code` as ssh2's SFTP errors have it. */
function statusError(answer: Buffer): Error {
  if (answer[0] !== packet.status || answer.length < 13) return new Error('the board does not speak SFTP')
  const message = answer.subarray(13, 13 + Math.min(answer.readUInt32BE(9), 200)).toString('utf8')
  return Object.assign(new Error(message), { code: answer.readUInt32BE(5) })
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function string(bytes: Buffer): Buffer {
  return Buffer.concat([uint32(bytes.length), bytes])
}

function framed(...parts: Buffer[]): Buffer {
  return string(Buffer.concat(parts))
}
