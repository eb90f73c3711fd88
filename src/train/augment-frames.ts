import type { Generator } from '../data/generator.ts'
import { mapPlane, type Plane } from './augment-plane.ts'

/** Which axis of a spectrogram is time. A signal has one axis, whichever it is. */
export type TimeAxis = 'rows' | 'columns'

/** Moved by up to so many frames either way. What comes in is silence, 0, in a signal; in a spectrogram its edge. */
export function timeShifted(plane: Plane, most: number, time: TimeAxis, random: Generator): Float32Array {
  const by = random.integer(2 * most + 1) - most
  const { frames, stride, frameOf } = timeOf(plane, time)
  const signal = isSignal(plane)
  return mapPlane(plane, (y, x, _channel, at) => {
    const frame = frameOf(y, x)
    const from = Math.min(frames - 1, Math.max(0, frame - by))
    return signal && from !== frame - by ? 0 : plane.data[at + (from - frame) * stride]!
  })
}

/**
 * Up to so many frames in a row are hidden: SpecAugment's time mask (Park et al. 2019). What is hidden becomes the mean of
 * its frequency over time, so that features of any level, normalized or not, say nothing there.
 */
export function timeMasked(plane: Plane, most: number, time: TimeAxis, random: Generator): Float32Array {
  const [first, end] = maskOf(timeOf(plane, time).frames, most, random)
  return hidden(plane, time, (frame) => frame >= first && frame < end)
}

/** Up to so many neighbouring frequencies are hidden throughout: SpecAugment's frequency mask. */
export function frequencyMasked(plane: Plane, most: number, time: TimeAxis, random: Generator): Float32Array {
  const [first, end] = maskOf(timeOf(plane, time).bins, most, random)
  return hidden(plane, time, (_frame, bin) => bin >= first && bin < end)
}

/** A width uniform in [0, most], then a place where it fits. */
function maskOf(size: number, most: number, random: Generator): readonly [first: number, end: number] {
  const width = Math.min(size, random.integer(most + 1))
  const first = random.integer(size - width + 1)
  return [first, first + width]
}

function hidden(plane: Plane, time: TimeAxis, inside: (frame: number, bin: number) => boolean): Float32Array {
  const { data, channels, strides } = plane
  const { frames, stride, frameOf, bins, binStride, binOf } = timeOf(plane, time)
  const means = new Float64Array(bins * channels)
  for (let channel = 0; channel < channels; channel++)
    for (let bin = 0; bin < bins; bin++) {
      const start = channel * strides.channel + bin * binStride
      let sum = 0
      for (let frame = 0; frame < frames; frame++) sum += data[start + frame * stride]!
      means[channel * bins + bin] = sum / frames
    }
  return mapPlane(plane, (y, x, channel, at) =>
    inside(frameOf(y, x), binOf(y, x)) ? means[channel * bins + binOf(y, x)]! : data[at]!,
  )
}

export function isSignal({ height, width }: Plane): boolean {
  return height === 1 || width === 1
}

function timeOf({ height, width, strides }: Plane, time: TimeAxis) {
  const row = (y: number, _x: number) => y
  const column = (_y: number, x: number) => x
  const byRows = { frames: height, stride: strides.y, frameOf: row }
  const byColumns = { frames: width, stride: strides.x, frameOf: column }
  return height > 1 && (time === 'rows' || width === 1)
    ? { ...byRows, bins: width, binStride: strides.x, binOf: column }
    : { ...byColumns, bins: height, binStride: strides.y, binOf: row }
}
