import type { Device } from '../deploy/types.ts'
import { EdgewrightError } from '../error.ts'
import type { PlanDelegate } from '../measure/plan.ts'
import type { Progress } from '../progress.ts'
import { edgetpuProbeScript, judgeEdgeTpu, parseEdgeTpuProbe } from '../runtimes/edgetpu-preflight.ts'

/**
 * Asks a board whether an Edge TPU can be used, before anything is loaded.
 * @returns the delegate that the runner opens
 * @throws DEVICE_UNSUPPORTED with what is missing and how to mend it
 */
export async function prepareEdgeTpu(
  device: Device,
  tfliteVersion: string,
  progress: Progress,
): Promise<PlanDelegate> {
  progress.stage('edge tpu', device.name)
  const answer = await device.connection.script(edgetpuProbeScript, [], {
    deadlineMs: 30_000,
    signal: progress.signal,
  })
  const facts = parseEdgeTpuProbe(answer.stdout)
  const [found] = facts.devices
  const options = { device: found?.kind === 'pcie' ? 'pci' : 'usb' }
  const findings = judgeEdgeTpu(facts, { tfliteVersion, delegateVersion: null, options })
  for (const { check, state, message, hint } of findings)
    if (state === 'warning')
      progress.warn({ code: `EDGETPU_${check.replace(/-/g, '_').toUpperCase()}`, message, hint: hint ?? '' })
  const failed = findings.filter(({ state }) => state === 'failed')
  if (failed.length > 0)
    throw new EdgewrightError('DEVICE_UNSUPPORTED', failed.map(({ message }) => message).join(' '), {
      where: device.name,
      saw: failed.map(({ check }) => check).join(', '),
      hint: failed
        .map(({ hint }) => hint)
        .filter(Boolean)
        .join(' '),
    })
  return { library: facts.libraries[0]!, options }
}
