import { userInfo } from 'node:os'
import { parseConnectionSpec } from '../deploy/connection-spec.ts'
import { openDevice } from '../deploy/device.ts'
import type { HostKeyQuestion } from '../deploy/host-key.ts'
import type { SecretPrompt } from '../deploy/ssh-auth.ts'
import type { Device } from '../deploy/types.ts'
import { EdgewrightError } from '../error.ts'
import type { Progress } from '../progress.ts'
import { matchProfile } from '../profiles/match.ts'
import { resolveProfile, withFacts } from '../profiles/resolve.ts'
import type { Profile } from '../profiles/schema.ts'
import { findDevice } from './devices.ts'

/** How to reach boards: what flags say, and whom to ask. */
export interface ConnectionOptions {
  readonly identity: string | undefined
  readonly hostKey: string | undefined
  readonly knownHosts: string | undefined
  readonly root: string | undefined
  /** Asked only where a person is there. */
  readonly askSecret: SecretPrompt | undefined
  readonly confirmHostKey: ((question: HostKeyQuestion) => Promise<boolean>) | undefined
}

export const noQuestions: ConnectionOptions = {
  identity: undefined,
  hostKey: undefined,
  knownHosts: undefined,
  root: undefined,
  askSecret: undefined,
  confirmHostKey: undefined,
}

/** A board reached, with what kind it is. Its connection may be replaced by a new one after a drop. */
export interface OpenedBoard {
  /** As it is connected now. */
  readonly device: Device
  readonly profile: Profile
  /** Why this profile. */
  readonly explanation: string
  /** Connects again after a drop; `device` is then the new one. */
  reconnect(): Promise<Device>
  close(): Promise<void>
}

/** Opens a board by name or connection and finds its profile: the one asked for, the entry's own, or by probing. */
export async function openBoard(
  name: string,
  profile: string | undefined,
  options: ConnectionOptions,
  progress: Progress,
): Promise<OpenedBoard> {
  refusePassword(name)
  const entry = findDevice(name)
  progress.stage('connect', name)
  const open = () =>
    openDevice(entry?.connection ?? name, {
      name,
      identity: options.identity ?? entry?.identity,
      hostKey: options.hostKey ?? entry?.hostKey,
      knownHostsPath: options.knownHosts ?? entry?.knownHosts,
      root: options.root ?? entry?.root,
      prompt: options.askSecret,
      confirmHostKey: options.confirmHostKey,
      progress,
    })
  let device = await open()
  try {
    return {
      get device() {
        return device
      },
      ...profileOf(device, profile ?? entry?.profile),
      async reconnect() {
        const again = await open()
        await device.connection.close().catch(() => {})
        device = again
        return device
      },
      close: () => device.connection.close(),
    }
  } catch (error) {
    await device.connection.close()
    throw error
  }
}

/** Before the name is said, kept or logged anywhere. */
export function refusePassword(name: string): void {
  if (!/^(?:[a-z]+:\/\/)?[^/@]*:[^/]*@/i.test(name)) return
  parseConnectionSpec(name)
}

function profileOf(device: Device, asked: string | undefined): Pick<OpenedBoard, 'profile' | 'explanation'> {
  if (asked)
    return {
      profile: withFacts(resolveProfile(asked), device.facts),
      explanation: `The profile ${asked} was asked for.`,
    }
  const [best] = matchProfile(device.facts, { local: device.connection.kind === 'local' })
  if (best) return best
  throw new EdgewrightError('DEVICE_UNSUPPORTED', 'No profile fits this board.', {
    where: device.name,
    saw: `${device.facts.architecture}, ${device.facts.model ?? 'no model name'}`,
    hint: 'Name one with --profile; boards need a 64-bit Linux (aarch64 or x86_64).',
  })
}

/** Who holds a board, in words for others: `anna@desk`. */
export function holderName(): string {
  let user = 'someone'
  try {
    user = userInfo().username
  } catch {
    // no entry in the password file: containers
  }
  return `${user}@${process.env['HOSTNAME'] ?? 'host'} (process ${process.pid})`
}
