import { EdgewrightError } from '../error.ts'
import type { Plan } from './plan.ts'

/** What the runner accepts (runner/plan.h); a plan beyond it is refused here, before anything is sent. */
const limits = { bytes: 1 << 20, artifacts: 64, steps: 1024, sensors: 64 } as const

/**
 * The plan as the JSON document the runner reads.
 *
 * @throws EdgewrightError USAGE where it is more than the runner takes, or an artifact id is no plain word.
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
  for (const key of ['artifacts', 'steps', 'sensors'] as const)
    if (plan[key].length > limits[key])
      return `it has ${plan[key].length} ${key}, ${limits[key]} are possible`
  const ids = new Set<string>()
  for (const { id } of plan.artifacts) {
    if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/.test(id))
      return `artifact id ${JSON.stringify(id)} is no plain word`
    if (ids.has(id)) return `artifact id ${id} stands there twice`
    ids.add(id)
  }
  for (const step of plan.steps) {
    const used = 'artifact' in step ? [step.artifact] : 'artifacts' in step ? step.artifacts : []
    for (const id of used)
      if (!ids.has(id)) return `a step names the artifact ${JSON.stringify(id)}, which is not there`
  }
  return null
}
