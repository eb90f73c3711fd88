import type { Device } from '../../deploy/types.ts'
import { toEdgewrightError } from '../../error.ts'
import type { Progress } from '../../progress.ts'
import { edgetpuProbeScript, judgeEdgeTpu, parseEdgeTpuProbe } from '../../runtimes/edgetpu-preflight.ts'
import { type ConnectionOptions, openBoard, type OpenedBoard } from '../open-device.ts'
import { provision } from '../provision.ts'
import { judgeFacts } from './board-facts.ts'
import { type Finding, missing, ok, warning } from './findings.ts'
import { surveyNeeds } from './survey.ts'

export interface DoctorRequest {
  readonly device: string
  readonly connection: ConnectionOptions
}

export interface Doctor {
  readonly device: string
  readonly profile: string | null
  readonly findings: readonly Finding[]
}

/**
 * Tries out all that a deploy and a measurement need of a board, names each missing piece and what mends it. Leaves the
 * runner and a runtime library there, as any measurement does, and nothing else.
 */
export async function examineDevice(request: DoctorRequest, progress: Progress): Promise<Doctor> {
  let board: OpenedBoard
  try {
    board = await openBoard(request.device, undefined, request.connection, progress)
  } catch (error) {
    const { code, message, saw, hint } = toEdgewrightError(error)
    if (code === 'INTERRUPTED') throw error
    const said = [message, saw].filter(Boolean).join(' ')
    return {
      device: request.device,
      profile: null,
      findings: [missing('connection', said, hint ?? 'See docs/board.md.')],
    }
  }
  try {
    const { device, profile, explanation } = board
    const findings = [
      ok('connection', device.connection.label),
      ok('profile', `${profile.id}: ${explanation}`),
      ...judgeFacts(device.facts),
      ...(await surveyNeeds(device, progress.signal, Date.now())),
      ...(await edgeTpus(device, progress.signal)),
    ]
    if (findings.every(({ state }) => state !== 'missing'))
      findings.push(await transfer(device, progress), await runtime(device, progress))
    return { device: request.device, profile: profile.id, findings }
  } finally {
    await board.close()
  }
}

/** Accelerators that are plugged in, and whether they can be used; nothing where there is none. */
async function edgeTpus(device: Device, signal: AbortSignal): Promise<Finding[]> {
  const answer = await device.connection.script(edgetpuProbeScript, [], { deadlineMs: 30_000, signal })
  const facts = parseEdgeTpuProbe(answer.stdout)
  if (facts.devices.length === 0) return []
  const judged = judgeEdgeTpu(facts, { tfliteVersion: 'unknown', delegateVersion: null, options: {} })
  // whether library and delegate fit each other is asked when they are opened
  const now = judged.filter(({ check }) => check !== 'delegate-abi')
  return now.map(({ state, message, hint }): Finding => {
    if (state === 'ok' || !hint) return ok('edge-tpu', message)
    return state === 'failed' ? missing('edge-tpu', message, hint) : warning('edge-tpu', message, hint)
  })
}

/** Slow enough that a runtime library takes minutes. */
const slowBytesPerSecond = 200e3
const trialBytes = 256 * 1024

async function transfer(device: Device, progress: Progress): Promise<Finding> {
  const path = `${device.root}/blobs/.incoming/doctor-${process.pid}`
  const bytes = Buffer.alloc(trialBytes, 'edgewright doctor ')
  try {
    await device.connection.exec(['mkdir', '-p', `${device.root}/blobs/.incoming`], {
      signal: progress.signal,
    })
    const start = performance.now()
    await device.connection.uploadBytes(bytes, path, 60_000)
    const seconds = Math.max((performance.now() - start) / 1000, 1e-3)
    const back = await device.connection.readFrom(path, 0, trialBytes * 2, 60_000)
    if (!bytes.equals(back))
      return missing(
        'transfer',
        'What was sent did not come back as it was.',
        'Check the link and the board’s disk (dmesg).',
      )
    const rate = trialBytes / seconds
    if (rate >= slowBytesPerSecond) return ok('transfer', 'files arrive as they were sent')
    return warning(
      'transfer',
      `The link carries ${(rate / 1e3).toFixed(0)} kB a second: the first run sends about 25 MB.`,
      'Use a cable, or be patient once.',
    )
  } catch (error) {
    return failed('transfer', error)
  } finally {
    await device.connection.exec(['rm', '-f', path]).catch(() => {})
  }
}

/** The runner starts there, and opens ONNX Runtime's library. */
async function runtime(device: Device, progress: Progress): Promise<Finding> {
  try {
    const tools = await provision(device, 'onnxruntime', progress)
    const result = await device.connection.exec([tools.runner, '--check-library', tools.library], {
      signal: progress.signal,
      deadlineMs: 120_000,
    })
    if (result.exitCode === 0)
      return ok('runtime', `the runner opens ${tools.runtime.name} ${tools.runtime.version}`)
    return missing(
      'runtime',
      `The runner cannot open ${tools.runtime.name}: ${result.stdout.slice(0, 400)}`,
      'The message names what the board lacks; install it, or use another image.',
    )
  } catch (error) {
    return failed('runtime', error)
  }
}

function failed(check: string, thrown: unknown): Finding {
  const { code, message, saw, hint } = toEdgewrightError(thrown)
  if (code === 'INTERRUPTED') throw thrown
  return missing(check, [message, saw].filter(Boolean).join(' '), hint ?? 'Run it again; see docs/board.md.')
}
