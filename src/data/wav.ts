import { EdgewrightError } from '../error.ts'

/** Mono sound in −1 to 1. */
export interface Sound {
  readonly sampleRateHz: number
  readonly samples: Float32Array
}

const formatPcm = 1
const formatFloat = 3
const formatExtensible = 0xfffe
const channelLimit = 64
const rateLimitHz = 768_000

/**
 * Decodes a RIFF/WAVE file: PCM of 8 (unsigned), 16, 24 or 32 bits, or 32-bit float; channels are averaged to one.
 * Full scale is 2^(bits − 1), so that 16-bit values divide by 32768 as TensorFlow, torchaudio and librosa do.
 *
 * @throws DATA_BROKEN
 */
export function decodeWav(bytes: Uint8Array, where: string): Sound {
  const broken = (saw: string) =>
    new EdgewrightError('DATA_BROKEN', 'The .wav file cannot be read.', {
      where,
      saw,
      hint: 'Save it as PCM (8, 16, 24 or 32 bits) or 32-bit float.',
    })
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const tag = (at: number) => String.fromCharCode(...bytes.subarray(at, at + 4))
  if (bytes.length < 12 || tag(0) !== 'RIFF' || tag(8) !== 'WAVE') throw broken('no RIFF/WAVE header')
  let format: { code: number; channels: number; rate: number; bits: number } | null = null
  for (let at = 12; at + 8 <= bytes.length; ) {
    const name = tag(at)
    const size = view.getUint32(at + 4, true)
    const body = at + 8
    if (name === 'fmt ') {
      if (size < 16 || body + size > bytes.length) throw broken(`a format chunk of ${size} bytes`)
      const stated = view.getUint16(body, true)
      const code = stated === formatExtensible && size >= 26 ? view.getUint16(body + 24, true) : stated
      format = {
        code,
        channels: view.getUint16(body + 2, true),
        rate: view.getUint32(body + 4, true),
        bits: view.getUint16(body + 14, true),
      }
    } else if (name === 'data') {
      if (!format) throw broken('sound before its format')
      const { code, channels, rate, bits } = format
      const known =
        (code === formatPcm && [8, 16, 24, 32].includes(bits)) || (code === formatFloat && bits === 32)
      if (!known || channels < 1 || channels > channelLimit || rate < 1 || rate > rateLimitHz)
        throw broken(`format ${code}, ${bits} bits, ${channels} channels, ${rate} Hz`)
      // Streams that were cut, or never finished, state 0xffffffff or too much: what is there counts.
      const end = Math.min(bytes.length, body + size)
      return {
        sampleRateHz: rate,
        samples: mixDown(view, { start: body, end }, { channels, bits, float: code === formatFloat }),
      }
    }
    at = body + size + (size % 2)
  }
  throw broken('no sound in it')
}

function mixDown(
  view: DataView,
  { start, end }: { start: number; end: number },
  { channels, bits, float }: { channels: number; bits: number; float: boolean },
): Float32Array {
  const width = bits / 8
  const frames = Math.floor((end - start) / (width * channels))
  const out = new Float32Array(frames)
  const read = float
    ? (at: number) => view.getFloat32(at, true)
    : bits === 8
      ? (at: number) => (view.getUint8(at) - 128) / 128
      : bits === 16
        ? (at: number) => view.getInt16(at, true) / 32768
        : bits === 24
          ? (at: number) => ((view.getInt8(at + 2) << 16) | view.getUint16(at, true)) / 8388608
          : (at: number) => view.getInt32(at, true) / 2147483648
  for (let frame = 0; frame < frames; frame++) {
    let sum = 0
    for (let channel = 0; channel < channels; channel++)
      sum += read(start + (frame * channels + channel) * width)
    out[frame] = sum / channels
  }
  return out
}
