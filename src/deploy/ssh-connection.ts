import { open, stat } from 'node:fs/promises'
import type { Client, ClientChannel, SFTPWrapper } from 'ssh2'
import { EdgewrightError } from '../error.ts'
import type { Progress } from '../progress.ts'
import { withDeadline } from './deadline.ts'
import { BoundedOutput, defaultMaxOutputBytes } from './output.ts'
import { lastLine, printable } from './printable.ts'
import { quoteCommand } from './quote.ts'
import { openSftp, sftpRead } from './sftp-read.ts'
import { Slots } from './slots.ts'
import type { SshLink } from './ssh-connect.ts'
import type { Connection, ExecOptions, ExecResult } from './types.ts'

/** sshd's MaxSessions is 10 by default; others may hold some of them. */
const maxChannels = 6
const defaultDeadlineMs = 60_000
/** Slower than this, a transfer is given up. */
const minUploadBytesPerSecond = 8 * 1024
const uploadChunkBytes = 256 * 1024

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
    const { size } = await stat(localPath)
    const input = readChunks(localPath, (sentBytes) => progress.tick(sentBytes, size, 'B'))
    return this.#write(input, size, remotePath, deadlineMs, progress.signal)
  }

  uploadBytes(bytes: Uint8Array, remotePath: string, deadlineMs?: number): Promise<number> {
    return this.#write(sliceChunks(bytes), bytes.length, remotePath, deadlineMs)
  }

  /**
   * Through `cat`, not SFTP: as fast as SFTP with many writes in flight, says why a write failed ("No space left"),
   * and needs no sftp-server on the board (bench/transfer.ts compares the two).
   */
  async #write(
    input: Input,
    sizeBytes: number,
    remotePath: string,
    deadlineMs?: number,
    signal?: AbortSignal,
  ): Promise<number> {
    const before = this.traffic.sentBytes
    const result = await this.#raw(
      quoteCommand(['sh', '-c', 'exec cat >"$1"', 'sh', remotePath]),
      `the upload of ${remotePath}`,
      input,
      {
        deadlineMs: deadlineMs ?? uploadDeadlineMs(sizeBytes),
        signal,
        maxOutputBytes: 4096,
      },
    )
    if (result.exitCode !== 0) throw writeFailed(this.label, remotePath, result.stderr.toString('utf8'))
    return this.traffic.sentBytes - before
  }

  /** Over one lasting SFTP channel, which starts no process on a board that may be measuring; else through `tail`. */
  async readFrom(
    remotePath: string,
    offset: number,
    maxBytes: number,
    deadlineMs = defaultDeadlineMs,
  ): Promise<Uint8Array> {
    const wait = { what: `reading ${remotePath}`, where: this.label, deadlineMs }
    this.#sftp ??= this.#slots.use(() => openSftp(this.#client))
    const sftp = await withDeadline(wait, Promise.race([this.#sftp, this.#lost]))
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
      // A channel that ends with its connection says so in words of its own first.
      await Promise.race([this.#lost, new Promise((resolve) => setTimeout(resolve, 50))])
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

async function* readChunks(path: string, onSent: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  const file = await open(path, 'r')
  try {
    let sentBytes = 0
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(uploadChunkBytes), 0, uploadChunkBytes)
      if (bytesRead === 0) return
      yield buffer.subarray(0, bytesRead)
      sentBytes += bytesRead
      onSent(sentBytes)
    }
  } finally {
    await file.close()
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
