import type { RunResult } from '../../store/document.ts'
import { formatBytes, formatShare, formatTime } from '../format.ts'
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
    ['Stability', c && stability(c)],
    ['Throttling', c && throttle(c)],
    [
      'Other load',
      c?.backgroundLoad &&
        [
          c.backgroundLoad.before !== null && `${formatShare(c.backgroundLoad.before)} of a CPU before`,
          c.backgroundLoad.during !== null && `${formatShare(c.backgroundLoad.during)} meanwhile`,
        ]
          .filter(Boolean)
          .join(', '),
    ],
    ['Power mode', c?.powerMode],
    [
      'Set for the run',
      c?.pinned
        ?.map(
          ({ what, from, to, restored }) =>
            `${what}: ${from} → ${to}${restored ? ', put back' : ', NOT put back'}`,
        )
        .join('; '),
    ],
    [
      'Waited',
      c?.waitedForTemperatureSeconds
        ? `${c.waitedForTemperatureSeconds.toFixed(0)} s for the board to cool`
        : null,
    ],
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

const stabilityMarks = { steady: 'good', drifting: 'warn', throttled: 'bad', unknown: 'quiet' } as const

type Conditions = NonNullable<RunResult['conditions']>

/** The mark is a word before it is a colour. */
function stability({ stability: state, stabilityReason }: Conditions): Markup {
  return markup`<span class="mark ${stabilityMarks[state]}">${state}</span>${stabilityReason && `: ${stabilityReason}`}`
}

function throttle({ throttle: flags }: Conditions): string | null {
  if (!flags) return null
  const raised = [
    flags.underVoltage && 'under-voltage',
    flags.frequencyCapped && 'frequency capped',
    flags.throttled && 'throttled',
    flags.softTemperatureLimit && 'soft temperature limit',
  ].filter(Boolean)
  return raised.length > 0
    ? `${raised.join(', ')} during the run (${flags.source})`
    : `no flag was raised (${flags.source})`
}

function clockText({ min, max }: { min: number; max: number }): string {
  const [low, high] = [min, max].map((kHz) => (kHz / 1000).toFixed(0))
  return low === high ? `${high} MHz` : `${low} to ${high} MHz`
}

function celsius(milliC: number): string {
  return `${(milliC / 1000).toFixed(1)} °C`
}
