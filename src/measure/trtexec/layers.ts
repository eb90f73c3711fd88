import { printable } from '../../deploy/printable.ts'
import { invalid } from './times.ts'

/** Time of one layer of an engine, as `--exportProfile` tells it. */
export interface LayerTime {
  readonly name: string
  readonly meanNs: number
  readonly medianNs: number | null
}

const maxLayers = 100_000

/**
 * Reads the file of `--exportProfile`: `{count}` first, then one object a line. trtexec writes layer names as they are,
 * quotes and backslashes too, so a line that is not JSON is read by its last fields.
 *
 * @throws EdgewrightError DEVICE_ANSWER_INVALID where it is no such file
 */
export function parseLayers(text: string): LayerTime[] {
  const what = 'the time of each layer'
  const lines = text.split('\n').map((line) => line.trim().replace(/^,\s*/, ''))
  if (lines[0] !== '[' || !lines.some((line) => /^\{\s*"count"\s*:\s*\d+\s*\},?$/.test(line)))
    throw invalid(what, printable(text.slice(0, 80)) || 'nothing')
  const layers: LayerTime[] = []
  for (const line of lines) {
    const found =
      /^\{\s*"name"\s*:\s*"(.*)"\s*,\s*"timeMs"\s*:\s*([^,]+),\s*"averageMs"\s*:\s*([^,}]+)(?:,\s*"medianMs"\s*:\s*([^,}]+))?/.exec(
        line.slice(0, 8192),
      )
    if (!found) continue
    const meanMs = Number(found[3])
    const medianMs = found[4] === undefined ? null : Number(found[4])
    if (!Number.isFinite(meanMs) || meanMs < 0 || (medianMs !== null && !Number.isFinite(medianMs)))
      throw invalid(what, printable(line, 120))
    layers.push({
      name: printable(found[1]!, 512),
      meanNs: meanMs * 1e6,
      medianNs: medianMs === null ? null : medianMs * 1e6,
    })
    if (layers.length > maxLayers) throw invalid(what, `more than ${maxLayers} layers`)
  }
  return layers
}

/** Layers by kind of work: copies that only change the layout or type are one row, and so is what lies beyond `most`. */
export function tabulateLayers(
  layers: readonly LayerTime[],
  most = 40,
): { operator: string; meanNs: number; calls: number }[] {
  const rows = new Map<string, { operator: string; meanNs: number; calls: number }>()
  for (const { name, meanNs } of layers) {
    const operator = /^Reformatting CopyNode/.test(name) ? 'Reformat (layout or type)' : name
    const row = rows.get(operator) ?? { operator, meanNs: 0, calls: 0 }
    row.meanNs += meanNs
    row.calls++
    rows.set(operator, row)
  }
  const sorted = [...rows.values()].filter(({ meanNs }) => meanNs > 0).sort((a, b) => b.meanNs - a.meanNs)
  const rest = sorted.slice(most)
  if (rest.length === 0) return sorted
  return [
    ...sorted.slice(0, most),
    {
      operator: 'other layers',
      meanNs: rest.reduce((sum, row) => sum + row.meanNs, 0),
      calls: rest.reduce((sum, row) => sum + row.calls, 0),
    },
  ]
}
