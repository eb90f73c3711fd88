/** What our script on the board writes between the lines of trtexec. */
export type Marker =
  | {
      readonly kind: 'begin' | 'end'
      readonly turn: number
      readonly engine: number
      readonly uptimeNs: number
    }
  | { readonly kind: 'layers'; readonly engine: number }
  | { readonly kind: 'sensor'; readonly name: string; readonly uptimeNs: number; readonly value: number }

/** Null for any line that is none of ours. */
export function parseMarker(line: string): Marker | null {
  const turn = /^edgewright: (begin|end) (\d{1,5}) (\d{1,3}) (\d{1,10}\.\d{1,9})$/.exec(line)
  if (turn)
    return {
      kind: turn[1] as 'begin' | 'end',
      turn: Number(turn[2]),
      engine: Number(turn[3]),
      uptimeNs: Number(turn[4]) * 1e9,
    }
  const layers = /^edgewright: layers (\d{1,3})$/.exec(line)
  if (layers) return { kind: 'layers', engine: Number(layers[1]) }
  const sensor = /^edgewright: sensor (\S{1,64}) (\d{1,10}\.\d{1,9}) (-?\d{1,15})$/.exec(line)
  if (sensor)
    return {
      kind: 'sensor',
      name: sensor[1]!,
      uptimeNs: Number(sensor[2]) * 1e9,
      value: Number(sensor[3]),
    }
  return null
}
