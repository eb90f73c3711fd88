import type { DeviceFacts } from '../deploy/types.ts'
import { EdgewrightError } from '../error.ts'
import type { Progress } from '../progress.ts'
import { chooseTarget, refuseTargetOnSystem } from '../profiles/choose-target.ts'
import { type CompileConstraints, compileConstraints, type ConstraintNote } from '../profiles/constraints.ts'
import { resolveProfile, withFacts } from '../profiles/resolve.ts'
import type { Profile } from '../profiles/schema.ts'
import { targets } from '../../targets/index.ts'
import type { BoardConstraint, Target, TargetOptions } from '../../targets/target.ts'
import type { Recipe } from './recipe.ts'

export interface BoardRequest {
  /** An id, `id+overlay`, or the path of a profile. */
  readonly profile: string
  /** Undefined: the profile's best that is built. */
  readonly target: string | undefined
  readonly recipe: Recipe
}

/** A kind of board with the target that serves it, and what that means for numbers. */
export interface Board {
  readonly profile: Profile
  readonly target: Target
  readonly options: TargetOptions
  readonly constraints: CompileConstraints
  /** The board's own constraints that shaped the options. */
  readonly reasons: readonly ConstraintNote[]
}

/** By name, without a board at hand. */
export function chooseBoard(request: BoardRequest, progress: Progress): Board {
  return boardOf(resolveProfile(request.profile), request, progress)
}

/** For a board that was asked what it is. */
export function boardOfDevice(
  profile: Profile,
  facts: DeviceFacts,
  request: Omit<BoardRequest, 'profile'>,
  progress: Progress,
): Board {
  return boardOf(withFacts(profile, facts), request, progress, facts)
}

function boardOf(
  profile: Profile,
  request: Omit<BoardRequest, 'profile'>,
  progress: Progress,
  facts?: DeviceFacts,
): Board {
  const built = Object.values(targets).filter((target): target is Target => target.available)
  const name = request.target ?? chosenName(profile, built, progress, facts)
  const target = findTarget(name, built)
  if (request.target && facts) refuseTargetOnSystem(profile, target.name, facts)
  if (!target.schemes.includes(request.recipe.scheme))
    throw new EdgewrightError(
      'TARGET_CANNOT_RUN',
      `The target ${target.name} does not take the scheme ${request.recipe.scheme}.`,
      {
        where: profile.id,
        saw: `schemes of ${target.name}: ${target.schemes.join(', ')}`,
        hint: target.refusals?.[request.recipe.scheme] ?? 'Choose one of these with --scheme.',
      },
    )
  const constraints = compileConstraints(profile, target.name)
  const refusesInt8 = !['float', 'float16'].includes(request.recipe.scheme) && !constraints.int8Allowed
  if (refusesInt8 && target.insteadOfInt8)
    progress.warn({
      code: 'INT8_REFUSED',
      message: `${refusalsOf(profile, constraints).join(' ')} The compile makes ${target.insteadOfInt8} in the place of ${request.recipe.scheme}.`,
      hint: `Say --scheme ${target.insteadOfInt8}, or choose another --target for int8.`,
    })
  else if (refusesInt8)
    throw new EdgewrightError(
      'TARGET_CANNOT_RUN',
      `${profile.name} does not compute in int8 with ${target.name}.`,
      {
        where: profile.id,
        saw: constraints.notes.map((note) => note.sentence).join(' '),
        hint: 'Use --scheme float, or another --target.',
      },
    )
  return {
    profile,
    target,
    options: optionsOf(profile, target, constraints, request.recipe),
    constraints,
    reasons: constraints.notes,
  }
}

function refusalsOf({ constraints: all }: Profile, { notes }: CompileConstraints): string[] {
  const refusing = all.filter(({ effect }) => effect.int8 === 'refuse').map(({ id }) => id)
  return notes.filter(({ id }) => refusing.includes(id)).map(({ sentence }) => sentence)
}

function chosenName(
  profile: Profile,
  built: readonly Target[],
  progress: Progress,
  facts: DeviceFacts | undefined,
): string {
  const { target, warnings } = chooseTarget(
    profile,
    built.map((entry) => entry.name),
    facts,
  )
  for (const warning of warnings) progress.warn(warning)
  return target
}

function findTarget(name: string, built: readonly Target[]): Target {
  const found = built.find((target) => target.name === name)
  if (found) return found
  const planned = Object.values(targets).find((target) => target.name === name)
  if (planned && !planned.available)
    throw new EdgewrightError('TARGET_UNKNOWN', `The target ${name} is not built in this version.`, {
      where: '--target',
      hint: planned.meanwhile,
    })
  throw new EdgewrightError('TARGET_UNKNOWN', `There is no target named ${JSON.stringify(name)}.`, {
    where: '--target',
    saw: `known: ${Object.keys(targets).join(', ')}`,
  })
}

function optionsOf(
  { accelerator }: Profile,
  target: Target,
  constraints: CompileConstraints,
  recipe: Recipe,
): TargetOptions {
  const isFloat = recipe.scheme === 'float' || recipe.scheme === 'float16'
  const narrowed: BoardConstraint[] = []
  const sentence = constraints.notes.map((note) => note.sentence).join(' ')
  if (!constraints.perChannelAllowed) narrowed.push({ kind: 'per-tensor-weights', sentence })
  if (constraints.perChannelOperators)
    narrowed.push({ kind: 'per-channel-only', operators: constraints.perChannelOperators, sentence })
  return {
    cpu: {
      architecture: constraints.cpu.architecture as 'aarch64' | 'x86_64',
      features: constraints.cpu.features,
    },
    ...(accelerator && {
      accelerator: {
        computeCapability: accelerator.computeCapability ?? null,
        dlaCores: accelerator.dlaCores ?? 0,
        newestTensorRt: accelerator.newestTensorRt ?? null,
      },
    }),
    ...(target.plainQdq && { plainQdq: true }),
    scheme: isFloat || constraints.int8Allowed ? recipe.scheme : (target.insteadOfInt8 ?? recipe.scheme),
    io: recipe.io,
    activationRange: { kind: 'min-max' },
    weightRange: 'min-max',
    perChannel: recipe.perChannel && constraints.perChannelAllowed,
    keepFloat: recipe.keepFloat,
    allow: recipe.allow,
    constraints: narrowed,
  }
}
