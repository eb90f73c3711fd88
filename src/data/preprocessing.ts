import { z } from 'zod'
import { EdgewrightError } from '../error.ts'
import type { Warning } from '../progress.ts'
import { imageShape, type ImageShape } from './layout.ts'
import type { InputSpec, Preprocessing } from './types.ts'

const side = z.number().int().min(1).max(16384)
const size = z.union([
  side.transform((both) => ({ height: both, width: both })),
  z.tuple([side, side]).transform(([height, width]) => ({ height, width })),
  z.strictObject({ height: side, width: side }),
])
const finite = z.number().finite()
const perChannel = z.union([finite.transform((value) => [value]), z.array(finite).min(1).max(4096)])

const audioSchema = z.strictObject({
  sampleRateHz: z.number().int().min(1000).max(384_000).optional(),
  clipMs: z.number().positive().max(600_000).optional(),
  features: z.enum(['waveform', 'log-mel', 'mfcc']).optional(),
  windowMs: z.number().positive().max(1000).optional(),
  strideMs: z.number().positive().max(1000).optional(),
  melBins: z.number().int().min(1).max(1024).optional(),
  coefficients: z.number().int().min(1).max(1024).optional(),
  lowHz: z.number().nonnegative().optional(),
  highHz: z.number().positive().optional(),
  fftSize: z.number().int().min(2).max(65536).optional(),
  power: z.union([z.literal(1), z.literal(2)]).optional(),
  filterbank: z.enum(['tensorflow', 'torchaudio', 'librosa']).optional(),
  log: z.enum(['ln', 'log10', 'db']).optional(),
  logOffset: z.number().nonnegative().optional(),
  centred: z.boolean().optional(),
})

/** What a recipe, a flag or a data.yaml says of preprocessing; all of it optional. One schema for the three. */
export const preprocessingSchema = z.strictObject({
  resize: size.nullable().optional(),
  fit: z.enum(['stretch', 'short-side', 'letterbox']).optional(),
  padValue: finite.min(0).max(255).optional(),
  kernel: z.enum(['nearest', 'bilinear', 'bicubic', 'lanczos3']).optional(),
  antialias: z.boolean().optional(),
  crop: size.nullable().optional(),
  channelOrder: z.enum(['RGB', 'BGR', 'gray']).optional(),
  layout: z.enum(['NCHW', 'NHWC']).optional(),
  scale: finite.optional(),
  mean: perChannel.optional(),
  std: perChannel
    .refine((values) => values.every((value) => value !== 0), { message: 'std must not be 0' })
    .optional(),
  dequantize: z.strictObject({ scale: finite, zeroPoint: z.number().int().default(0) }).optional(),
  audio: audioSchema.optional(),
})

export type PreprocessingInput = z.input<typeof preprocessingSchema>
export type PreprocessingOverrides = z.output<typeof preprocessingSchema>

const neutral: Preprocessing = {
  kind: 'tensor',
  resize: null,
  crop: null,
  channelOrder: null,
  layout: null,
  scale: 1,
  mean: [0],
  std: [1],
  audio: null,
  dequantize: null,
  labelOffset: 0,
}

/** Checks overrides from a recipe or flags. @throws RECIPE_INVALID naming every mistake */
export function parsePreprocessing(input: PreprocessingInput | undefined): PreprocessingOverrides {
  const result = preprocessingSchema.safeParse(input ?? {})
  if (result.success) return result.data
  throw new EdgewrightError('RECIPE_INVALID', 'The preprocessing is not valid.', {
    where: 'preprocess',
    saw: result.error.issues
      .map((issue) => `${issue.path.join('.') || 'preprocess'}: ${issue.message}`)
      .join('; '),
    hint: 'docs/data.md lists every field.',
  })
}

/** ImageNet's mean and standard deviation of RGB in 0..1, as torchvision's weights are trained with. */
const imagenetMean = [0.485, 0.456, 0.406]
const imagenetStd = [0.229, 0.224, 0.225]

/** What YOLO networks are trained with around a letterboxed picture. */
const letterboxGray = 114

