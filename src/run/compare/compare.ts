import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { edgewrightVersion } from '../../artifact/version.ts'
import { EdgewrightError } from '../../error.ts'
import type { Progress, Warning } from '../../progress.ts'
import { compareWithBaseline } from '../../measure/compare/against-baseline.ts'
import { compareLatency, type LatencyComparison } from '../../measure/compare/verdict.ts'
import type {
  Baseline,
  Comparison,
  ComparisonEnvironment,
  ComparisonPass,
  ComparisonSide,
} from '../../store/comparison.ts'
import { conditionsOf } from '../conditions.ts'
import { type ReadyBoard, readyBoard, surveyAfter } from '../ready-board.ts'
import { noEnergy } from '../energy.ts'
import { latencyOf } from '../latency.ts'
import { openBoard, type OpenedBoard } from '../open-device.ts'
import { compareAccuracy, type ComparedAccuracy } from './accuracy.ts'
import { environmentDifferences, openBaseline, type OpenBaseline } from './baseline.ts'
import { energiesOfPass, type PassEnergies } from './energy.ts'
import { type GateEvidence, judgeLimit, needsRepeat } from './gate.ts'
import { compareOutputs, type OutputCheck, prepareOutputs } from './outputs.ts'
import {
  type Arm,
  type Arms,
  measureAlone,
  type MeasuredAlone,
  measurePass,
  type MeasuredPass,
  placeSide,
} from './pass.ts'
import { type CompareRequest, shapeOf } from './request.ts'
import { floatSourceOf, openSide, type Side } from './side.ts'

/** One pass with what it comes to. */
interface Pass {
  readonly alone: MeasuredAlone
  readonly measured: MeasuredPass
  readonly latency: LatencyComparison
  readonly energy: PassEnergies
}

/** Everything that is held against each other, on its board. */
interface Setting {
  readonly board: OpenedBoard
  readonly request: CompareRequest
  readonly a: Side | null
  readonly b: Side
  readonly arms: Arms
  readonly baseline: OpenBaseline | null
  readonly survey: ReadyBoard
}

/** Two networks on one board, in turns: whether they differ, in what, and whether limits hold. */
export async function compareNetworks(
  request: CompareRequest,
  progress: Progress & { readonly warnings: readonly Warning[] },
): Promise<Comparison> {
  // what cannot be shows before a board is measured
  shapeOf(request)
  const { contest } = request
  const b = await openSide(contest.b, request.shapes, progress)
  const baseline =
    contest.kind === 'baseline'
      ? await openBaseline(contest.file, { device: request.device, threads: request.threads })
      : null
  const a =
    contest.kind === 'baseline'
      ? null
      : await openSide(
          contest.kind === 'float' ? await floatSourceOf(b.subject) : contest.a,
          request.shapes,
          progress,
        )
  const board = await openBoard(request.device, undefined, request.connection, progress)
  try {
    const arms = {
      a: a && (await placeSide(a, board, progress)),
      b: await placeSide(b, board, progress),
    }
    const survey = await readyBoard(board.device, request.conditions ?? {}, new Map(), progress)
    const setting = { board, request, a, b, arms, baseline, survey }
    if (baseline) refuseOther(setting)
    return await compareOn(setting, progress)
  } finally {
    await board.close()
  }
}

async function compareOn(
  setting: Setting,
  progress: Progress & { readonly warnings: readonly Warning[] },
): Promise<Comparison> {
  const { board, request, a, b, baseline, survey } = setting
  const outputs = a ? await prepareOutputs(a, b, request, progress) : null
  const startedAt = new Date()
  const first = await pass(setting, request.seed, outputs, 'in turns', progress)
  const endedAt = new Date()
  const after = await surveyAfter(board.device, progress.signal)
  const accuracy = await compareAccuracy(a, b, baseline?.side ?? null, request, progress)
  const compared =
    a && outputs
      ? compareOutputs(outputs, a.network, b.network, first.measured.files)
      : { comparable: false as const, reason: 'A is a file of figures: it gives no outputs.' }
  const sides = {
    a: baseline ? baseline.side : sideOf('a', a!, setting, first, accuracy),
    b: sideOf('b', b, setting, first, accuracy),
  }
  const evidence = (passes: readonly Pass[]): GateEvidence => ({
    passes: passes.map(({ latency, energy, alone }) => ({
      latency,
      energy: { a: baseline ? baseline.side.energy : energy.a, b: energy.b },
      peakRssBytes: baseline
        ? { a: baseline.side.peakRssBytes, b: alone.peakRssBytes.b }
        : alone.peakRssBytes,
    })),
    ...sides,
    accuracy: accuracy.change,
    outputs: compared,
    emulated: survey.emulator !== null,
  })
  const passes = [first]
  if (needsRepeat(request.limits, evidence(passes)))
    passes.push(await pass(setting, request.seed + 1, null, 'again, to confirm', progress))
  const comparison: Comparison = {
    schemaVersion: 1,
    kind: 'comparison',
    createdAt: startedAt.toISOString(),
    edgewright: edgewrightVersion(),
    environment: environmentOf(setting),
    conditions: conditionsOf({
      device: board.device,
      collected: first.measured.collected,
      board: survey,
      after,
      aftermath: first.measured.aftermath,
      preset: request.preset,
      affinity: request.affinity,
      rateHz: 0,
      interleaved: true,
      startedAt,
      endedAt,
    }),
    ...sides,
    baseline: baseline && {
      path: baseline.path,
      createdAt: baseline.createdAt,
      differences: environmentDifferences(baseline.environment, environmentOf(setting)),
    },
    passes: passes.map(passDocument),
    outputs: compared,
    accuracy: accuracy.change,
    gate: request.limits.map((limit) => judgeLimit(limit, evidence(passes))),
    warnings: [...progress.warnings, ...warningsOf(compared)],
  }
  if (request.writeBaseline) await writeBaseline(request.writeBaseline, comparison)
  return comparison
}

