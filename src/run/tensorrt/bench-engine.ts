import type { Manifest } from '../../artifact/manifest.ts'
import { installRelease } from '../../deploy/release.ts'
import { EdgewrightError } from '../../error.ts'
import { formatVersion } from '../../measure/trtexec/version.ts'
import type { Progress } from '../../progress.ts'
import type { Bench, BenchRequest } from '../bench.ts'
import { conditionsOf, warningsOf } from '../conditions.ts'
import { latencyOf, rawLatency } from '../latency.ts'
import type { OpenedBoard } from '../open-device.ts'
import { readyBoard, surveyAfter } from '../ready-board.ts'
import { collectedOf } from './collected.ts'
import { conditionsWith } from './conditions.ts'
import { findTensorRt, holding } from './find.ts'
import { howToMeasure } from './how.ts'
import { layersOf } from './rows.ts'
import { measureWishes } from './session.ts'
import { artifactWish, trtexecOf } from './wishes.ts'

/** Builds and measures the engine of one artifact, and nothing beside it. */
export async function benchEngine(
  board: OpenedBoard,
  subject: {
    readonly folder: string
    readonly manifest: Manifest
    readonly bytes: number
    readonly sha256: string
  },
  request: BenchRequest,
  progress: Progress,
): Promise<Bench> {
  const { device } = board
  const trtexec = trtexecOf(subject.manifest)
  if (!trtexec) throw new Error('an artifact without an engine')
  if (request.attach)
    throw new EdgewrightError('USAGE', 'A measurement by trtexec cannot be collected later.', {
      where: '--attach',
      hint: 'Run bench again: the engine is kept on the board.',
    })
  const found = await findTensorRt(device, progress.signal)
  progress.stage('deploy', device.name)
  const release = await installRelease(device, subject.folder, { name: subject.manifest.name, progress })
  const ready = await readyBoard(device, request.conditions ?? {}, new Map(), progress)
  const tensorRt = holding(found, ready.pins)
  const { preset, rateHz, operators } = request
  const how = howToMeasure(
    { engines: 1, preset, rateHz, layers: operators, sensors: ready.sensors },
    progress,
  )
  const wish = artifactWish(subject.manifest, trtexec, release)
  const startedAt = new Date()
  const { measured } = await measureWishes(board, tensorRt, [wish], how, progress)
  const collected = collectedOf(measured, ['model'])
  const latency = latencyOf(collected, 'model', 1, 0, preset)
  const conditions = {
    device: board.device,
    collected,
    board: ready,
    after: await surveyAfter(board.device, progress.signal),
    aftermath: measured.aftermath,
    latencies: [{ name: 'the engine', latency }],
    limits: board.profile.thermal.limits,
    preset,
    affinity: [],
    rateHz: 0,
    interleaved: false,
    startedAt,
    endedAt: new Date(),
  }
  for (const warning of warningsOf({ ...conditions, profile: board.profile, usesEdgeTpu: false }))
    progress.warn(warning)
  const { path, sha256, bytes } = { ...subject, path: request.subject }
  return {
    subject: { path, kind: 'artifact', bytes, sha256 },
    device: device.name,
    profile: board.profile.id,
    runtime: { name: 'tensorrt', version: formatVersion(tensorRt.trtexec.version), sha256: null },
    rows: [{ threads: 1, latency, peakRssBytes: null, operators: layersOf(measured, 0) }],
    conditions: conditionsWith(conditionsOf(conditions), tensorRt, false),
    rawLatencyNs: [[...rawLatency(collected, 'model', 1, 0, preset)]],
  }
}