/**
 * Preprocessing of pictures for one input. What nobody states is torchvision's evaluation transform (resize the short
 * side to 256/224 of the input where it is 160 px or more, else to the input itself, bilinear with antialiasing, centre
 * crop, 0..1, ImageNet mean and std for colour of that size), and one warning says what was assumed.
 */
export function resolveImage(
  spec: InputSpec,
  said: PreprocessingOverrides,
  warn?: (warning: Warning) => void,
): Preprocessing {
  const target = imageShape(spec, said.layout)
  const assumed: string[] = []
  const assume = <T>(value: T, sentence: string): T => {
    assumed.push(sentence)
    return value
  }
  const large = Math.min(target.height, target.width) >= 160
  const fit = said.fit ?? (said.resize && !said.crop ? 'stretch' : 'short-side')
  const resized =
    said.resize === null
      ? null
      : (said.resize ??
        (fit === 'letterbox'
          ? { height: target.height, width: target.width }
          : assume(defaultResize(target, fit, large), 'the resize')))
  const kernel = said.kernel ?? 'bilinear'
  const antialias = said.antialias ?? true
  const crop =
    said.crop === null
      ? null
      : (said.crop ??
        (fit === 'short-side' || resized === null ? { height: target.height, width: target.width } : null))
  const imagenet = target.channels === 3 && large && spec.dtype.startsWith('float')
  const raw = !spec.dtype.startsWith('float')
  const unnormalized = said.scale === undefined && said.mean === undefined && said.std === undefined
  const normal = !unnormalized
    ? { scale: said.scale ?? 1, mean: said.mean ?? [0], std: said.std ?? [1] }
    : assume(
        { scale: raw ? 1 : 1 / 255, mean: imagenet ? imagenetMean : [0], std: imagenet ? imagenetStd : [1] },
        'scale, mean and std',
      )
  const result: Preprocessing = {
    ...neutral,
    kind: 'image',
    resize: resized && {
      ...resized,
      fit,
      kernel,
      antialias,
      ...(fit === 'letterbox' ? { padValue: said.padValue ?? letterboxGray } : {}),
    },
    crop: crop && { ...crop, anchor: 'centre' },
    channelOrder: channelOrder(spec, target, said),
    layout: target.layout,
    scale: normal.scale,
    mean: normal.mean,
    std: normal.std,
  }
  checkImage(spec, target, result, said)
  if (assumed.length > 0)
    warn?.({
      code: 'PREPROCESSING_ASSUMED',
      message: `Nobody said ${assumed.join(' nor ')} of the pictures; assumed: ${describePreprocessing(result)}.`,
      hint: 'State `preprocess` as the network was trained with: a wrong one costs accuracy and makes wrong ranges.',
    })
  return result
}

/** One line for reports and warnings. */
export function describePreprocessing(p: Preprocessing): string {
  const parts: string[] = []
  if (p.dequantize) parts.push(`(stored − ${p.dequantize.zeroPoint}) · ${p.dequantize.scale}`)
  if (p.resize)
    parts.push(
      `${p.resize.fit} resize to ${p.resize.height}×${p.resize.width}, ${p.resize.kernel}, antialias ${p.resize.antialias ? 'on' : 'off'}${p.resize.padValue === undefined ? '' : `, border ${p.resize.padValue}`}`,
    )
  if (p.crop) parts.push(`centre crop ${p.crop.height}×${p.crop.width}`)
  if (p.channelOrder) parts.push(p.channelOrder)
  if (p.layout) parts.push(p.layout)
  if (p.audio) {
    const a = p.audio
    parts.push(`${a.sampleRateHz} Hz mono, ${a.clipMs} ms, ${a.features}`)
    if (a.features !== 'waveform')
      parts.push(
        `window ${a.windowMs} ms, stride ${a.strideMs} ms, ${a.melBins} ${a.filterbank} mel bins ${a.lowHz} to ${a.highHz} Hz${a.features === 'mfcc' ? `, ${a.coefficients} coefficients` : ''}`,
      )
  }
  parts.push(`(raw · ${Number(p.scale.toPrecision(6))} − [${p.mean.join(', ')}]) / [${p.std.join(', ')}]`)
  return parts.join('; ')
}

