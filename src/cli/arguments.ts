import { EdgewrightError } from '../error.ts'
import type { Recipe, RecipeInput } from '../compile/recipe.ts'
import type { Preset } from '../measure/presets.ts'
import type { EnergyChoice } from '../run/energy.ts'
import type { ConditionsChoice } from '../run/ready-board.ts'
import { type Arguments, number, text, texts } from './command.ts'
import { meterOf } from './meter.ts'

/** `--shape name=1,3,224,224`, repeated. */
export function shapesOf(args: Arguments): Record<string, number[]> {
  const shapes: Record<string, number[]> = {}
  for (const written of texts(args, 'shape')) {
    const match = /^(.+)=(\d+(?:[,x]\d+)*)$/.exec(written)
    if (!match)
      throw new EdgewrightError('USAGE', `Not a shape: ${JSON.stringify(written)}.`, {
        where: '--shape',
        hint: 'Write --shape input=1,3,224,224.',
      })
    shapes[match[1]!] = match[2]!.split(/[,x]/).map(Number)
  }
  return shapes
}

/** `--threads 1,2,4`. */
export function threadsOf(args: Arguments): number[] | undefined {
  return integers(args, 'threads', 1)
}

/** `--threads 2` where only one count is measured. */
export function threadCountOf(args: Arguments): number {
  const [threads = 1, ...more] = threadsOf(args) ?? []
  if (more.length === 0) return threads
  throw new EdgewrightError('USAGE', 'One thread count is measured at a time.', {
    where: '--threads',
    saw: text(args, 'threads') ?? '',
    hint: 'Write --threads 2.',
  })
}

export function affinityOf(args: Arguments): number[] {
  return integers(args, 'affinity', 0) ?? []
}

function integers(args: Arguments, name: string, least: number): number[] | undefined {
  const written = text(args, name)
  if (written === undefined) return undefined
  const numbers = written.split(',').map((part) => (/^\d+$/.test(part.trim()) ? Number(part) : Number.NaN))
  if (numbers.some((value) => !(value >= least && value <= 4096)))
    throw new EdgewrightError('USAGE', `Not a list of numbers: ${JSON.stringify(written)}.`, {
      where: `--${name}`,
      hint: `Write --${name} 1,2,4.`,
    })
  return numbers
}

/** `--rate 10/s` in hertz; 0 is flat out. */
export function rateHzOf(args: Arguments): number {
  const written = text(args, 'rate')
  if (written === undefined) return 0
  const match = /^(\d+(?:\.\d+)?)(?:\/s|hz)?$/i.exec(written)
  if (!match || !(Number(match[1]) > 0))
    throw new EdgewrightError('USAGE', `Not a rate: ${JSON.stringify(written)}.`, {
      where: '--rate',
      hint: 'Write --rate 10/s.',
    })
  return Number(match[1])
}

/** `--energy`, `--no-energy`, `--rail`, `--sample-rate`, `--meter` and what belongs to it. */
export function energyOf(args: Arguments): EnergyChoice {
  const sampleHz = number(args, 'sample-rate') ?? 20
  if (!(sampleHz >= 1 && sampleHz <= 100))
    throw new EdgewrightError('USAGE', 'Power is sampled 1 to 100 times a second.', {
      where: '--sample-rate',
      saw: String(sampleHz),
      hint: 'A meter beside the board samples faster: see docs/meters.md.',
    })
  const asked = args['energy']
  return {
    wanted: asked === true ? 'on' : asked === false ? 'off' : 'auto',
    rail: text(args, 'rail'),
    sampleHz,
    meter: meterOf(args),
  }
}

/** `--pin performance`, `--power-mode 15W`, `--cool-to 50C,5min,warn`. */
export function conditionsOf(args: Arguments): ConditionsChoice {
  return {
    pin: text(args, 'pin') === 'performance',
    powerMode: text(args, 'power-mode'),
    coolTo: coolToOf(text(args, 'cool-to')),
  }
}

function coolToOf(written: string | undefined): NonNullable<ConditionsChoice['coolTo']> {
  if (written === undefined || written === 'auto') return 'auto'
  if (written === 'off') return 'off'
  const [degrees = '', ...rest] = written.split(',').map((part) => part.trim())
  const celsius = /^(\d{1,3}(?:\.\d+)?)\s*(?:°?C)?$/i.exec(degrees)
  const times = rest.flatMap((part) => /^(\d{1,4}(?:\.\d+)?)\s*(s|min)$/.exec(part) ?? [])
  const others = rest.filter((part) => part !== 'warn' && !/^\d{1,4}(?:\.\d+)?\s*(s|min)$/.test(part))
  if (!celsius || others.length > 0 || times.length > 3)
    throw new EdgewrightError('USAGE', `Not a temperature to wait for: ${JSON.stringify(written)}.`, {
      where: '--cool-to',
      hint: 'Write --cool-to 50C, --cool-to 50C,5min or --cool-to 50C,5min,warn.',
    })
  const [, amount, unit] = times
  return {
    milliC: Math.round(Number(celsius[1]) * 1000),
    deadlineMs: amount === undefined ? 600_000 : Number(amount) * (unit === 'min' ? 60_000 : 1000),
    otherwise: rest.includes('warn') ? 'warn' : 'error',
  }
}

