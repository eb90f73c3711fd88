import type { DeviceFacts } from '../deploy/types.ts'
import { EdgewrightError } from '../error.ts'
import type { Warning } from '../progress.ts'
import { withFacts } from './resolve.ts'
import type { Profile } from './schema.ts'

export interface ChosenTarget {
  readonly target: string
  /** TARGET_FALLBACK where the board's best target is not built yet or cannot run on its system. */
  readonly warnings: readonly Warning[]
}

/** What the runtime of a target needs of a board's system, beyond its CPU. */
const systemNeeds: Readonly<Record<string, { runtime: string; glibc: string } | undefined>> = {
  onnxruntime: { runtime: 'ONNX Runtime', glibc: '2.28' },
}

/**
 * The best target of a profile that this version builds and that the board's system can run.
 *
 * @param builtTargets Names of the targets that exist, as `edgewright targets` lists them.
 * @param facts What a probe found; without it the profile's own list of OS images decides.
 * @throws EdgewrightError DEVICE_UNSUPPORTED where no target can run there, TARGET_CANNOT_RUN where none is built.
 */
export function chooseTarget(
  profile: Profile,
  builtTargets: readonly string[],
  facts?: DeviceFacts,
): ChosenTarget {
  if (facts !== undefined) {
    refuseSystem(profile, facts)
    profile = withFacts(profile, facts)
  }
  const built = profile.targets.filter(({ target }) => builtTargets.includes(target))
  if (built.length === 0)
    throw new EdgewrightError('TARGET_CANNOT_RUN', `None of the targets of ${profile.name} is built yet.`, {
      where: profile.id,
      saw: `its targets: ${profile.targets.map(({ target }) => target).join(', ')}; built: ${builtTargets.join(', ') || 'none'}`,
      hint: 'Add one of the built targets to the profile, if the board can run it.',
    })
  const chosen = built.find(({ target }) => tooOld(profile, target) === undefined)
  if (chosen === undefined) throw unsupported(profile, tooOld(profile, built[0]!.target)!)
  const best = profile.targets[0]!
  if (best.target === chosen.target) return { target: chosen.target, warnings: [] }
  const why = builtTargets.includes(best.target)
    ? `cannot run on its system (${tooOld(profile, best.target)})`
    : 'is not built in this version'
  return {
    target: chosen.target,
    warnings: [
      {
        code: 'TARGET_FALLBACK',
        message: `The best target of ${profile.name} is ${best.target} (${best.note.replace(/\.$/, '')}), which ${why}; ${chosen.target} is used instead: ${chosen.note}`,
        hint: `Figures below are of ${chosen.target}, not of ${best.target}: the board can do better.`,
      },
    ],
  }
}

/**
 * For a target that the user named: the same refusals, without a choice.
 *
 * @throws EdgewrightError DEVICE_UNSUPPORTED where the board's system cannot load the target's runtime.
 */
export function refuseTargetOnSystem(profile: Profile, target: string, facts: DeviceFacts): void {
  refuseSystem(profile, facts)
  const seen = withFacts(profile, facts)
  const why = tooOld(seen, target)
  if (why !== undefined) throw unsupported(seen, why)
}

/** Systems where no runtime of ours loads, whatever the target. */
function refuseSystem(profile: Profile, facts: DeviceFacts): void {
  if (facts.userlandBits === 32)
    throw unsupported(
      profile,
      `a 32-bit userland${facts.architecture === 'aarch64' ? ' on a 64-bit kernel (aarch64)' : ` (${facts.architecture})`}`,
      'Runtimes are built for 64-bit systems only: install the 64-bit image of the board’s OS.',
    )
  if (facts.architecture !== 'aarch64' && facts.architecture !== 'x86_64')
    throw unsupported(
      profile,
      `the architecture ${JSON.stringify(facts.architecture.slice(0, 40))}`,
      'Runtimes exist for aarch64 and x86_64.',
    )
  if (facts.libc.name === 'musl')
    throw unsupported(
      profile,
      `musl${facts.libc.version === null ? '' : ` ${facts.libc.version}`} as its C library`,
      'Runtimes need glibc: use an image that has it, such as Debian, Ubuntu or Raspberry Pi OS, instead of Alpine.',
    )
}

/** What makes the system too old for a target, or undefined. Where glibc is unknown the board is given the benefit of the doubt. */
function tooOld(profile: Profile, target: string): string | undefined {
  const needs = systemNeeds[target]
  if (needs === undefined || profile.os.length === 0) return undefined
  const known = profile.os.filter(({ glibc }) => glibc !== null)
  if (known.length < profile.os.length || known.some(({ glibc }) => !olderThan(glibc!, needs.glibc)))
    return undefined
  const images = known.map(({ image, glibc }) => `glibc ${glibc} of ${image}`).join(', ')
  return `${images}; ${needs.runtime} needs ${needs.glibc} or newer`
}

function olderThan(version: string, needed: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [neededMajor = 0, neededMinor = 0] = needed.split('.').map(Number)
  return major < neededMajor || (major === neededMajor && minor < neededMinor)
}

function unsupported(profile: Profile, saw: string, hint?: string): EdgewrightError {
  return new EdgewrightError('DEVICE_UNSUPPORTED', `No target can run on ${profile.name} as it stands.`, {
    where: profile.id,
    saw,
    hint:
      hint ??
      'Install a newer OS image on the board, or, if yours has one already, name the board with --device so that its own system is seen.',
  })
}
