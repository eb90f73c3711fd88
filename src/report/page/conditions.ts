import type { RunResult } from '../../store/document.ts'
import { formatBytes, formatTime } from '../format.ts'
import { type Markup, markup } from './markup.ts'

/** What was measured, where and how; nothing is left to be guessed. */
export function conditionsList({
  conditions,
  runtime,
  artifact,
  threads,
  accuracy,
}: RunResult): Markup | false {
  if (conditions === null && artifact === null) return false
  const c = conditions
  const entries: [name: string, value: string | Markup | null | undefined | false][] = [
    [
      'Measured',
      c &&
        `${formatTime(c.startedAt)}, preset ${c.preset}, ${c.order === 'interleaved' ? 'float and int8 in turns' : 'float, then int8'}, ${c.rateHz > 0 ? `${c.rateHz} inferences a second` : 'one inference after the other'}`,
    ],
    [
      'With',
      c &&
        (c.measuredWith === 'runner'
          ? 'the native runner on the device'
          : 'the runtime inside this process, without the native runner'),
    ],
    [
      'Device',
      c &&
        [c.hostname, c.cpu, c.cpuCount === null ? null : `${c.cpuCount} CPUs`]
          .filter((part) => part !== null)
          .join(', '),
    ],
    [
      'System',
      c && [c.os, c.kernel?.replace(/^Linux /, '') ?? null].filter((part) => part !== null).join(', kernel '),
    ],
    ['Emulation', c?.emulated],
    [
      'Runtime',
      runtime &&
        markup`${runtime.name} ${runtime.version}${runtime.sha256 && markup` <code>${runtime.sha256.slice(0, 16)}</code>`}`,
    ],
    [
      'Threads',
      threads !== null &&
        `${threads}${c && c.affinity.length > 0 ? `, pinned to CPU ${c.affinity.join(', ')}` : ''}`,
    ],
    [
      'Clock',
      c &&
        [c.governor && `governor ${c.governor}`, c.clockKHz && clockText(c.clockKHz)]
          .filter(Boolean)
          .join(', '),
    ],
    [
      'Temperature',
      c?.temperatureMilliC &&
        `${celsius(c.temperatureMilliC.start)} at the start, ${celsius(c.temperatureMilliC.max)} at most`,
    ],
    ['Stability', c?.stability],
    [
      'Accuracy',
      accuracy && `${accuracy.metric} over ${accuracy.samples} samples, on the ${accuracy.measuredOn}`,
    ],
    [
      'Artifact',
      artifact &&
        markup`${artifact.path}, ${formatBytes(artifact.bytes)} <code>${artifact.sha256.slice(0, 16)}</code>`,
    ],
  ]
  const known = entries.filter(
    ([, value]) => value !== null && value !== undefined && value !== false && value !== '',
  )
  return markup`<h3>What was measured where and how</h3><dl>${known.map(([name, value]) => markup`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`
}

function clockText({ min, max }: { min: number; max: number }): string {
  const [low, high] = [min, max].map((kHz) => (kHz / 1000).toFixed(0))
  return low === high ? `${high} MHz` : `${low} to ${high} MHz`
}

function celsius(milliC: number): string {
  return `${(milliC / 1000).toFixed(1)} °C`
}
