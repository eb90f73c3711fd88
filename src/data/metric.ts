import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { EdgewrightError } from '../error.ts'
import type { Tensor } from '../tensor.ts'
import { floatsOf } from './elements.ts'
import { type MetricData, taskMetric } from './task-metrics.ts'
import type { Sample } from './types.ts'

/** A figure of merit over samples. `start` begins anew; `finish` gives the value over what was added since. */
export interface Metric {
  readonly name: string
  readonly higherIsBetter: boolean
  /** False where unlabelled samples are of use too. */
  readonly needsLabels: boolean
  start(): void
  /** Outputs by name, dequantized. May be asynchronous. */
  add(outputs: ReadonlyMap<string, Tensor>, sample: Sample): void | Promise<void>
  finish(): number | Promise<number>
}

/**
 * The metric that `--metric` or a data.yaml names: `top-1`, `top-5`, `map`, `map@0.5`, `miou`, or a module whose default
 * export is `{name, higherIsBetter, start(), add(outputs, sample), finish()}` or a function that returns that.
 *
 * @param data what it is taken over: the metrics of boxes and masks read outputs as its task says
 * @throws DATA_NOT_FOUND, CONFIG_INVALID, DATA_LABELS
 */
export async function openMetric(spec: string, data?: MetricData): Promise<Metric> {
  const k = classRank(spec)
  if (k !== null) return topK(k)
  const ofTask = taskMetric(spec, data)
  if (ofTask) return ofTask
  const path = resolve(spec)
  await stat(path).catch((error) => {
    throw new EdgewrightError('DATA_NOT_FOUND', 'The metric is not there.', {
      where: spec,
      hint: 'Give top-1, top-5, map, map@0.5, miou or the path of a metric.mjs.',
      cause: error,
    })
  })
  return checked(await loadMetric(path), path)
}

/** True for a name that is no path of a module. */
export function isBuiltInMetric(spec: string): boolean {
  return classRank(spec) !== null || /^(map(@0\.\d{1,2})?|miou)$/.test(spec)
}

function classRank(spec: string): number | null {
  const k = Number(/^top-(\d{1,4})$/.exec(spec)?.[1])
  return k >= 1 ? k : null
}

/** Share of labelled samples whose class is among the k highest scores. Equal scores rank by index, as argmax does. */
export function topK(k: number, output?: string): Metric {
  let hits = 0
  let count = 0
  return {
    name: `top-${k}`,
    higherIsBetter: true,
    needsLabels: true,
    start() {
      hits = 0
      count = 0
    },
    add(outputs, sample) {
      if (sample.label === null) return
      count++
      if (isHit(scoresOf(outputs, output), sample.label, k)) hits++
    },
    finish: () => (count === 0 ? Number.NaN : hits / count),
  }
}

/** The scores over classes of a batch of one: the output named, or the first. */
export function scoresOf(outputs: ReadonlyMap<string, Tensor>, output?: string): Float32Array {
  const tensor = output === undefined ? outputs.values().next().value : outputs.get(output)
  if (!tensor)
    throw new EdgewrightError('RECIPE_INVALID', 'The network has no such output.', {
      where: output ?? 'first output',
      saw: [...outputs.keys()].join(', ') || 'no outputs',
    })
  return floatsOf(tensor.dtype, tensor.data)
}

/** True where the class is among the k highest scores. NaN beats nothing and is beaten by nothing: no hit. */
export function isHit(scores: ArrayLike<number>, label: number, k: number): boolean {
  const own = scores[label]
  if (own === undefined || Number.isNaN(own)) return false
  let above = 0
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i]!
    if (Number.isNaN(score) || score > own || (score === own && i < label)) above++
  }
  return above < k
}

/** Index of the highest value along the last axis, one for each position before it; −1 where it holds a NaN. */
export function argmaxLast(tensor: Tensor): Int32Array {
  const classes = tensor.shape.at(-1) ?? 1
  const values = floatsOf(tensor.dtype, tensor.data)
  const out = new Int32Array(classes === 0 ? 0 : values.length / classes)
  for (let row = 0; row < out.length; row++) {
    let best = 0
    for (let i = 0; i < classes; i++) {
      const value = values[row * classes + i]!
      if (Number.isNaN(value)) {
        best = -1
        break
      }
      if (value > values[row * classes + best]!) best = i
    }
    out[row] = best
  }
  return out
}

/** Share of positions at which two networks' outputs have their highest value in the same place. */
export class Agreement {
  #same = 0
  #count = 0

  add(reference: Tensor, other: Tensor): void {
    const [expected, seen] = [argmaxLast(reference), argmaxLast(other)]
    if (expected.length !== seen.length)
      throw new RangeError(`${expected.length} positions beside ${seen.length}`)
    for (let i = 0; i < expected.length; i++) if (expected[i] === seen[i] && expected[i] !== -1) this.#same++
    this.#count += expected.length
  }

  /** A fraction, 0 to 1; null before anything was added. */
  get value(): number | null {
    return this.#count === 0 ? null : this.#same / this.#count
  }
}

async function loadMetric(path: string): Promise<unknown> {
  try {
    const module = (await import(pathToFileURL(path).href)) as { default?: unknown }
    return typeof module.default === 'function' ? await module.default() : module.default
  } catch (error) {
    throw invalid(path, error instanceof Error ? error.message : String(error), error)
  }
}

function checked(given: unknown, path: string): Metric {
  const metric = (given ?? {}) as Partial<Metric>
  const missing = (['start', 'add', 'finish'] as const).filter((name) => typeof metric[name] !== 'function')
  if (typeof metric.name !== 'string') missing.push('name' as never)
  if (typeof metric.higherIsBetter !== 'boolean') missing.push('higherIsBetter' as never)
  if (missing.length > 0) throw invalid(path, `no ${missing.join(', ')}`)
  const user = metric as Metric
  return {
    name: user.name,
    higherIsBetter: user.higherIsBetter,
    needsLabels: user.needsLabels ?? false,
    start: () => user.start(),
    add: (outputs, sample) => user.add(outputs, sample),
    async finish() {
      const value = await user.finish()
      if (typeof value !== 'number') throw invalid(path, `finish() gave ${typeof value}`)
      return value
    },
  }
}

function invalid(path: string, saw: string, cause?: unknown): EdgewrightError {
  return new EdgewrightError('CONFIG_INVALID', 'The metric cannot be used.', {
    where: path,
    saw,
    hint: 'Export default {name, higherIsBetter, start(), add(outputs, sample), finish()}.',
    cause,
  })
}