async function pass(
  setting: Setting,
  seed: number,
  outputs: OutputCheck | null,
  label: string,
  progress: Progress,
): Promise<Pass> {
  const { board, arms, request, survey, baseline } = setting
  const alone = await measureAlone(board, arms, request, progress)
  const measured = await measurePass(
    board,
    arms,
    request,
    { seed, inferenceNs: alone.inferenceNs, outputs, survey, label },
    progress,
  )
  const { a, b, control } = measured.figures
  return {
    alone,
    measured,
    latency: baseline
      ? compareWithBaseline(baseline.levels, b, control, request.band)
      : compareLatency({ a: a!, b, control }, request.band),
    energy: await energiesOfPass(board, arms, measured, request, survey, progress),
  }
}

function passDocument({ alone, measured, latency }: Pass): ComparisonPass {
  const { figures, seed, orders } = measured
  return {
    ...latency,
    seed,
    figures: structuredClone(figures) as ComparisonPass['figures'],
    orders: orders.map((order) => [...order]),
    peakRssBytes: alone.peakRssBytes,
  }
}

function sideOf(
  arm: Arm & ('a' | 'b'),
  side: Side,
  { arms, request, survey }: Setting,
  { alone, measured, energy }: Pass,
  accuracy: ComparedAccuracy,
): ComparisonSide {
  const { subject } = side
  const artifact = subject.kind === 'artifact' ? subject.manifest : null
  return {
    path: side.path,
    kind: subject.kind,
    bytes: subject.bytes,
    sha256: subject.sha256,
    target: artifact?.target ?? null,
    scheme: artifact?.scheme ?? null,
    runtime: arms[arm]!.tools.runtime,
    latency: latencyOf(measured.collected, arm, request.threads, 0),
    peakRssBytes: alone.peakRssBytes[arm],
    accuracy: accuracy[arm],
    energy:
      survey.emulator !== null && energy[arm].value !== null
        ? noEnergy('emulated', 'The board is emulated: its energy is not a board’s.')
        : energy[arm],
  }
}

function environmentOf({ board, arms, request, survey }: Setting): ComparisonEnvironment {
  const { facts } = board.device
  return {
    device: board.device.name,
    profile: board.profile.id,
    kernel: facts.kernel || null,
    cpu: facts.cpuModel,
    governor: survey.governor,
    runtime: arms.b.tools.runtime,
    threads: request.threads,
    preset: request.preset,
    emulated: survey.emulator,
  }
}

function refuseOther(setting: Setting): void {
  const { baseline, request } = setting
  const differences = environmentDifferences(baseline!.environment, environmentOf(setting))
  if (differences.length === 0 || (request.contest.kind === 'baseline' && request.contest.force)) return
  throw new EdgewrightError('BASELINE_INVALID', 'The baseline was taken in another environment.', {
    where: baseline!.path,
    saw: differences.join('; '),
    hint: 'Measure the old network again beside the new one (edgewright compare OLD NEW), write a new baseline here, or insist with --force.',
  })
}

function warningsOf(outputs: Comparison['outputs']): Comparison['warnings'] {
  if (!outputs.comparable || outputs.inputs === 'random') return []
  const { agreement, sqnrDb } = outputs
  if ((agreement ?? 1) >= 0.9 && (sqnrDb ?? Number.POSITIVE_INFINITY) >= 10) return []
  return [
    {
      code: 'OUTPUTS_DIFFER',
      message: `A and B do not compute the same: ${agreement === null ? `SQNR ${sqnrDb!.toFixed(1)} dB` : `they agree on ${(agreement * 100).toFixed(0)} % of samples`}.`,
      hint: 'Which is faster says little until both are right: see edgewright diagnose.',
    },
  ]
}

/** B as it was measured here: what later runs are held against. */
async function writeBaseline(path: string, comparison: Comparison): Promise<void> {
  const { createdAt, edgewright, environment, b, passes } = comparison
  const baseline: Baseline = {
    schemaVersion: 1,
    kind: 'baseline',
    createdAt,
    edgewright,
    environment,
    subject: b,
    blocks: passes[0]!.figures.b,
  }
  try {
    await writeFile(resolve(path), `${JSON.stringify(baseline, null, 2)}\n`)
  } catch (error) {
    throw new EdgewrightError('USAGE', 'The baseline cannot be written there.', {
      where: path,
      saw: (error as Error).message,
      hint: 'Name another place with --write-baseline.',
    })
  }
}
