import { open } from 'node:fs/promises'
import type { Client, ClientChannel, SFTPWrapper } from 'ssh2'
import { EdgewrightError } from '../error.ts'
import type { Progress } from '../progress.ts'
import { type Wait, withDeadline } from './deadline.ts'
import { BoundedOutput, defaultMaxOutputBytes } from './output.ts'
import { lastLine, printable } from './printable.ts'
import { quoteCommand } from './quote.ts'
import { BulkSftp } from './sftp-bulk.ts'
import { openSftp, sftpRead } from './sftp-read.ts'
import { type ByteSource, sftpWrite } from './sftp-write.ts'
import { Slots } from './slots.ts'
import type { SshLink } from './ssh-connect.ts'
import type { Connection, ExecOptions, ExecResult } from './types.ts'

/** sshd's MaxSessions is 10 by default; others may hold some of them. */
const maxChannels = 6
const defaultDeadlineMs = 60_000
/** Slower than this, a transfer is given up. */
const minUploadBytesPerSecond = 8 * 1024
const uploadChunkBytes = 256 * 1024
/** From this size on a file gets a channel of its own. */
const bulkBytes = 1024 * 1024
/** SSH_FX_FAILURE of draft-ietf-secsh-filexfer-02. */
const generalFailure = 4

interface RawResult extends Omit<ExecResult, 'stdout' | 'stderr'> {
  readonly stdout: Buffer
  readonly stderr: Buffer
}

/** A source of bytes for a command's standard input. */
type Input = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

/** One SSH connection, many bounded channels over it. A lost link ends every wait with DEVICE_LOST. */
export class SshConnection implements Connection {
  readonly kind = 'ssh'
  readonly label: string
  readonly traffic = { sentBytes: 0, receivedBytes: 0 }
  readonly #client: Client
  readonly #jumps: readonly Client[]
  readonly #slots = new Slots(maxChannels)
  readonly #lost: Promise<never>
  #sftp: Promise<SFTPWrapper | null> | undefined
  readonly #bulkTurn = new Slots(1)
  #bulk: BulkSftp | null = null
  #closing = false