/** Preprocessing of tensors that are stored ready or nearly so: scale 1 unless stated. */
export function resolveTensor(
  said: PreprocessingOverrides,
  spec: InputSpec | null,
  kind: 'tensor' | 'loader' | 'audio' = 'tensor',
): Preprocessing {
  const picture = [
    'resize',
    'fit',
    'padValue',
    'kernel',
    'antialias',
    'crop',
    'channelOrder',
    'audio',
  ] as const
  const wrong = picture.filter((key) => said[key] !== undefined)
  if (wrong.length > 0)
    throw new EdgewrightError(
      'RECIPE_INVALID',
      'Stored tensors can be scaled and normalized, not resized, cropped or filtered.',
      {
        where: `preprocess: ${wrong.join(', ')}`,
        hint: 'Leave these out, or give pictures or .wav files.',
      },
    )
  const layout = said.layout ?? null
  const lengths = [said.mean?.length ?? 1, said.std?.length ?? 1]
  const channels = spec && layout ? spec.shape[layout === 'NCHW' ? 1 : spec.shape.length - 1] : undefined
  for (const length of lengths)
    if (length !== 1 && length !== channels)
      throw new EdgewrightError(
        'RECIPE_INVALID',
        `mean and std need one number, or one for each of the input's channels.`,
        {
          where: 'preprocess',
          saw: `${length} numbers, ${channels === undefined ? 'and no layout is stated' : `${channels} channels`}`,
          hint: 'Say `layout: NCHW` or `layout: NHWC` for numbers by channel.',
        },
      )
  return {
    ...neutral,
    kind,
    layout,
    scale: said.scale ?? 1,
    mean: said.mean ?? [0],
    std: said.std ?? [1],
    dequantize: said.dequantize ?? null,
  }
}

function defaultResize(target: ImageShape, fit: string, large: boolean): { height: number; width: number } {
  if (fit === 'stretch' || !large) return { height: target.height, width: target.width }
  return { height: Math.round((target.height * 256) / 224), width: Math.round((target.width * 256) / 224) }
}

function channelOrder(
  spec: InputSpec,
  target: ImageShape,
  said: PreprocessingOverrides,
): 'RGB' | 'BGR' | 'gray' {
  const order = said.channelOrder ?? (target.channels === 1 ? 'gray' : 'RGB')
  if ((order === 'gray') === (target.channels === 1)) return order
  throw new EdgewrightError(
    'RECIPE_INVALID',
    `Channel order ${order} does not go with ${target.channels} channels.`,
    {
      where: `input ${spec.name}`,
      saw: `shape [${spec.shape.join(', ')}]`,
      hint: 'gray for one channel, RGB or BGR for three.',
    },
  )
}

function checkImage(
  spec: InputSpec,
  target: ImageShape,
  p: Preprocessing,
  said: PreprocessingOverrides,
): void {
  const out = p.crop ?? p.resize
  const fail = (message: string, saw: string): never => {
    throw new EdgewrightError('RECIPE_INVALID', message, { where: `preprocess for input ${spec.name}`, saw })
  }
  if (out && (out.height !== target.height || out.width !== target.width))
    fail(
      `Pictures come out ${out.height}×${out.width}, the network takes ${target.height}×${target.width}.`,
      describePreprocessing(p),
    )
  if (p.resize?.fit === 'letterbox' && p.crop)
    fail('A letterbox shows the whole picture: nothing is left to crop.', describePreprocessing(p))
  if (said.padValue !== undefined && p.resize?.fit !== 'letterbox')
    fail('`padValue` goes with `fit: letterbox` only.', `padValue ${said.padValue}`)
  if (p.resize?.fit === 'short-side' && !p.crop)
    fail('A short-side resize needs a crop to the input size.', 'crop: null')
  if (p.crop && p.resize && (p.crop.height > p.resize.height || p.crop.width > p.resize.width))
    fail('The crop is larger than the resized picture.', describePreprocessing(p))
  for (const [name, values] of [
    ['mean', p.mean],
    ['std', p.std],
  ] as const)
    if (values.length !== 1 && values.length !== target.channels)
      fail(`${name} needs one number or ${target.channels}.`, `${values.length} numbers`)
}
