import { existsSync } from 'node:fs'
import { type Scheme, schemes } from '../artifact/manifest.ts'
import { EdgewrightError } from '../error.ts'
import type { CalibrationCacheOptions } from '../compile/calibration-cache.ts'
import type { Recipe, RecipeInput } from '../compile/recipe.ts'
import type { Preset } from '../measure/presets.ts'
import { type Budget, parseBudget } from './budget.ts'
import { type Config, readConfig } from './config.ts'
import type { EnergyChoice } from './energy.ts'
import type { ConditionsChoice } from './ready-board.ts'
import { type ConnectionOptions, refusePassword } from './open-device.ts'

/** One device of a run and what is to be compiled for it. */
export interface DeviceRequest {
  readonly device: string
  readonly profile: string | undefined
  readonly target: string | undefined
  /** Not there counts as skipped, not as failed. */
  readonly optional: boolean
}

/** The main job, resolved: nothing of it depends on flags or files any more. */
export interface RunRequest {
  readonly model: string
  readonly shapes: Readonly<Record<string, readonly number[]>>
  readonly signature?: string | undefined
  readonly data: string | undefined
  readonly calibrationData: string | undefined
  /** Where calibrations are kept; null or absent: nowhere. */
  readonly calibrationCache?: CalibrationCacheOptions | null
  readonly metric: string | undefined
  readonly recipe: Recipe
  /** One compile and one row each, in this order; the recipe's own where none is named. */
  readonly schemes: readonly Scheme[]
  readonly devices: readonly DeviceRequest[]
  readonly threads: readonly number[]
  readonly affinity: readonly number[]
  readonly rateHz: number
  readonly preset: Preset
  /** Absent: with every preset but quick, where the board has a sensor. */
  readonly energy?: EnergyChoice
  /** Absent: nothing is set on the board, and rows wait a minute at most for it to cool. */
  readonly conditions?: ConditionsChoice
  readonly report: string | undefined
  readonly budgets: readonly Budget[]
  readonly connection: ConnectionOptions
  /** Where edgetpu_compiler is; undefined: on PATH, or nowhere. */
  readonly edgetpuCompiler: string | undefined
  /** Folder of runs and artifacts. */
  readonly store: string
}

/** What the command line or a caller gives; the rest comes from `edgewright.yaml`. */
export interface RunChoices {
  readonly model: string | undefined
  readonly config: string | undefined
  readonly shapes: Readonly<Record<string, readonly number[]>>
  readonly signature?: string | undefined
  readonly data: string | undefined
  readonly calibrationData: string | undefined
  /** Where calibrations are kept; null or absent: nowhere. */
  readonly calibrationCache?: CalibrationCacheOptions | null
  readonly metric: string | undefined
  recipe(base: RecipeInput | string | undefined): Promise<Recipe>
  /** `full-int8,float16`; undefined: of the recipe. */
  readonly schemes: string | undefined
  readonly devices: readonly string[]
  readonly profile: string | undefined
  readonly target: string | undefined
  readonly threads: readonly number[] | undefined
  readonly affinity: readonly number[]
  readonly rateHz: number
  readonly preset: Preset | undefined
  readonly energy?: EnergyChoice
  readonly conditions?: ConditionsChoice
  readonly report: string | undefined
  readonly budgets: readonly string[]
  readonly edgetpuCompiler: string | undefined
  readonly connection: ConnectionOptions
}

const defaultConfig = 'edgewright.yaml'

/** Joins choices and configuration; choices win. */
export async function planRun(choices: RunChoices): Promise<RunRequest> {
  const config = configOf(choices)
  const model = choices.model ?? config?.model
  if (!model)
    throw new EdgewrightError('USAGE', 'No model is named.', {
      hint: `edgewright run net.onnx --data samples/ --device pi@board, or write ${defaultConfig}.`,
    })
  const devices: DeviceRequest[] =
    choices.devices.length > 0
      ? choices.devices.map((device) => ({ device, optional: false, profile: undefined, target: undefined }))
      : devicesOf(config)
  if (choices.energy?.meter && devices.length > 1)
    throw new EdgewrightError('USAGE', 'A meter stands beside one board, and several are named.', {
      where: '--meter',
      saw: devices.map(({ device }) => device).join(', '),
      hint: 'Measure the boards one by one, each with its meter.',
    })
  for (const { device } of devices) refusePassword(device)
  const recipe = await choices.recipe(config?.recipe as RecipeInput | string | undefined)
  return {
    model,
    shapes: { ...config?.shapes, ...choices.shapes },
    signature: choices.signature,
    data: choices.data ?? config?.data,
    calibrationData: choices.calibrationData ?? config?.calibrationData,
    calibrationCache: choices.calibrationCache ?? null,
    metric: choices.metric ?? config?.metric,
    recipe,
    schemes: choices.schemes === undefined ? [recipe.scheme] : schemesOf(choices.schemes),
    devices: devices.map((entry) => ({
      ...entry,
      profile: choices.profile ?? entry.profile,
      target: choices.target ?? entry.target,
    })),
    threads: choices.threads ?? config?.threads ?? [1],
    affinity: choices.affinity,
    rateHz: choices.rateHz,
    preset: choices.preset ?? config?.preset ?? 'quick',
    ...(choices.energy ? { energy: choices.energy } : {}),
    ...(choices.conditions ? { conditions: choices.conditions } : {}),
    report: choices.report ?? config?.report,
    budgets: [...(config?.budgets ?? []), ...choices.budgets].map(parseBudget),
    connection: choices.connection,
    edgetpuCompiler: choices.edgetpuCompiler,
    store: '.edgewright',
  }
}

function schemesOf(written: string): Scheme[] {
  const names = written.split(',').map((name) => name.trim())
  const unknown = names.find((name) => !(schemes as readonly string[]).includes(name))
  if (unknown !== undefined)
    throw new EdgewrightError('USAGE', `There is no scheme named ${JSON.stringify(unknown)}.`, {
      where: '--scheme',
      hint: `Schemes: ${schemes.join(', ')}.`,
    })
  return [...new Set(names)] as Scheme[]
}

/** A model on the command line makes the file needless, a `--config` makes it wanted. */
function configOf(choices: RunChoices): Config | null {
  if (choices.config) return readConfig(choices.config)
  if (choices.model || !existsSync(defaultConfig)) return null
  return readConfig(defaultConfig)
}

function devicesOf(config: Config | null): DeviceRequest[] {
  return (config?.devices ?? ['local:']).map((entry) =>
    typeof entry === 'string'
      ? { device: entry, profile: undefined, target: undefined, optional: false }
      : { device: entry.device, profile: entry.profile, target: entry.target, optional: entry.optional },
  )
}
