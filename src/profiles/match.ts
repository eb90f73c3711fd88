import type { DeviceFacts } from '../deploy/types.ts'
import { listOverlays, listProfiles, loadProfile } from './load.ts'
import { applyOverlay, withFacts } from './resolve.ts'
import type { Overlay, Profile } from './schema.ts'

/** `compatible`: the device tree names it. `model`: its model string begins so. `architecture`: only the CPU is known. */
export type MatchConfidence = 'compatible' | 'model' | 'architecture'

export interface ProfileMatch {
  /** With overlays for plugged-in accelerators applied and the board's own facts filled in. */
  readonly profile: Profile
  readonly confidence: MatchConfidence
  /** One sentence: what was seen and why it fits. */
  readonly explanation: string
}

/**
 * Profiles that fit what a probe found, best first. The last is the fallback for the architecture; the list is empty
 * where there is none (32-bit Arm, RISC-V).
 *
 * @param options.local True where the facts are of the machine that runs us: the fallback is then `this-computer`.
 */
export function matchProfile(facts: DeviceFacts, options: { local?: boolean } = {}): ProfileMatch[] {
  const matches = [
    ...byCompatible(facts),
    ...byModel(facts),
    ...byArchitecture(facts, options.local === true),
  ]
  const plugged = pluggedOverlays(facts)
  const seen = new Set<string>()
  return matches
    .filter(({ profile }) => !seen.has(profile.id) && seen.add(profile.id))
    .map(({ profile, confidence, explanation }) => ({
      profile: withFacts(plugged.map(({ overlay }) => overlay).reduce(applyOverlay, profile), facts),
      confidence,
      explanation: [explanation, ...plugged.map(({ why }) => why)].join(' '),
    }))
}

/** The device tree lists its strings from the most specific to the least: the earliest that a profile names wins. */
function byCompatible(facts: DeviceFacts): ProfileMatch[] {
  return listProfiles()
    .map((profile) => ({
      profile,
      at: facts.compatible.findIndex((entry) => profile.identity.compatible.includes(entry)),
    }))
    .filter(({ at }) => at >= 0)
    .sort((a, b) => a.at - b.at)
    .map(({ profile, at }) => ({
      profile,
      confidence: 'compatible',
      explanation: `Its device tree is compatible with ${quoted(facts.compatible[at]!)}, which is ${profile.name}.`,
    }))
}

/** The longest prefix wins: "Raspberry Pi 3 Model B Plus" is not a Model B. */
function byModel(facts: DeviceFacts): ProfileMatch[] {
  const model = facts.model?.replaceAll('\0', '').trim() ?? ''
  return listProfiles()
    .map((profile) => ({ profile, length: longestPrefix(model, profile.identity.modelPrefixes) }))
    .filter(({ length }) => length > 0)
    .sort((a, b) => b.length - a.length)
    .map(({ profile }) => ({
      profile,
      confidence: 'model',
      explanation: `Its model string is ${quoted(model)}, which is how ${profile.name} begins its own.`,
    }))
}

/** Ends at a word boundary, so that "Raspberry Pi 5" does not take a "Raspberry Pi 500". */
function longestPrefix(model: string, prefixes: readonly string[]): number {
  let longest = 0
  for (const prefix of prefixes) {
    const next = model[prefix.length]
    const whole = next === undefined || !/[\p{L}\p{N}+]/u.test(next)
    if (whole && model.startsWith(prefix)) longest = Math.max(longest, prefix.length)
  }
  return longest
}

function byArchitecture(facts: DeviceFacts, local: boolean): ProfileMatch[] {
  const fallback = { aarch64: 'generic-arm64', x86_64: 'generic-x64' }[facts.architecture]
  if (fallback === undefined) return []
  const seen =
    facts.model === null
      ? 'It names no model'
      : `No profile names ${quoted(facts.model.replaceAll('\0', '').trim())}`
  return [
    {
      profile: loadProfile(local ? 'this-computer' : fallback),
      confidence: 'architecture',
      explanation: `${seen}; its architecture is ${facts.architecture} and its CPU features were read from it.`,
    },
  ]
}

function pluggedOverlays(facts: DeviceFacts): { overlay: Overlay; why: string }[] {
  return listOverlays().flatMap((overlay) => {
    const id = facts.usbIds.find((entry) => overlay.usbIds.includes(entry.toLowerCase()))
    return id === undefined ? [] : [{ overlay, why: `On its USB is ${id}, a ${overlay.name}.` }]
  })
}

/** What a board says about itself is cut and freed of control characters before anyone reads it. */
function quoted(text: string): string {
  return JSON.stringify(text.replace(/[\p{C}]/gu, '').slice(0, 120))
}
