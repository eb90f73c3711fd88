import { EdgewrightError } from '../error.ts'
import type { Progress } from '../progress.ts'
import { throwIfAborted } from '../progress.ts'
import type { BatchSource } from './batches.ts'
import type { NetworkValues } from './network.ts'
import type { Program } from './program.ts'
import type { Schedule } from './schedules.ts'
import { openSession } from './session.ts'

/** Where a training stands: with this it goes on as if it had never stopped. */
export interface TrainingState {
  /** Steps done, over all epochs. */
  readonly step: number
  /** All state tensors of the program by name. */
  readonly tensors: ReadonlyMap<string, Float32Array>
}

/** Means over the samples of one epoch. */
export interface EpochReport {
  /** From 0. */
  readonly epoch: number
  readonly metrics: Readonly<Record<string, number>>
  readonly seconds: number
}

export interface TrainOptions {
  readonly epochs: number
  /** Of the optimizer, before the schedule's factor. */
  readonly learningRate: number
  readonly schedule: Schedule
  /** Of ONNX Runtime; 1 by default. */
  readonly threads?: number
  readonly masks?: ReadonlyMap<string, Float32Array>
  /** What computes the steps; ONNX Runtime by default. */
  readonly open?: typeof openSession
  /** To go on from. */
  readonly from?: TrainingState
  /** Called after every so many steps, and when the training is interrupted. */
  readonly checkpoint?: { readonly everySteps: number; save(state: TrainingState): Promise<void> }
  /** Called after each epoch; true ends the training. */
  onEpoch?(report: EpochReport, values: NetworkValues): Promise<boolean | void>
}

export interface Trained {
  /** Of parameters and statistics, and of what the optimizer keeps. */
  readonly values: NetworkValues
  readonly epochs: readonly EpochReport[]
  readonly steps: number
}

/**
 * Trains: for each epoch the batches of the source, in its order. On one computer and with one number of threads the
 * same program, source and options give the same weights, also where it was interrupted and went on from a checkpoint.
 *
 * @throws TRAINING_DIVERGED where a loss is not a number; INTERRUPTED at the progress's signal, after a last checkpoint
 */
export async function train(
  program: Program,
  batches: BatchSource,
  options: TrainOptions,
  progress: Progress,
): Promise<Trained> {
  const { from, epochs, checkpoint, threads = 1, open = openSession } = options
  const session = await open(program, {
    threads,
    ...(from && { state: from.tensors }),
    ...(options.masks && { masks: options.masks }),
  })
  const total = epochs * batches.steps
  const reports: EpochReport[] = []
  let step = from?.step ?? 0
  const save = async () => {
    await checkpoint?.save({ step, tensors: session.state() })
  }
  try {
    for (let epoch = Math.floor(step / batches.steps); epoch < epochs; epoch++) {
      const began = performance.now()
      const means = new Means()
      for await (const batch of batches.epoch(epoch, step % batches.steps, progress.signal)) {
        const factor = options.schedule({ step, totalSteps: total, epoch, stepsPerEpoch: batches.steps })
        const metrics = await session.step(batch.feeds, options.learningRate * factor, step)
        step++
        requireFinite(metrics, step, options.learningRate)
        means.add(metrics, batch.samples)
        progress.tick(step, total, 'steps', means.describe(epoch, epochs))
        if (checkpoint && step % checkpoint.everySteps === 0 && step < total) await save()
        throwIfAborted(progress.signal)
      }
      const report = { epoch, metrics: means.values(), seconds: (performance.now() - began) / 1000 }
      reports.push(report)
      if (await options.onEpoch?.(report, session.state())) break
    }
    return { values: session.state(), epochs: reports, steps: step }
  } catch (error) {
    if (error instanceof EdgewrightError && error.code === 'INTERRUPTED') await save()
    throw error
  } finally {
    await session.close()
  }
}

function requireFinite(metrics: Readonly<Record<string, number>>, step: number, learningRate: number): void {
  if (Number.isFinite(metrics.loss)) return
  throw new EdgewrightError('TRAINING_DIVERGED', 'The loss is not a number any more.', {
    where: `step ${step}`,
    saw: `loss ${metrics.loss} at learning rate ${learningRate}`,
    hint: 'Lower the learning rate (--learning-rate), or start with a longer warm-up.',
  })
}

/** Means of metrics, by samples. */
class Means {
  readonly #sums = new Map<string, number>()
  #samples = 0

  add(metrics: Readonly<Record<string, number>>, samples: number): void {
    this.#samples += samples
    for (const [name, value] of Object.entries(metrics))
      this.#sums.set(name, (this.#sums.get(name) ?? 0) + value * samples)
  }

  values(): Record<string, number> {
    return Object.fromEntries([...this.#sums].map(([name, sum]) => [name, sum / this.#samples]))
  }

  describe(epoch: number, epochs: number): string {
    const shown = Object.entries(this.values()).map(([name, value]) =>
      name === 'loss' ? `loss ${value.toPrecision(3)}` : `${name} ${(100 * value).toFixed(1)} %`,
    )
    return [`epoch ${epoch + 1} of ${epochs}`, ...shown].join(', ')
  }
}
