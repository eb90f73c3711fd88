import { userInfo } from 'node:os'
import { openDevice } from '../deploy/device.ts'
import type { HostKeyQuestion } from '../deploy/host-key.ts'
import type { SecretPrompt } from '../deploy/ssh-auth.ts'
import type { Device } from '../deploy/types.ts'
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

/** A board reached, with what kind it is. */
export interface OpenedDevice {
  readonly device: Device
  readonly profile: Profile
  /** Why this profile. */
  readonly explanation: string
}

/** Opens a board by name or connection and finds its profile: the one asked for, the entry's own, or by probing. */
export async function openBoard(name: string, profile: string | undefined, options: ConnectionOptions, progress: Progress): Promise<OpenedDevice> {
  const entry = findDevice(name)
  progress.stage('connect', name)
  const device = await openDevice(entry?.connection ?? name, {
    name,
    identity: options.identity ?? entry?.identity,
    hostKey: options.hostKey,
    knownHostsPath: options.knownHosts,
    root: options.root ?? entry?.root,
    prompt: options.askSecret,
    confirmHostKey: options.confirmHostKey,
    progress,
  })
  const asked = profile ?? entry?.profile
  if (asked) return { device, profile: withFacts(resolveProfile(asked), device.facts), explanation: `The profile ${asked} was asked for.` }
  const [best] = matchProfile(device.facts, { local: device.connection.kind === 'local' })
  if (!best) return { device, profile: withFacts(resolveProfile('generic-arm64'), device.facts), explanation: 'Nothing is known of this kind of board.' }
  return { device, profile: best.profile, explanation: best.explanation }
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
