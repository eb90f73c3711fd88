import { existsSync } from 'node:fs'
import type { DeviceFacts } from '../deploy/types.ts'
import { loadOverlay, loadProfile, looksLikePath } from './load.ts'
import type { Overlay, Profile } from './schema.ts'

/**
 * A profile with its overlays laid over it: `raspberry-pi-5`, `raspberry-pi-5+coral-usb`, `./mine.yaml+coral-usb`.
 * The overlay's targets come first, in the order the overlays are named last to first.
 */
export function resolveProfile(spec: string): Profile {
  // A file name may itself hold a plus sign.
  if (looksLikePath(spec) && existsSync(spec)) return loadProfile(spec)
  const [base, ...overlays] = spec.split('+')
  return overlays.map(loadOverlay).reduce(applyOverlay, loadProfile(base!))
}

/** One board with one accelerator plugged in. */
export function applyOverlay(profile: Profile, overlay: Overlay): Profile {
  const added = new Set(overlay.targets.map(({ target }) => target))
  const narrowed = new Set(overlay.constraints.map(({ id }) => id))
  return {
    ...profile,
    id: `${profile.id}+${overlay.id}`,
    name: `${profile.name} with ${overlay.name}`,
    accelerator: overlay.accelerator,
    targets: [...overlay.targets, ...profile.targets.filter(({ target }) => !added.has(target))],
    constraints: [...overlay.constraints, ...profile.constraints.filter(({ id }) => !narrowed.has(id))],
    power: [...overlay.power, ...profile.power],
    thermal:
      overlay.thermal === null
        ? profile.thermal
        : {
            ...profile.thermal,
            zones: [
              ...profile.thermal.zones,
              ...overlay.thermal.zones.filter((zone) => !profile.thermal.zones.includes(zone)),
            ],
            limits: [...profile.thermal.limits, ...overlay.thermal.limits],
            source: [...new Set([...profile.thermal.source, ...overlay.thermal.source])],
          },
    unverified: [...profile.unverified, ...overlay.unverified],
    sources: { ...profile.sources, ...overlay.sources },
  }
}

/**
 * The profile with what the board itself says in place of what its kind usually has: cores, features, memory, glibc.
 * A name is never enough to infer an instruction set.
 */
export function withFacts(profile: Profile, facts: DeviceFacts): Profile {
  const architecture =
    facts.architecture === 'aarch64' || facts.architecture === 'x86_64'
      ? facts.architecture
      : profile.cpu.architecture
  return {
    ...profile,
    cpu: {
      ...profile.cpu,
      architecture,
      model: facts.cpuModel ?? profile.cpu.model,
      cores: Math.max(1, facts.cpuCount),
      features: facts.cpuFeatures.length > 0 ? [...facts.cpuFeatures] : profile.cpu.features,
    },
    memory:
      facts.memoryBytes === null
        ? profile.memory
        : { ...profile.memory, optionsMiB: [Math.round(facts.memoryBytes / 2 ** 20)] },
    sources: { ...profile.sources, BOARD: 'Read from the board itself' },
    os:
      facts.libc.name === 'glibc' && facts.libc.version !== null && /^\d+\.\d+$/.test(facts.libc.version)
        ? [{ image: facts.os ?? 'as found', glibc: facts.libc.version, basis: 'observed', source: ['BOARD'] }]
        : profile.os,
  }
}