/** Values of `--preset` by what they are about; the two share no word, so that `run` takes one of each. */
const presets = {
  compile: ['fast', 'balanced', 'best'],
  measure: ['quick', 'standard', 'sustained', 'tiny'],
} as const satisfies { compile: readonly string[]; measure: readonly Preset[] }
type PresetKind = keyof typeof presets

/** `--preset best`, or in `run` `--preset best,standard`: the word of one kind. */
export function presetOf<Kind extends PresetKind>(
  args: Arguments,
  kind: Kind,
  allowed: readonly PresetKind[] = [kind],
): (typeof presets)[Kind][number] | undefined {
  const words = texts(args, 'preset').flatMap((written) => written.split(','))
  const known: readonly string[] = allowed.flatMap((one) => presets[one])
  const unknown = words.find((word) => !known.includes(word))
  if (unknown !== undefined)
    throw new EdgewrightError('USAGE', `There is no preset named ${JSON.stringify(unknown)} here.`, {
      where: '--preset',
      hint: `Presets: ${known.join(', ')}.`,
    })
  const own: readonly string[] = presets[kind]
  return words.filter((word) => own.includes(word)).at(-1) as (typeof presets)[Kind][number] | undefined
}

/** Where calibrations are kept: the user's cache folder, or nowhere with `--no-cache`. */
export function calibrationCacheOf(args: Arguments): object | null {
  return args['cache'] === false ? null : {}
}

/** `--max-drop 0.5%` or `0.005` as a share. */
function shareOf(args: Arguments, name: string): number | undefined {
  const written = text(args, name)
  if (written === undefined) return undefined
  const match = /^(\d+(?:\.\d+)?|\.\d+)\s*(%)?$/.exec(written.trim())
  const share = match ? Number(match[1]) / (match[2] ? 100 : 1) : Number.NaN
  if (!(share >= 0 && share <= 1))
    throw new EdgewrightError('USAGE', `Not a share from 0 to 100 %: ${JSON.stringify(written)}.`, {
      where: `--${name}`,
      hint: `Write --${name} 0.5% or --${name} 0.005.`,
    })
  return share
}

/** The recipe of a file and flags; flags win. */
export async function recipeOf(
  args: Arguments,
  base?: RecipeInput | string,
  preset = presetOf(args, 'compile'),
): Promise<Recipe> {
  const { parseRecipe } = await import('../compile/recipe.ts')
  const path = text(args, 'recipe') ?? (typeof base === 'string' ? base : undefined)
  const written: Record<string, unknown> = path
    ? await readRecipe(path)
    : { ...(typeof base === 'object' ? base : {}) }
  const calibration: Record<string, unknown> = { ...(written['calibration'] as object | undefined) }
  const put = (into: Record<string, unknown>, field: string, value: unknown) => {
    if (value !== undefined) into[field] = value
  }
  put(written, 'scheme', text(args, 'scheme'))
  put(written, 'io', text(args, 'io'))
  put(written, 'preset', preset)
  put(written, 'maxDrop', shareOf(args, 'max-drop'))
  put(written, 'foldPreprocessing', args['fold-preprocessing'])
  put(written, 'perChannel', args['per-channel'])
  put(written, 'keepFloat', args['keep-float'])
  put(written, 'allow', args['allow'])
  put(written, 'seed', number(args, 'seed'))
  const offset = text(args, 'label-offset')
  put(written, 'labelOffset', offset === undefined || offset === 'auto' ? offset : Number(offset))
  put(calibration, 'method', text(args, 'calibration'))
  put(calibration, 'percentile', number(args, 'percentile'))
  put(calibration, 'samples', number(args, 'samples'))
  if (Object.keys(calibration).length > 0) written['calibration'] = calibration
  return parseRecipe(written, path ?? 'the command line')
}

async function readRecipe(path: string): Promise<Record<string, unknown>> {
  const { readFile } = await import('node:fs/promises')
  const { parseYaml } = await import('../run/config.ts')
  let source: string
  try {
    source = await readFile(path, 'utf8')
  } catch (error) {
    throw new EdgewrightError('RECIPE_INVALID', 'The recipe cannot be read.', {
      where: path,
      saw: (error as Error).message,
    })
  }
  const parsed = parseYaml(source, path)
  if (parsed !== null && typeof parsed !== 'object')
    throw new EdgewrightError('RECIPE_INVALID', 'The recipe is not a mapping.', { where: path })
  return { ...(parsed as object) }
}
