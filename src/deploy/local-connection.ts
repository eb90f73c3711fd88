import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { copyFile, open, stat, writeFile } from 'node:fs/promises'
import { EdgewrightError } from '../error.ts'
import { type Progress, throwIfAborted } from '../progress.ts'
import { withDeadline } from './deadline.ts'
import { BoundedOutput, defaultMaxOutputBytes } from './output.ts'
import { readFailed, writeFailed } from './ssh-connection.ts'
import type { Connection, ExecOptions, ExecResult } from './types.ts'

/** This computer as a board: the same interface through child processes and the file system. */
export class LocalConnection implements Connection {
  readonly kind = 'local'
  readonly label = 'local:'
  readonly traffic = { sentBytes: 0, receivedBytes: 0 }

  exec(command: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    return this.#run(command, options)
  }

  script(
    script: string,
    args: readonly string[],
    options: Omit<ExecOptions, 'stdin'> = {},
  ): Promise<ExecResult> {
    return this.#run(['sh', '-s', '--', ...args], { ...options, stdin: script })
  }

  async upload(localPath: string, remotePath: string, progress: Progress): Promise<number> {
    throwIfAborted(progress.signal)
    try {
      const { size } = await stat(localPath)
      await copyFile(localPath, remotePath, constants.COPYFILE_FICLONE)
      this.traffic.sentBytes += size
      progress.tick(size, size, 'B')
      return size
    } catch (error) {
      throw writeFailed(this.label, remotePath, diskReason(error))
    }
  }

  async uploadBytes(bytes: Uint8Array, remotePath: string): Promise<number> {
    try {
      await writeFile(remotePath, bytes)
    } catch (error) {
      throw writeFailed(this.label, remotePath, diskReason(error))
    }
    this.traffic.sentBytes += bytes.length
    return bytes.length
  }

  async readFrom(remotePath: string, offset: number, maxBytes: number): Promise<Uint8Array> {
    try {
      const file = await open(remotePath, 'r')
      try {
        const bytes = await readFully(file, offset, maxBytes)
        this.traffic.receivedBytes += bytes.length
        return bytes
      } finally {
        await file.close()
      }
    } catch (error) {
      throw readFailed(this.label, remotePath, error instanceof Error ? error.message : String(error))
    }
  }

  async close(): Promise<void> {}

  #run(command: readonly string[], options: ExecOptions): Promise<ExecResult> {
    const [file, ...args] = command
    if (file === undefined) throw new EdgewrightError('INTERNAL', 'An empty command.')
    const maxOutputBytes = options.maxOutputBytes ?? defaultMaxOutputBytes
    const stdout = new BoundedOutput(maxOutputBytes)
    const stderr = new BoundedOutput(Math.min(maxOutputBytes, 64 * 1024))
    // Its own session, so that giving up ends what it started as well.
    const child = spawn(file, args, {
      detached: process.platform !== 'win32',
      stdio: ['pipe', 'pipe', 'pipe'],
      windowsHide: true,
    })
    const receive = (output: BoundedOutput) => (chunk: Buffer) => {
      this.traffic.receivedBytes += chunk.length
      output.push(chunk)
    }
    const work = new Promise<ExecResult>((resolve, reject) => {
      child.on('error', (error) =>
        reject(
          new EdgewrightError('DEVICE_COMMAND_FAILED', `${file} cannot be started on this computer.`, {
            where: this.label,
            saw: error.message,
            cause: error,
          }),
        ),
      )
      child.stdout.on('data', receive(stdout))
      child.stderr.on('data', receive(stderr))
      child.on('close', (exitCode, signal) =>
        resolve({
          exitCode,
          signal,
          stdout: stdout.text(),
          stderr: stderr.text(),
          truncated: stdout.truncated || stderr.truncated,
        }),
      )
    })
    // A command that does not read its input to the end is no error.
    child.stdin.on('error', () => {})
    if (options.stdin !== undefined) this.traffic.sentBytes += Buffer.byteLength(options.stdin)
    child.stdin.end(options.stdin)
    const wait = {
      what: file,
      where: this.label,
      deadlineMs: options.deadlineMs ?? 60_000,
      signal: options.signal,
    }
    return withDeadline(wait, work, () => killGroup(child.pid))
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL')
  } catch {
    // It ended in the meantime.
  }
}

async function readFully(
  file: Awaited<ReturnType<typeof open>>,
  offset: number,
  maxBytes: number,
): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let total = 0
  while (total < maxBytes) {
    const length = Math.min(256 * 1024, maxBytes - total)
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, offset + total)
    if (bytesRead === 0) break
    chunks.push(buffer.subarray(0, bytesRead))
    total += bytesRead
  }
  return Buffer.concat(chunks)
}

function diskReason(error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error)
  return (error as NodeJS.ErrnoException).code === 'ENOSPC' ? `No space left on device: ${reason}` : reason
}
