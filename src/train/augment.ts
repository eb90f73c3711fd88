import { type Generator, seededGenerator } from '../data/generator.ts'
import type { Layout } from '../data/layout.ts'
import { EdgewrightError } from '../error.ts'
import type { Tensor } from '../tensor.ts'
import { brightened, contrasted, saturated } from './augment-colours.ts'
import { frequencyMasked, isSignal, type TimeAxis, timeMasked, timeShifted } from './augment-frames.ts'
import * as picture from './augment-picture.ts'
import { type PixelUnits, type Plane, planeOf } from './augment-plane.ts'
import type { Augment } from './dataset-batches.ts'

/** One change of a sample, as it was written. */
interface Change {
  readonly amount: number
  /** What the kind offers besides an amount: the first unless another is written. */
  readonly choice: string
}

interface Kind {
  /** What a sample must be: `frames` is a spectrogram or a signal over time. */
  readonly needs: 'picture' | 'colours' | 'frames' | 'spectrogram' | 'numbers'
  /** How one writes it. */
  readonly example: string
  /** Amount where none is written; null where one has to be. */
  readonly initial: number | null
  readonly most: number
  /** Of pixels, frames or frequencies. */
  readonly whole?: true
  readonly choices?: readonly string[]
  apply(plane: Plane, change: Change, units: PixelUnits, random: Generator): Float32Array
}

const fills: readonly picture.Fill[] = ['black', 'reflect', 'edge']
const times: readonly TimeAxis[] = ['rows', 'columns']
const pixels = { initial: null, most: 10_000, whole: true } as const
const share = { initial: null, most: 1 } as const

const kinds: Readonly<Record<string, Kind>> = {
  shift: {
    ...{ needs: 'picture', example: 'shift:4', ...pixels, choices: fills },
    apply: (plane, { amount, choice }, units, random) =>
      picture.shifted(plane, amount, choice as picture.Fill, units, random),
  },
  flip: {
    ...{ needs: 'picture', example: 'flip', initial: 0.5, most: 1 },
    apply: (plane, { amount }, _units, random) => picture.flipped(plane, amount, random),
  },
  crop: {
    ...{ needs: 'picture', example: 'crop:0.5', ...share },
    apply: (plane, { amount }, _units, random) => picture.croppedAndResized(plane, amount, random),
  },
  rotate: mappedBy(picture.rotation, 'rotate:10', 180),
  zoom: mappedBy(picture.zoom, 'zoom:0.1', 0.9),
  shear: mappedBy(picture.shear, 'shear:5', 60),
  brightness: {
    ...{ needs: 'picture', example: 'brightness:0.2', ...share },
    apply: (plane, { amount }, units, random) => brightened(plane, amount, units, random),
  },
  contrast: {
    ...{ needs: 'picture', example: 'contrast:0.2', ...share },
    apply: (plane, { amount }, units, random) => contrasted(plane, amount, units, random),
  },
  saturation: {
    ...{ needs: 'colours', example: 'saturation:0.2', ...share },
    apply: (plane, { amount }, units, random) => saturated(plane, amount, units, random),
  },
  cutout: {
    ...{ needs: 'picture', example: 'cutout:8', ...pixels },
    apply: (plane, { amount }, _units, random) => picture.cutOut(plane, amount, random),
  },
  'time-shift': {
    ...{ needs: 'frames', example: 'time-shift:5', ...pixels, most: 1e9, choices: times },
    apply: (plane, { amount, choice }, _units, random) =>
      timeShifted(plane, amount, choice as TimeAxis, random),
  },
  'time-mask': {
    ...{ needs: 'frames', example: 'time-mask:10', ...pixels, most: 1e9, choices: times },
    apply: (plane, { amount, choice }, _units, random) =>
      timeMasked(plane, amount, choice as TimeAxis, random),
  },
  'frequency-mask': {
    ...{ needs: 'spectrogram', example: 'frequency-mask:2', ...pixels, choices: times },
    apply: (plane, { amount, choice }, _units, random) =>
      frequencyMasked(plane, amount, choice as TimeAxis, random),
  },
  noise: {
    ...{ needs: 'numbers', example: 'noise:0.01', initial: null, most: 1e6 },
    apply: ({ data }, { amount }, _units, random) => data.map((value) => value + amount * random.normal()),
  },
  scale: {
    ...{ needs: 'numbers', example: 'scale:0.1', ...share },
    apply({ data }, { amount }, _units, random) {
      const factor = 1 + amount * (2 * random.next() - 1)
      return data.map((value) => value * factor)
    },
  },
}

function mappedBy(
  matrix: (amount: number, random: Generator) => Parameters<typeof picture.mapped>[1],
  example: string,
  most: number,
): Kind {
  return {
    ...{ needs: 'picture', example, initial: null, most, choices: fills },
    apply: (plane, { amount, choice }, units, random) =>
      picture.mapped(plane, matrix(amount, random), choice as picture.Fill, units),
  }
}

const unknownUnits: PixelUnits = { kind: 'tensor', scale: 1, mean: [0], std: [1], channelOrder: null }

