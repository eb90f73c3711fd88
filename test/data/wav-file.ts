export interface WavFormat {
  readonly bits: number
  readonly float?: boolean
  readonly channels?: number
  readonly rate?: number
  readonly extensible?: boolean
  /** Bytes of an unknown chunk before the sound. */
  readonly chunkBefore?: number
}

/** A .wav file of these stored values. */
export function wav(
  values: readonly number[],
  { bits, float = false, channels = 1, rate = 16000, extensible = false, chunkBefore = 0 }: WavFormat,
): Uint8Array {
  const width = bits / 8
  const formatBytes = extensible ? 40 : 16
  const extra = chunkBefore > 0 ? 8 + chunkBefore + (chunkBefore % 2) : 0
  const bytes = new Uint8Array(12 + 8 + formatBytes + extra + 8 + values.length * width)
  const view = new DataView(bytes.buffer)
  const text = (at: number, tag: string) => bytes.set(new TextEncoder().encode(tag), at)
  text(0, 'RIFF')
  view.setUint32(4, bytes.length - 8, true)
  text(8, 'WAVEfmt ')
  view.setUint32(16, formatBytes, true)
  view.setUint16(20, extensible ? 0xfffe : float ? 3 : 1, true)
  view.setUint16(22, channels, true)
  view.setUint32(24, rate, true)
  view.setUint32(28, rate * channels * width, true)
  view.setUint16(32, channels * width, true)
  view.setUint16(34, bits, true)
  if (extensible) view.setUint16(44, float ? 3 : 1, true)
  let at = 20 + formatBytes
  if (extra > 0) {
    text(at, 'LIST')
    view.setUint32(at + 4, chunkBefore, true)
    at += extra
  }
  text(at, 'data')
  view.setUint32(at + 4, values.length * width, true)
  at += 8
  for (const value of values) {
    if (float) view.setFloat32(at, value, true)
    else
      for (let byte = 0; byte < width; byte++) bytes[at + byte] = Math.floor(value / 2 ** (8 * byte)) & 0xff
    at += width
  }
  return bytes
}

/** 440 Hz with reproducible noise, as the reference scripts made it: 32-bit floats of a 64-bit computation. */
export function tone(length: number, rate: number): Float32Array {
  return Float32Array.from(
    { length },
    (_, n) => Math.sin((2 * Math.PI * 440 * n) / rate) * 0.4 + (((n * 7919) % 1000) / 1000 - 0.5) * 0.3,
  )
}
