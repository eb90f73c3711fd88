import { z } from 'zod'

const audio = z.object({
  sampleRateHz: z.number(),
  clipMs: z.number(),
  features: z.string(),
  windowMs: z.number(),
  strideMs: z.number(),
  melBins: z.number(),
  coefficients: z.number(),
  lowHz: z.number(),
  highHz: z.number(),
  fftSize: z.number(),
  power: z.number(),
  filterbank: z.string(),
  log: z.string(),
  logOffset: z.number(),
  centred: z.boolean(),
})

/** What src/data writes into a manifest; every part may be missing in one written by a later version. */
const preprocessing = z.object({
  kind: z.string().optional(),
  resize: z
    .object({
      height: z.number(),
      width: z.number(),
      fit: z.string(),
      kernel: z.string(),
      antialias: z.boolean(),
      padValue: z.number().optional(),
    })
    .nullish(),
  crop: z.object({ height: z.number(), width: z.number(), anchor: z.string() }).nullish(),
  channelOrder: z.string().nullish(),
  layout: z.string().nullish(),
  scale: z.number().nullish(),
  mean: z.array(z.number()).nullish(),
  std: z.array(z.number()).nullish(),
  audio: audio.partial().nullish(),
  dequantize: z.object({ scale: z.number(), zeroPoint: z.number() }).nullish(),
  labelOffset: z.number().nullish(),
})

type Audio = NonNullable<z.infer<typeof preprocessing>['audio']>

/** The manifest's preprocessing in words, one step a line, in the order they are done; empty where none is known. */
export function preprocessingSteps(value: unknown): string[] {
  const parsed = preprocessing.safeParse(value)
  if (!parsed.success) return []
  const {
    kind,
    resize,
    crop,
    channelOrder,
    layout,
    scale,
    mean,
    std,
    audio: sound,
    dequantize,
    labelOffset,
  } = parsed.data
  const steps: (string | null)[] = [
    kind === 'loader' ? 'Read by the loader that was given; it yields ready tensors.' : null,
    resize
      ? `Resize to ${resize.height} × ${resize.width} (height × width)${aspectOf(resize)}; ${resize.kernel}, ${resize.antialias ? 'with' : 'without'} antialiasing.`
      : null,
    crop ? `Crop the ${crop.anchor} to ${crop.height} × ${crop.width}.` : null,
    sound ? audioStep(sound) : null,
    channelOrder
      ? channelOrder === 'gray'
        ? 'One channel, gray.'
        : `Channels in the order ${channelOrder}.`
      : null,
    dequantize
      ? `Stored values become real: (stored − ${dequantize.zeroPoint}) · ${dequantize.scale}.`
      : null,
    normalization(scale ?? 1, mean ?? [], std ?? []),
    layout ? `Lay out as ${layout}, with a batch of 1.` : null,
    labelOffset ? `Labels are shifted by ${labelOffset}.` : null,
  ]
  return steps.filter((step) => step !== null)
}

function aspectOf({ fit, padValue }: { readonly fit: string; readonly padValue?: number }): string {
  if (fit === 'short-side') return ', the shorter side to fit, the aspect ratio kept'
  if (fit === 'letterbox')
    return `, the longer side to fit, the aspect ratio kept, in the middle of a border of ${padValue ?? 0}`
  return ', the aspect ratio not kept'
}

function normalization(scale: number, mean: readonly number[], std: readonly number[]): string | null {
  const identity = scale === 1 && mean.every((value) => value === 0) && std.every((value) => value === 1)
  if (identity) return null
  return `value = (raw · ${scale} − mean) / std, with mean ${list(mean, 0)} and std ${list(std, 1)}.`
}

function list(values: readonly number[], otherwise: number): string {
  return values.length === 0
    ? String(otherwise)
    : values.length === 1
      ? String(values[0])
      : `(${values.join(', ')}) by channel`
}

function audioStep(sound: Audio): string {
  const base = `Sound at ${sound.sampleRateHz} Hz, one channel, ${sound.clipMs} ms`
  if (sound.features === 'waveform' || sound.features === undefined) return `${base}, as a waveform.`
  const mel = `${sound.melBins} mel bands from ${sound.lowHz} to ${sound.highHz} Hz (${sound.filterbank} filters) over windows of ${sound.windowMs} ms every ${sound.strideMs} ms${sound.centred ? ', centred' : ''}, ${sound.fftSize}-point transform, ${sound.power === 1 ? 'magnitude' : 'power'}, ${sound.log} with ${sound.logOffset}`
  return sound.features === 'mfcc' ? `${base}: ${sound.coefficients} MFCC from ${mel}.` : `${base}: ${mel}.`
}
