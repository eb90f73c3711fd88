import { open, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { EdgewrightError } from '../error.ts'
import { type Progress, throwIfAborted } from '../progress.ts'
import { bytesOf, byteLength, type DType, type TensorData, viewAs } from '../tensor.ts'
import { type Collected, createCollector } from './collect.ts'
import type { Bounds, Plan, PlanArtifact, PlanStep, RunnerEvent } from './plan.ts'
import { createRandomTensor } from './random-input.ts'

type StepOf<K extends PlanStep['do']> = Extract<PlanStep, { do: K }>
/** An event before it has its number and time. */
type Said = RunnerEvent extends infer E ? (E extends RunnerEvent ? Omit<E, 'seq' | 't'> : never) : never

interface Input {
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly number[]
}

interface Loaded {
  readonly session: InferenceSession
  readonly inputs: readonly Input[]
  readonly feeds: Record<string, OrtTensor>
  hadFirst: boolean
}

/**
 * Executes a plan inside this process through onnxruntime-node: what `local:` does on macOS and Windows, where the runner
 * does not run. The same steps and the same result, with three differences that `measuredBy: 'process'` stands for: each
 * latency holds the binding's own 20 µs or so, CPU affinity, sensors and meters are not available (a complaint says so where
 * meters are asked for), and memory is Node's as well.
 *
 * @param options.folder where operator profiles are written
 * @throws EdgewrightError RUNNER_FAILED with the runtime's own words; INTERRUPTED when the signal fires
 */
export async function measureInProcess(
  plan: Plan,
  options: { readonly progress: Progress; readonly folder: string },
): Promise<Collected> {
  const { progress, folder } = options
  const collector = createCollector()
  const loaded = new Map<string, Loaded>()
  let seq = 0
  const say = (event: Said): void => collector.add({ seq: seq++, t: nowNs(), ...event } as RunnerEvent)

  say({ type: 'hello', runner: 'in-process', pid: process.pid, schema: 1 })
  const metered = plan.meters !== undefined && plan.meters.length > 0
  if ((metered || plan.marker !== undefined) && plan.steps.some(({ meters }) => meters === true))
    say({
      type: 'error',
      code: 'METERS',
      message: 'power meters of the board and its marker are possible on Linux only; the run goes on without',
    })
  try {
    for (const [index, step] of plan.steps.entries()) {
      throwIfAborted(progress.signal)
      progress.tick(index, plan.steps.length, 'steps')
      const ids = artifactsOf(step)
      for (const id of ids) {
        const artifact = plan.artifacts.find((candidate) => candidate.id === id)
        if (artifact === undefined)
          throw new EdgewrightError('INTERNAL', 'The plan names an artifact that it lacks.', { saw: id })
        if (!loaded.has(id)) loaded.set(id, await load(artifact, folder, say))
      }
      say({ type: 'step', index, do: step.do, ...(ids.length === 1 ? { artifact: ids[0] } : {}) })
      const startNs = nowNs()
      const count = await runStep(step, index, loaded, say, progress.signal)
      say({ type: 'done', step: index, count, elapsedNs: nowNs() - startNs })
      sayMemory(say)
      for (const artifact of plan.artifacts) {
        const used = plan.steps.slice(index + 1).some((later) => artifactsOf(later).includes(artifact.id))
        const held = loaded.get(artifact.id)
        if (used || held === undefined) continue
        loaded.delete(artifact.id)
        await unload(artifact, held, folder, say)
      }
    }
    say({ type: 'end' })
  } finally {
    for (const { session } of loaded.values()) await session.release()
  }
  return collector.result('process')
}

function artifactsOf(step: PlanStep): readonly string[] {
  return step.do === 'interleave' ? step.artifacts : step.do === 'idle' ? [] : [step.artifact]
}

function nowNs(): number {
  return Number(process.hrtime.bigint())
}

function sayMemory(say: (event: Said) => void): void {
  // ru_maxrss is in kilobytes; Node already brings macOS's bytes to that.
  say({
    type: 'memory',
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    rssBytes: process.memoryUsage.rss(),
  })
}

async function load(artifact: PlanArtifact, folder: string, say: (event: Said) => void): Promise<Loaded> {
  if (artifact.backend !== 'onnxruntime')
    throw new EdgewrightError('DEVICE_UNSUPPORTED', 'Inside this process only ONNX files are measured.', {
      saw: artifact.backend,
      hint: 'Measure TensorFlow Lite files on Linux, or on a board over SSH.',
    })
  const ort = await import('onnxruntime-node')
  const startNs = nowNs()
  const session = await orFail(
    artifact.id,
    ort.InferenceSession.create(artifact.model, {
      executionProviders: ['cpu'],
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      intraOpNumThreads: artifact.threads,
      interOpNumThreads: 1,
      logSeverityLevel: 3,
      ...(artifact.profile
        ? { enableProfiling: true, profileFilePrefix: join(folder, `profile-${artifact.id}`) }
        : {}),
    }),
  )
  const loadNs = nowNs() - startNs
  const inputs = session.inputMetadata.map((metadata, index) => bind(artifact, metadata, index))
  const feeds: Record<string, OrtTensor> = {}
  for (const [index, { name, dtype, shape }] of inputs.entries()) {
    const file = artifact.inputs[index]
    const data =
      file === undefined
        ? createRandomTensor(dtype, shape, artifact.seed + index)
        : viewAs(dtype, await readExactly(file, byteLength(dtype, shape)))
    feeds[name] = new ort.Tensor(dtype as never, data as never, shape)
  }
  say({
    type: 'loaded',
    artifact: artifact.id,
    runtime: ort.env.versions.node ?? 'unknown',
    loadNs,
    rssBytes: process.memoryUsage.rss(),
    inputs,
    outputs: session.outputMetadata.map((metadata) =>
      metadata.isTensor
        ? {
            name: metadata.name,
            dtype: metadata.type,
            shape: metadata.shape.map((d) => (typeof d === 'number' && d >= 0 ? d : -1)),
          }
        : { name: metadata.name, dtype: 'other', shape: [] },
    ),
  })
  return { session, inputs, feeds, hadFirst: false }
}

/** The plan's shape, else the model's with 1 for what it leaves open; the runner's rule. */
function bind(artifact: PlanArtifact, metadata: InferenceSession.ValueMetadata, index: number): Input {
  if (!metadata.isTensor || metadata.type === 'string')
    throw new EdgewrightError('RUNNER_FAILED', 'The model has an input that is no tensor of numbers.', {
      where: metadata.name,
    })
  const wanted = artifact.shapes?.[index]
  const shape = metadata.shape.map((d, at) => {
    const fixed = typeof d === 'number' && d >= 0
    if (wanted !== undefined && (wanted.length !== metadata.shape.length || (fixed && wanted[at] !== d)))
      throw new EdgewrightError('MODEL_SHAPE_INVALID', 'The input shape asked for does not fit the model.', {
        where: metadata.name,
        saw: `[${wanted.join(', ')}], the model says [${metadata.shape.join(', ')}]`,
      })
    return fixed ? d : (wanted?.[at] ?? 1)
  })
  return { name: metadata.name, dtype: metadata.type as DType, shape }
}

async function unload(
  artifact: PlanArtifact,
  held: Loaded,
  folder: string,
  say: (event: Said) => void,
): Promise<void> {
  if (artifact.profile) {
    held.session.endProfiling()
    const prefix = `profile-${artifact.id}_`
    const files = (await readdir(folder)).filter((name) => name.startsWith(prefix)).sort()
    const file = files.at(-1)
    if (file !== undefined) say({ type: 'operators', artifact: artifact.id, file: join(folder, file) })
  }
  await held.session.release()
}

async function runStep(
  step: PlanStep,
  index: number,
  loaded: ReadonlyMap<string, Loaded>,
  say: (event: Said) => void,
  signal: AbortSignal,
): Promise<number> {
  switch (step.do) {
    case 'idle':
      await sleep(step.seconds * 1000, undefined, { signal }).catch(() => throwIfAborted(signal))
      return 0
    case 'infer':
      return infer(step, loaded.get(step.artifact)!, index, say, signal)
    case 'interleave':
      return takeTurns(step, step.artifacts, step.block, 0, index, loaded, say, signal)
    case 'warmup':
      return takeTurns(step, [step.artifact], 1, 0, index, loaded, say, signal)
    case 'measure':
      return takeTurns(step, [step.artifact], 1, step.rateHz, index, loaded, say, signal)
  }
}

/** Blocks of inferences in turn until the bounds are met for each; one artifact alone is the plain case. */
async function takeTurns(
  bounds: Bounds,
  ids: readonly string[],
  block: number,
  rateHz: number,
  index: number,
  loaded: ReadonlyMap<string, Loaded>,
  say: (event: Said) => void,
  signal: AbortSignal,
): Promise<number> {
  const shares = new Map(ids.map((id) => [id, { ns: [] as number[], at: 0, elapsedNs: 0 }]))
  const perRound = Math.min(
    block,
    ...ids.map((id) => Math.max(1, Math.floor(bounds.maxCount / turnsOf(ids, id)))),
  )
  const held = [...new Set(ids)].map((id) => ({ id, artifact: loaded.get(id)! }))
  for (const { id, artifact } of held) {
    if (artifact.hadFirst) continue
    artifact.hadFirst = true
    say({ type: 'first', artifact: id, ns: await timed(id, artifact) })
  }
  const startNs = nowNs()
  let due = 0
  for (let goOn = true; goOn; ) {
    for (const id of ids) {
      const share = shares.get(id)!
      const artifact = loaded.get(id)!
      for (let n = 0; n < perRound && goOn; n++) {
        if (rateHz > 0) await sleepUntil(startNs + (due++ / rateHz) * 1e9, signal)
        const turnNs = nowNs()
        if (share.ns.length === 0) share.at = turnNs
        share.ns.push(await timed(id, artifact))
        throwIfAborted(signal)
        // At a fixed rate the waiting counts, flat out only an artifact's own turns do.
        share.elapsedNs = rateHz > 0 ? nowNs() - startNs : share.elapsedNs + (nowNs() - turnNs)
        goOn = share.elapsedNs < bounds.maxSeconds * 1e9
      }
    }
    const all = [...shares].map(([id, share]) => ({
      ...share,
      next: share.ns.length + perRound * turnsOf(ids, id),
    }))
    const met = all.every(
      ({ ns, elapsedNs }) => ns.length >= bounds.minCount && elapsedNs >= bounds.minSeconds * 1e9,
    )
    goOn = goOn && !met && all.every(({ next }) => next <= bounds.maxCount)
  }
  let count = 0
  for (const [artifact, { ns, at }] of shares) {
    say({ type: 'latency', step: index, artifact, at, ns })
    count += ns.length
  }
  return count
}

function turnsOf(ids: readonly string[], id: string): number {
  return ids.filter((other) => other === id).length
}

async function timed(id: string, { session, feeds }: Loaded): Promise<number> {
  const start = process.hrtime.bigint()
  await orFail(id, session.run(feeds))
  return Number(process.hrtime.bigint() - start)
}

async function sleepUntil(dueNs: number, signal: AbortSignal): Promise<void> {
  // Timers have whole milliseconds and may be early: the rest is spent turning.
  const waitMs = Math.floor((dueNs - nowNs()) / 1e6)
  if (waitMs > 0) await sleep(waitMs, undefined, { signal }).catch(() => throwIfAborted(signal))
  while (nowNs() < dueNs);
}

async function infer(
  step: StepOf<'infer'>,
  { session, inputs }: Loaded,
  index: number,
  say: (event: Said) => void,
  signal: AbortSignal,
): Promise<number> {
  const ort = await import('onnxruntime-node')
  const streams = await Promise.all(
    inputs.map(async ({ dtype, shape }, i) =>
      readExactly(step.inputs[i] ?? '', byteLength(dtype, shape) * step.count),
    ),
  )
  const outputs: Buffer[][] = session.outputNames.map(() => [])
  for (let sample = 0; sample < step.count; sample++) {
    throwIfAborted(signal)
    const feeds: Record<string, OrtTensor> = {}
    for (const [i, { name, dtype, shape }] of inputs.entries()) {
      const bytes = byteLength(dtype, shape)
      const data = viewAs(dtype, streams[i]!.subarray(sample * bytes, (sample + 1) * bytes))
      feeds[name] = new ort.Tensor(dtype as never, data as never, shape)
    }
    const results = await orFail(step.artifact, session.run(feeds))
    // A copy: the tensor's memory is the runtime's.
    for (const [i, name] of session.outputNames.entries())
      outputs[i]!.push(Buffer.from(bytesOf(results[name]!.data as TensorData)))
  }
  for (const [i, path] of step.outputs.entries()) await writeFile(path, Buffer.concat(outputs[i] ?? []))
  say({ type: 'inferred', step: index, count: step.count })
  return step.count
}

async function readExactly(path: string, bytes: number): Promise<Uint8Array> {
  const file = await open(path).catch((cause: unknown) => {
    throw new EdgewrightError('RUNNER_FAILED', 'An input file cannot be opened.', { where: path, cause })
  })
  try {
    const { size } = await file.stat()
    if (size === bytes) return await file.readFile()
    throw new EdgewrightError('RUNNER_FAILED', 'An input file does not hold what the model takes.', {
      where: path,
      saw: `${size} bytes, ${bytes} are needed`,
    })
  } finally {
    await file.close()
  }
}

async function orFail<T>(where: string, promise: Promise<T>): Promise<T> {
  return promise.catch((cause: unknown) => {
    const saw = (cause instanceof Error ? cause.message : String(cause)).slice(0, 2000)
    throw new EdgewrightError('RUNNER_FAILED', 'ONNX Runtime failed.', { where, saw, cause })
  })
}
