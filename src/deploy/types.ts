import type { Progress } from '../progress.ts'

/** How a remote command ended: one shape for success and failure; callers decide what is an error. */
export interface ExecResult {
  readonly exitCode: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
  /** True where output was cut at `maxOutputBytes`. */
  readonly truncated: boolean
}

export interface ExecOptions {
  /** Written to the command's standard input, which is then closed. */
  readonly stdin?: string | Uint8Array
  /** The command is given up after this; there is no wait without one. */
  readonly deadlineMs?: number
  readonly signal?: AbortSignal
  /** Output beyond this is dropped (default 4 MiB). */
  readonly maxOutputBytes?: number
}

/** A way to run commands and move bytes on one board. Nothing that it is given reaches a shell unquoted. */
export interface Connection {
  readonly kind: 'ssh' | 'local'
  /** `pi@raspberrypi.local:22`, for messages. */
  readonly label: string
  /** argv form: quoted by the connection. */
  exec(command: readonly string[], options?: ExecOptions): Promise<ExecResult>
  /** A POSIX shell script run as `sh -s -- args`; the script must be a constant of ours, data goes in `args`. */
  script(script: string, args: readonly string[], options?: Omit<ExecOptions, 'stdin'>): Promise<ExecResult>
  /** Sends a local file; resumes nothing, replaces the remote file. Returns payload bytes sent. */
  upload(localPath: string, remotePath: string, progress: Progress, deadlineMs?: number): Promise<number>
  /** Sends bytes held in memory. */
  uploadBytes(bytes: Uint8Array, remotePath: string, deadlineMs?: number): Promise<number>
  /** Reads a remote file from an offset to its present end. */
  readFrom(remotePath: string, offset: number, maxBytes: number, deadlineMs?: number): Promise<Uint8Array>
  /** Payload bytes sent and received so far, handshake and encryption aside. */
  readonly traffic: { sentBytes: number; receivedBytes: number }
  close(): Promise<void>
}

/** What a probe found on a board: facts, not guesses; null where the board did not say. */
export interface DeviceFacts {
  /** `uname -m`. */
  readonly architecture: string
  /** 32 or 64: of the userland, which may differ from the kernel's. */
  readonly userlandBits: number
  readonly kernel: string
  readonly hostname: string
  /** Device-tree model without its NUL, or DMI product name. */
  readonly model: string | null
  readonly compatible: readonly string[]
  readonly cpuModel: string | null
  /** Words of the Features/flags line: `asimddp`, `avx512_vnni`. */
  readonly cpuFeatures: readonly string[]
  readonly cpuCount: number
  readonly memoryBytes: number | null
  readonly freeDiskBytes: number | null
  readonly libc: { name: 'glibc' | 'musl' | 'unknown'; version: string | null }
  readonly os: string | null
  readonly usbIds: readonly string[]
  /** `/etc/nv_tegra_release` and the like, verbatim and cut. */
  readonly extras: Readonly<Record<string, string>>
}

/** One reachable board. */
export interface Device {
  /** As the user named it: `pi@host`, `ssh://…`, `local:`, or an entry of `edgewright devices`. */
  readonly name: string
  readonly connection: Connection
  readonly facts: DeviceFacts
  /** Absolute folder on the board that holds blobs/, releases/, runs/, lock. */
  readonly root: string
}

/** A release: an artifact as it stands on a device. */
export interface Release {
  readonly name: string
  readonly number: number
  /** Absolute path of the release folder on the board. */
  readonly path: string
  /** The documented stable path: `<root>/releases/<name>/current`. */
  readonly currentPath: string
  readonly modelPath: string
  /** Payload bytes this deploy sent. */
  readonly sentBytes: number
  readonly alreadyThere: boolean
  /** True where `currentPath` leads to it. */
  readonly current: boolean
}
