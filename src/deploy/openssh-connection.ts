import { spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { EdgewrightError } from '../error.ts'
import type { Progress } from '../progress.ts'
import { withDeadline } from './deadline.ts'
import type { OpenSshMaster } from './openssh-master.ts'
import { BoundedOutput, defaultMaxOutputBytes } from './output.ts'
import { lastLine, printable } from './printable.ts'
import { quoteCommand } from './quote.ts'
import { Slots } from './slots.ts'
import { readFailed, uploadDeadlineMs, writeFailed } from './ssh-connection.ts'
import type { Connection, ExecOptions, ExecResult } from './types.ts'

/** sshd's MaxSessions is 10 by default; others may hold some of them. */
const maxSessions = 6
const defaultDeadlineMs = 60_000
const chunkBytes = 256 * 1024

interface RawResult extends Omit<ExecResult, 'stdout' | 'stderr'> {
  readonly stdout: Buffer
  readonly stderr: string
}

/** A board over OpenSSH's own client: one log-in, each command a session through its control socket. */
export class OpenSshConnection implements Connection {
  readonly kind = 'ssh'
  readonly label: string
  readonly traffic = { sentBytes: 0, receivedBytes: 0 }
  readonly #master: OpenSshMaster
  readonly #sessions = new Slots(maxSessions)
  #closed = false

  constructor(master: OpenSshMaster) {
    this.#master = master
    this.label = master.label
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
    let sentBytes = 0
    const source = createReadStream(localPath, { highWaterMark: chunkBytes })
    source.on('data', (chunk) => {
      sentBytes += chunk.length
      progress.tick(Math.min(sentBytes, size), size, 'B')
    })
    return this.#write(source, size, remotePath, deadlineMs, progress.signal)
  }

  uploadBytes(bytes: Uint8Array, remotePath: string, deadlineMs?: number): Promise<number> {
    return this.#write(Readable.from(slices(bytes)), bytes.length, remotePath, deadlineMs)
  }

  async readFrom(
    remotePath: string,
    offset: number,
    maxBytes: number,
    deadlineMs = defaultDeadlineMs,
  ): Promise<Uint8Array> {
    const tail = 'exec 2>&1 <"$1" && { tail -c "+$2" | head -c "$3"; }'
    const words = ['sh', '-c', tail, 'sh', remotePath, String(offset + 1), String(maxBytes)]
    const result = await this.#run(quoteCommand(words), `reading ${remotePath}`, null, {
      deadlineMs,
      maxOutputBytes: maxBytes,
    })
    if (result.exitCode !== 0) throw readFailed(this.label, remotePath, `${result.stderr}${result.stdout}`)
    return result.stdout
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#master.close()
  }

  async #write(
    source: Readable,
    sizeBytes: number,
    remotePath: string,
    deadlineMs = uploadDeadlineMs(sizeBytes),
    signal?: AbortSignal,
  ): Promise<number> {
    const before = this.traffic.sentBytes
    const command = quoteCommand(['sh', '-c', 'exec cat >"$1"', 'sh', remotePath])
    // a file that cannot be read to its end here must not pass for one that has arrived
    let unread: Error | null = null
    source.on('error', (error) => {
      unread = error
    })
    const options = { deadlineMs, signal, maxOutputBytes: 4096 }
    try {
      const result = await this.#run(command, `the upload of ${remotePath}`, source, options)
      if (result.exitCode !== 0) throw writeFailed(this.label, remotePath, result.stderr)
      if (unread !== null) throw unread
    } finally {
      source.destroy()
    }
    return this.traffic.sentBytes - before
  }

  async #text(
    command: string,
    what: string,
    stdin: string | Uint8Array | undefined,
    options: ExecOptions,
  ): Promise<ExecResult> {
    const bytes = typeof stdin === 'string' ? Buffer.from(stdin) : stdin
    const result = await this.#run(
      command,
      what,
      bytes === undefined ? null : Readable.from(slices(bytes)),
      options,
    )
    return { ...result, stdout: result.stdout.toString('utf8') }
  }

  #run(command: string, what: string, input: Readable | null, options: ExecOptions): Promise<RawResult> {
    return this.#sessions.use(() => this.#session(command, what, input, options))
  }

  async #session(
    command: string,
    what: string,
    input: Readable | null,
    options: ExecOptions,
  ): Promise<RawResult> {
    this.#throwIfLost()
    const maxOutputBytes = options.maxOutputBytes ?? defaultMaxOutputBytes
    const stdout = new BoundedOutput(maxOutputBytes)
    const stderr = new BoundedOutput(Math.min(maxOutputBytes, 64 * 1024))
    this.traffic.sentBytes += Buffer.byteLength(command)
    const child = spawn('ssh', [...this.#master.through, command], { stdio: ['pipe', 'pipe', 'pipe'] })
    const receive = (output: BoundedOutput) => (chunk: Buffer) => {
      this.traffic.receivedBytes += chunk.length
      output.push(chunk)
    }
    child.stdout.on('data', receive(stdout))
    child.stderr.on('data', receive(stderr))
    const ended = new Promise<number | null>((resolve, reject) => {
      child.on('error', (error) => reject(lost(this.label, error.message)))
      child.on('close', (exitCode) => resolve(exitCode))
    })
    // a command that does not read its input to the end is no error
    child.stdin.on('error', () => {})
    if (input === null) child.stdin.end()
    else {
      input.on('data', (chunk: Buffer) => {
        this.traffic.sentBytes += chunk.length
      })
      pipeline(input, child.stdin).catch(() => {})
    }
    const wait = {
      what,
      where: this.label,
      deadlineMs: options.deadlineMs ?? defaultDeadlineMs,
      signal: options.signal,
    }
    const exitCode = await withDeadline(wait, ended, () => child.kill('SIGTERM'))
    // ssh's own failures and a command's are both 255: the connection tells which it was
    if (exitCode === 255 || exitCode === null) await this.#settle()
    return {
      exitCode,
      signal: null,
      stdout: stdout.bytes(),
      stderr: stderr.text(),
      truncated: stdout.truncated || stderr.truncated,
    }
  }

  /** The client of a session may end a moment before its master does. */
  async #settle(): Promise<void> {
    for (let tries = 0; tries < 10 && this.#master.ended() === null; tries++)
      await new Promise((resolve) => setTimeout(resolve, 20))
    this.#throwIfLost()
  }

  #throwIfLost(): void {
    const reason = this.#closed ? 'it was closed' : this.#master.ended()
    if (reason !== null) throw lost(this.label, printable(lastLine(reason), 400))
  }
}

function* slices(bytes: Uint8Array): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const piece = bytes.subarray(at, at + chunkBytes)
    yield Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
  }
}

function lost(label: string, saw: string): EdgewrightError {
  return new EdgewrightError('DEVICE_LOST', `The connection to ${label} was lost.`, {
    where: label,
    saw,
    hint: 'Check the board and the network. A run that was started goes on there; it can be collected again.',
  })
}