  constructor(link: SshLink) {
    const { settings } = link
    this.label = `${settings.user}@${settings.hostName}:${settings.port}`
    this.#client = link.client
    this.#jumps = link.jumps
    this.#lost = new Promise((_, reject) => {
      let reason = 'the connection was closed'
      this.#client.on('error', (error) => {
        reason = printable(error.message)
      })
      this.#client.on('close', () => reject(this.#closing ? closed(this.label) : lost(this.label, reason)))
    })
    this.#lost.catch(() => {})
  }

  exec(command: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    return this.#text(quoteCommand(command), command[0] ?? 'a command', options.stdin, options)
  }

  script(
    script: string,
    args: readonly string[],
    options: Omit<ExecOptions, 'stdin'> = {},
  ): Promise<ExecResult> {
    return this.#text(quoteCommand(['sh', '-s', '--', ...args]), 'a script', script, options)
  }

  async upload(
    localPath: string,
    remotePath: string,
    progress: Progress,
    deadlineMs?: number,
  ): Promise<number> {
    const file = await open(localPath, 'r')
    try {
      const { size } = await file.stat()
      const read: ByteSource = async (position, into) => {
        const { bytesRead } = await file.read(into, 0, into.length, position)
        return into.subarray(0, bytesRead)
      }
      const tick = (sentBytes: number) => progress.tick(sentBytes, size, 'B')
      return await this.#write(read, size, remotePath, tick, deadlineMs, progress.signal)
    } finally {
      await file.close()
    }
  }

  uploadBytes(bytes: Uint8Array, remotePath: string, deadlineMs?: number): Promise<number> {
    const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const read: ByteSource = (position, into) => whole.subarray(position, position + into.length)
    return this.#write(read, bytes.length, remotePath, () => {}, deadlineMs)
  }

  /** Over SFTP; through `cat` where the board has no SFTP server, or one that fails without a reason. */
  async #write(
    source: ByteSource,
    sizeBytes: number,
    remotePath: string,
    tick: (sentBytes: number) => void,
    deadlineMs = uploadDeadlineMs(sizeBytes),
    signal?: AbortSignal,
  ): Promise<number> {
    const before = this.traffic.sentBytes
    const wait = { what: `the upload of ${remotePath}`, where: this.label, deadlineMs, signal }
    const sftp = await this.#openSftp(wait)
    if (sftp !== null) {
      let wanted = true
      let sentBytes = 0
      const sent = (bytes: number) => {
        this.traffic.sentBytes += bytes
        sentBytes += bytes
        tick(sentBytes)
      }
      try {
        const work =
          sizeBytes < bulkBytes
            ? sftpWrite(sftp, remotePath, source, sizeBytes, sent, () => wanted)
            : this.#bulkTurn.use(async () => {
                if (this.#bulk === null || this.#bulk.ended) this.#bulk = await BulkSftp.open(this.#client)
                if (this.#bulk === null) throw new Error('no SFTP channel')
                await this.#bulk.write(remotePath, source, sizeBytes, sent, () => wanted)
              })
        await withDeadline(wait, Promise.race([work, this.#lost]), () => {
          wanted = false
        })
        return this.traffic.sentBytes - before
      } catch (error) {
        wanted = false
        await this.#sayWhyWriteFailed(remotePath, error)
      }
    }
    const command = quoteCommand(['sh', '-c', 'exec cat >"$1"', 'sh', remotePath])
    const result = await this.#raw(command, wait.what, readInOrder(source, sizeBytes, tick), {
      deadlineMs,
      signal,
      maxOutputBytes: 4096,
    })
    if (result.exitCode !== 0) throw writeFailed(this.label, remotePath, result.stderr.toString('utf8'))
    return this.traffic.sentBytes - before
  }

  /** SFTP says no more than "Failure" of a full disk: a shell that appends a little to the file says what it is. */
  async #sayWhyWriteFailed(remotePath: string, error: unknown): Promise<void> {
    if (error instanceof EdgewrightError) throw error
    await this.#lostSoon()
    const reason = error instanceof Error ? error.message : String(error)
    if ((error as { code?: unknown }).code !== generalFailure)
      throw writeFailed(this.label, remotePath, reason)
    const result = await this.exec(['sh', '-c', 'head -c 65536 /dev/zero >>"$1"', 'sh', remotePath], {
      deadlineMs: 15_000,
    })
    if (result.exitCode !== 0 || result.stderr !== '')
      throw writeFailed(this.label, remotePath, result.stderr || reason)
  }

  #openSftp(wait: Wait): Promise<SFTPWrapper | null> {
    this.#sftp ??= this.#slots.use(() => openSftp(this.#client))
    return withDeadline(wait, Promise.race([this.#sftp, this.#lost]))
  }

  /** A channel may end a moment before its connection says why: throws DEVICE_LOST where that was it. */
  #lostSoon(): Promise<unknown> {
    return Promise.race([this.#lost, new Promise((resolve) => setTimeout(resolve, 50))])
  }

  /** Over one lasting SFTP channel, which starts no process on a board that may be measuring; else through `tail`. */
  async readFrom(
    remotePath: string,
    offset: number,
    maxBytes: number,
    deadlineMs = defaultDeadlineMs,
  ): Promise<Uint8Array> {
    const wait = { what: `reading ${remotePath}`, where: this.label, deadlineMs }
    const sftp = await this.#openSftp(wait)
    if (sftp === null) return this.#readThroughTail(remotePath, offset, maxBytes, deadlineMs)
    this.traffic.sentBytes += Buffer.byteLength(remotePath)
    try {
      const bytes = await withDeadline(
        wait,
        Promise.race([sftpRead(sftp, remotePath, offset, maxBytes), this.#lost]),
      )
      this.traffic.receivedBytes += bytes.length
      return bytes
    } catch (error) {
      if (error instanceof EdgewrightError) throw error
      await this.#lostSoon()
      throw readFailed(this.label, remotePath, error instanceof Error ? error.message : String(error))
    }
  }

  async #readThroughTail(
    remotePath: string,
    offset: number,
    maxBytes: number,
    deadlineMs: number,
  ): Promise<Uint8Array> {
    const tail = 'exec 2>&1 <"$1" && { tail -c "+$2" | head -c "$3"; }'
    const words = ['sh', '-c', tail, 'sh', remotePath, String(offset + 1), String(maxBytes)]
    const result = await this.#raw(quoteCommand(words), `reading ${remotePath}`, [], {
      deadlineMs,
      maxOutputBytes: maxBytes,
    })
    if (result.exitCode !== 0) throw readFailed(this.label, remotePath, `${result.stderr}${result.stdout}`)
    return result.stdout
  }

  async close(): Promise<void> {
    this.#closing = true
    this.#client.end()
    await Promise.race([
      this.#lost.catch(() => {}),
      new Promise((resolve) => setTimeout(resolve, 1000).unref()),
    ])
    this.#client.destroy()
    for (const jump of this.#jumps) jump.destroy()
  }

  async #text(
    command: string,
    what: string,
    stdin: string | Uint8Array | undefined,
    options: ExecOptions,
  ): Promise<ExecResult> {
    const bytes =
      stdin === undefined ? [] : sliceChunks(typeof stdin === 'string' ? Buffer.from(stdin) : stdin)
    const result = await this.#raw(command, what, bytes, options)
    return { ...result, stdout: result.stdout.toString('utf8'), stderr: result.stderr.toString('utf8') }
  }

  #raw(command: string, what: string, input: Input, options: ExecOptions): Promise<RawResult> {
    const wait = {
      what,
      where: this.label,
      deadlineMs: options.deadlineMs ?? defaultDeadlineMs,
      signal: options.signal,
    }
    let channel: ClientChannel | undefined
    let ended = false
    const stop = () => {
      ended = true
      if (channel !== undefined) abandon(channel)
    }
    const work = this.#slots.use(async () => {
      if (ended) throw closed(this.label)
      channel = await this.#open(command)
      if (ended) abandon(channel)
      return this.#follow(channel, input, options.maxOutputBytes ?? defaultMaxOutputBytes)
    })
    return withDeadline(wait, Promise.race([work, this.#lost]), stop)
  }

  #open(command: string): Promise<ClientChannel> {
    this.traffic.sentBytes += Buffer.byteLength(command)
    return new Promise((resolve, reject) => {
      try {
        this.#client.exec(command, (error, channel) => {
          if (error === undefined) resolve(channel)
          else
            reject(
              new EdgewrightError('DEVICE_COMMAND_FAILED', 'The board opens no session for a command.', {
                where: this.label,
                saw: printable(error.message),
                cause: error,
              }),
            )
        })
      } catch (error) {
        reject(lost(this.label, printable(error instanceof Error ? error.message : String(error))))
      }
    })
  }

  /** Both output streams are always drained: ssh2 never says `close` otherwise. */
  async #follow(channel: ClientChannel, input: Input, maxOutputBytes: number): Promise<RawResult> {
    const stdout = new BoundedOutput(maxOutputBytes)
    const stderr = new BoundedOutput(Math.min(maxOutputBytes, 64 * 1024))
    let status: { exitCode: number | null; signal: string | null } = { exitCode: null, signal: null }
    let open = true
    const receive = (output: BoundedOutput) => (chunk: Buffer) => {
      this.traffic.receivedBytes += chunk.length
      output.push(chunk)
    }
    const done = new Promise<void>((resolve) => {
      const end = () => {
        open = false
        resolve()
      }
      channel.on('data', receive(stdout))
      channel.stderr.on('data', receive(stderr))
      channel.on('exit', (code: number | null, signal?: string) => {
        status = { exitCode: code ?? null, signal: signal ?? null }
      })
      channel.on('error', end)
      channel.on('close', end)
    })
    const feeding = this.#feed(channel, input, () => open, done)
    await done
    await feeding
    return {
      ...status,
      stdout: stdout.bytes(),
      stderr: stderr.bytes(),
      truncated: stdout.truncated || stderr.truncated,
    }
  }

  async #feed(
    channel: ClientChannel,
    input: Input,
    isOpen: () => boolean,
    done: Promise<void>,
  ): Promise<void> {
    for await (const chunk of input) {
      if (!isOpen()) return
      this.traffic.sentBytes += chunk.length
      if (!channel.write(chunk))
        await Promise.race([new Promise<void>((resolve) => channel.once('drain', resolve)), done])
    }
    if (isOpen()) channel.end()
  }
}

