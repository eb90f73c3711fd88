import type { BoardCpu, BoardModel } from './identity.ts'
import type { BoardPower } from './power.ts'
import { startSystemBoard } from './system-board.ts'
import type { PowerLoss } from './system-disk.ts'
import type { SensorOptions } from './system-sensors.ts'
import { startUserBoard } from './user-board.ts'

export interface BoardOptions {
  /**
   * `user`: Debian arm64 programs and their SSH server on this computer's kernel, up in about a second.
   * `system`: a whole emulated machine with Debian's arm64 kernel, up in about ten.
   */
  readonly kind?: 'user' | 'system'
  readonly model?: BoardModel
  /** The model's own core where not given. */
  readonly cpu?: BoardCpu
  /**
   * `system` only: one core, whose clock advances two nanoseconds an instruction. Times are then instruction counts,
   * the same in every run; they are not cycles.
   */
  readonly instructionClock?: boolean
  /**
   * `system` only: power sensors (INA3221 and INA226, read by the kernel's own drivers, hwmon or IIO), a thermal zone
   * and a cpufreq clock; `Board.power` plays a known waveform into them.
   */
  readonly sensors?: boolean | SensorOptions
  /**
   * `system` only: a disk that outlives the machine and has a write cache, for `powerCut` and `powerOn`
   * (system-disk.ts). Its file system is ext4 with a journal, mounted as Debian does.
   */
  readonly disk?: 'persistent'
  /** Of which unflushed writes a power loss takes. */
  readonly seed?: number
  /** `user` only: whose userland, bookworm has glibc 2.36, bullseye 2.31. */
  readonly suite?: 'bookworm' | 'bullseye'
  /** `user` only: size of the home folder's file system. */
  readonly homeBytes?: number
  /** `user` only: lets `pi` log in with this password as well as with the key. */
  readonly password?: string
}

export interface SshResult {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** An emulated ARM board. Its speed is the emulator's: never a figure of the board. */
export interface Board {
  readonly kind: 'user' | 'system'
  readonly host: '127.0.0.1'
  readonly port: number
  readonly user: 'pi'
  readonly home: '/home/pi'
  /** `ssh://pi@127.0.0.1:PORT`. */
  readonly spec: string
  readonly identityFile: string
  readonly knownHostsFile: string
  /** `SHA256:…`, as ssh-keygen -l prints it. */
  readonly hostKeyFingerprint: string
  /** Options for OpenSSH's ssh, scp and sftp: `-i`, known hosts, no prompts; the port is not among them. */
  readonly sshOptions: readonly string[]
  /** Runs a command line through OpenSSH's client. */
  ssh(command: string, deadlineMs?: number): Promise<SshResult>
  /** Where the host sees a path of the board's file system (`user` only). */
  path(onBoard: string): string
  /** Writes a file of /sys, such as a temperature (`user` only). */
  setSys(path: string, content: string): void
  setCpuInfo(text: string): void
  /** Fills the home folder's file system until `leaveBytes` are free; returns what frees it again (`user` only). */
  fillDisk(leaveBytes?: number): () => void
  /** Kills the server side of every open SSH session; what was started in a session of its own lives on. */
  cutConnections(): void
  /** What the board draws (with `sensors` only). */
  readonly power: BoardPower
  /** What the thermal zone `cpu-thermal` says (with `sensors` only). */
  temperature(milliC: number): Promise<void>
  /**
   * Caps the clock as a cooling device does: 600000, 1000000, 1500000, 1800000 or 2400000 kHz; null lifts it (with
   * `sensors` only). The emulator does not get slower.
   */
  clockCap(khz: number | null): Promise<void>
  /**
   * Takes the power away, without a word, and leaves on the disk what a real one would have (with a persistent disk
   * only): everything before the last flush, and of later writes each or not. The board is down until `powerOn`.
   */
  powerCut(): Promise<PowerLoss>
  /** A cold boot from the disk as it is, with the same address and keys. */
  powerOn(): Promise<void>
  /** Stops every process of the board, as a hung kernel would: connections stay open and silent. */
  suspend(): void
  resume(): void
  /** Ends the board and all of its processes. */
  stop(): Promise<void>
}

/** Starts an emulated board and waits until its SSH server greets. The caller stops it. */
export async function startBoard(options: BoardOptions = {}): Promise<Board> {
  return options.kind === 'system' ? startSystemBoard(options) : startUserBoard(options)
}
