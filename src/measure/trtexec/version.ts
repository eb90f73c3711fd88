/** A release of TensorRT. */
export interface TensorRtVersion {
  readonly major: number
  readonly minor: number
  readonly patch: number
}

/**
 * The version that trtexec writes into its first line: `&&&& RUNNING TensorRT.trtexec [TensorRT v8502] # …`.
 * The number is NV_TENSORRT_VERSION: major · 1000 + minor · 100 + patch up to 9, major · 10000 + minor · 100 + patch
 * from 10. Null where the line has none (TensorRT 7 and before) or the text is not trtexec's.
 */
export function versionOfBanner(text: string): TensorRtVersion | null {
  const digits = /^&&&& \w+ TensorRT\.trtexec \[TensorRT v(\d{4,6})\]/m.exec(text.slice(0, 64 * 1024))?.[1]
  if (digits === undefined) return null
  const number = Number(digits)
  const unit = digits.length === 4 ? 1000 : 10_000
  return {
    major: Math.floor(number / unit),
    minor: Math.floor((number % unit) / 100),
    patch: number % 100,
  }
}

/** The version of a library or its package: `libnvinfer.so.8.5.2`, `10.3.0.30-1+cuda12.5`. */
export function versionOfName(name: string): TensorRtVersion | null {
  const found = /(?:^|\.so\.|[^\d.])(\d{1,2})\.(\d{1,2})\.(\d{1,3})(?![\d])/.exec(name.slice(0, 512))
  return found ? { major: Number(found[1]), minor: Number(found[2]), patch: Number(found[3]) } : null
}

export function formatVersion({ major, minor, patch }: TensorRtVersion): string {
  return `${major}.${minor}.${patch}`
}

/** Whether `version` is `major.minor` or newer. */
export function atLeast(version: TensorRtVersion, [major, minor]: readonly [number, number]): boolean {
  return version.major > major || (version.major === major && version.minor >= minor)
}