/**
 * Changes of samples as `--augment` writes them, made in the order written, each drawn anew for each sample and epoch:
 * `shift:4:reflect,flip,noise:0.01`, or `none`.
 *
 * Of pictures: `shift:PIXELS`, `rotate:DEGREES`, `zoom:SHARE`, `shear:DEGREES`, each by up to as much either way and with
 * `:black` (what 0 became when it was normalized), `:reflect` or `:edge` where the picture was; `flip[:PROBABILITY]`, left to
 * right; `crop:LEAST` (random resized crop: the least share of the area); `brightness:A`, `contrast:A`, `saturation:A` (a factor
 * of 1 ± A); `cutout:PIXELS`. Of spectrograms, and of signals but for the last: `time-shift:FRAMES`, `time-mask:FRAMES`,
 * `frequency-mask:BINS`, with `:columns` where time runs along the columns. Of anything: `noise:DEVIATION`, `scale:A`, in the
 * network's own units.
 *
 * Of a network with several inputs, each is changed that is what a change needs, and those of one shape alike. Nothing is
 * done where nothing is asked for: which changes keep a sample's meaning, only its owner knows.
 *
 * @param layout of samples with three axes; null: the axis with 1 or 3 elements holds the channels
 * @param units what samples went through, for black, white and gray; by default 0 is black and nothing is clipped
 * @throws CONFIG_INVALID where it is not written so; at the first sample where no input is what a change needs
 */
export function parseAugment(
  written: string,
  layout: Layout | null,
  units: PixelUnits = unknownUnits,
): Augment {
  if (written.trim() === 'none') return (inputs) => inputs
  const steps = written.split(',').map((part) => parseChange(part.trim()))
  return (inputs, seed) => {
    const made = new Map<string, Tensor>()
    const done = new Set<Step>()
    for (const [name, tensor] of inputs) {
      const random = seededGenerator(seed)
      let changed = tensor
      for (const step of steps) {
        const plane = planeFor(step.kind, changed, layout)
        if (!plane) continue
        done.add(step)
        changed = { ...changed, data: step.kind.apply(plane, step.change, units, random) }
      }
      made.set(name, changed)
    }
    const idle = steps.find((step) => !done.has(step))
    if (idle) throw unfit(idle, inputs)
    return made
  }
}

interface Step {
  readonly written: string
  readonly kind: Kind
  readonly change: Change
}

function parseChange(written: string): Step {
  const [name = '', ...words] = written.split(':')
  const kind = Object.hasOwn(kinds, name) ? kinds[name]! : null
  if (!kind) throw invalid(written, `no change ${JSON.stringify(name)}`)
  const number = /^\d*\.?\d+(?:e-?\d+)?$/i.test(words[0] ?? '') ? Number(words.shift()) : kind.initial
  if (number === null) throw invalid(written, `no amount: ${kind.example}`)
  if (!(number > 0 && number <= kind.most) || (kind.whole && !Number.isInteger(number)))
    throw invalid(
      written,
      `${number}, not ${kind.whole ? 'a whole number' : 'a number'} above 0 up to ${kind.most}`,
    )
  const [choice, ...more] = words
  const choices = kind.choices ?? []
  if (more.length > 0 || (choice !== undefined && !choices.includes(choice)))
    throw invalid(written, choices.length > 0 ? `it takes ${choices.join(', ')}` : 'it takes an amount only')
  return { written, kind, change: { amount: number, choice: choice ?? choices[0] ?? '' } }
}

/** A sample as a change needs it; null where it is something else. */
function planeFor({ needs }: Kind, tensor: Tensor, layout: Layout | null): Plane | null {
  const { data, shape } = tensor
  if (!(data instanceof Float32Array)) return null
  if (needs === 'numbers')
    return { data, height: 1, width: data.length, channels: 1, strides: { y: 0, x: 1, channel: 0 } }
  if (shape.length < 3 && needs !== 'frames') return null
  const plane = planeOf(tensor, layout)
  if (!plane || (needs === 'colours' && plane.channels !== 3)) return null
  return needs === 'spectrogram' && isSignal(plane) ? null : plane
}

const needed = {
  picture: 'a picture: float32 [1, channels, rows, columns] or [1, rows, columns, channels]',
  colours: 'a picture in float32 with three channels',
  frames: 'a spectrogram or a signal in float32',
  spectrogram: 'a spectrogram: float32 [1, frames, bins], with or without an axis of channels',
  numbers: 'an input in float32',
} as const satisfies Record<Kind['needs'], string>

function unfit({ written, kind }: Step, inputs: ReadonlyMap<string, Tensor>): EdgewrightError {
  const seen = [...inputs].map(([name, { dtype, shape }]) => `${name}: ${dtype} [${shape.join(', ')}]`)
  return new EdgewrightError('CONFIG_INVALID', `The samples cannot be changed by ${written}.`, {
    where: '--augment',
    saw: seen.join('; '),
    hint: `It needs ${needed[kind.needs]}.`,
  })
}

function invalid(written: string, saw: string): EdgewrightError {
  return new EdgewrightError(
    'CONFIG_INVALID',
    `There is no such change of samples: ${JSON.stringify(written)}.`,
    {
      where: '--augment',
      saw,
      hint: `Write none, or some of these with a comma between: ${Object.values(kinds)
        .map(({ example }) => example)
        .join(', ')}.`,
    },
  )
}