function abandon(channel: ClientChannel): void {
  try {
    channel.signal('TERM')
    channel.close()
  } catch {
    // The channel is gone already, which is what was wanted.
  }
}

async function* readInOrder(
  source: ByteSource,
  sizeBytes: number,
  tick: (sentBytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < sizeBytes; at += uploadChunkBytes) {
    const piece = await source(at, Buffer.allocUnsafe(Math.min(uploadChunkBytes, sizeBytes - at)))
    yield piece
    tick(at + piece.length)
  }
}

function* sliceChunks(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += uploadChunkBytes) yield bytes.subarray(at, at + uploadChunkBytes)
}

export function uploadDeadlineMs(sizeBytes: number): number {
  return 60_000 + (sizeBytes / minUploadBytesPerSecond) * 1000
}

export function writeFailed(label: string, path: string, stderr: string): EdgewrightError {
  const full = /no space left|disk quota exceeded/i.test(stderr)
  return new EdgewrightError(
    full ? 'DEVICE_DISK_FULL' : 'DEVICE_COMMAND_FAILED',
    full ? 'The disk of the board is full.' : 'A file cannot be written on the board.',
    {
      where: `${label}:${path}`,
      saw: lastLine(stderr),
      hint: full
        ? 'Free some space, or give another --root.'
        : 'Check that the folder may be written by this user, or give another --root.',
    },
  )
}

export function readFailed(label: string, path: string, saw: string): EdgewrightError {
  return new EdgewrightError('DEVICE_COMMAND_FAILED', 'A file cannot be read on the board.', {
    where: `${label}:${path}`,
    saw: lastLine(saw),
  })
}

function lost(label: string, saw: string): EdgewrightError {
  return new EdgewrightError('DEVICE_LOST', `The connection to ${label} was lost.`, {
    where: label,
    saw,
    hint: 'Check the board and the network. A run that was started goes on there; it can be collected again.',
  })
}

function closed(label: string): EdgewrightError {
  return new EdgewrightError('DEVICE_LOST', `The connection to ${label} is closed.`, { where: label })
}
