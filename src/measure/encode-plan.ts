import { EdgewrightError } from '../error.ts'
import type { Plan, PlanMeter } from './plan.ts'

/** What the runner accepts (runner/plan.h); a plan beyond it is refused here, before anything is sent. */
const limits = { bytes: 1 << 20, artifacts: 64, steps: 1024, sensors: 64, meters: 16 } as const
const meterLimits = { paths: 8, words: 16, minPeriodMs: 1, maxPeriodMs: 1e6 } as const
const plainWord = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/

/**
 * The plan as the JSON document the runner reads.
 *
 * @throws EdgewrightError USAGE where it is more than the runner takes, or the name of an artifact or a meter is no plain word.
 */
export function encodePlan(plan: Plan): string {
  const fault = faultOf(plan)
  if (fault !== null) throw new EdgewrightError('USAGE', `This measurement cannot be planned: ${fault}.`)
  const text = `${JSON.stringify(plan)}\n`
  if (Buffer.byteLength(text) > limits.bytes)
    throw new EdgewrightError('USAGE', 'This measurement cannot be planned: the plan is larger than 1 MiB.')
  return text
}

function faultOf(plan: Plan): string | null {
  for (const key of ['artifacts', 'steps', 'sensors', 'meters'] as const) {
    const count = plan[key]?.length ?? 0
    if (count > limits[key]) return `it has ${count} ${key}, ${limits[key]} are possible`
  }
  const ids = new Set<string>()
  for (const { id } of plan.artifacts) {
    if (!plainWord.test(id)) return `artifact id ${JSON.stringify(id)} is no plain word`
    if (ids.has(id)) return `artifact id ${id} stands there twice`
    ids.add(id)
  }
  for (const step of plan.steps) {
    const used = 'artifact' in step ? [step.artifact] : 'artifacts' in step ? step.artifacts : []
    for (const id of used)
      if (!ids.has(id)) return `a step names the artifact ${JSON.stringify(id)}, which is not there`
  }
  return meterFaultOf(plan.meters ?? [])
}

function meterFaultOf(meters: readonly PlanMeter[]): string | null {
  const { paths: maxPaths, words: maxWords, minPeriodMs, maxPeriodMs } = meterLimits
  const names = new Set<string>()
  for (const { name, paths, command = [], periodMs } of meters) {
    if (!plainWord.test(name)) return `meter ${JSON.stringify(name)} is no plain word`
    if (names.has(name)) return `meter ${name} stands there twice`
    names.add(name)
    if ((paths.length === 0) === (command.length === 0))
      return `meter ${name} must have either files or a command`
    if (paths.length > maxPaths) return `meter ${name} has ${paths.length} files, ${maxPaths} are possible`
    if (command.length > maxWords)
      return `the command of meter ${name} has ${command.length} words, ${maxWords} are possible`
    if (!(periodMs >= minPeriodMs && periodMs <= maxPeriodMs))
      return `the period of meter ${name} is ${periodMs} ms, ${minPeriodMs} to ${maxPeriodMs} are possible`
  }
  return null
}
