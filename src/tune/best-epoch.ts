import { readCheckpoint, writeCheckpoint } from '../train/checkpoint.ts'
import type { Network, NetworkValues } from '../train/network.ts'

/** What was kept of a training. */
export interface Kept {
  readonly values: NetworkValues
  /** `start`: before any step; `mean`: of the epochs of the second half; a number: after that epoch, from 0. */
  readonly from: 'start' | 'mean' | number
  /** On samples that nothing was learnt from, of the start and of what was kept. */
  readonly before: number
  readonly after: number
}

/** Follows a training over its epochs. */
export interface BestEpoch {
  /** Of an epoch that was seen before, nothing changes. */
  seen(epoch: number, values: NetworkValues): Promise<void>
  kept(): Promise<Kept>
}

interface Options {
  readonly epochs: number
  loss(values: NetworkValues): Promise<number>
  /** File that an interrupted training goes on from. */
  readonly path: string
  readonly digest: string
  readonly resume: boolean
}

/**
 * Keeps of a training what loses least on held-out samples: its start, the end of an epoch, or the mean of the weights at
 * the ends of the later epochs (Izmailov et al. 2018). Where weights are rounded the loss jumps with every weight that
 * goes to another integer, so that the last step is as good as its neighbours by chance alone; the mean is not.
 *
 * @throws CHECKPOINT_INVALID where the file is of another training
 */
export async function openBestEpoch(network: Network, options: Options): Promise<BestEpoch> {
  const tensors = [...network.parameters, ...network.statistics]
  const start = new Map(tensors.map(({ name, initial }) => [name, initial]))
  // as a checkpoint holds it
  const lossOf = async (values: NetworkValues) => Math.fround(await options.loss(values))
  const before = await lossOf(start)
  const found = options.resume ? await read(tensors, options) : null
  let best = found?.best ?? { values: start as NetworkValues, loss: before, epoch: -1 }
  const mean = found?.mean ?? new Map(tensors.map(({ name, initial }) => [name, initial.map(() => 0)]))
  let last = found?.last ?? -1
  let count = found?.count ?? 0
  return {
    async seen(epoch, values) {
      if (epoch <= last) return
      last = epoch
      const loss = await lossOf(values)
      const own = new Map(tensors.map(({ name }) => [name, values.get(name)!]))
      if (loss < best.loss) best = { values: own, loss, epoch }
      if (epoch >= Math.floor(options.epochs / 2)) {
        count++
        for (const [name, all] of mean) moveTo(all, own.get(name)!, 1 / count)
      }
      await write({ best, mean, count, last }, options)
    },
    async kept() {
      const loss = count === 0 ? Number.POSITIVE_INFINITY : await lossOf(mean)
      if (loss < best.loss) return { values: mean, from: 'mean', before, after: loss }
      return { values: best.values, from: best.epoch < 0 ? 'start' : best.epoch, before, after: best.loss }
    },
  }
}

function moveTo(mean: Float32Array, values: Float32Array, share: number): void {
  for (let i = 0; i < mean.length; i++) mean[i]! += (values[i]! - mean[i]!) * share
}

interface State {
  readonly best: { readonly values: NetworkValues; readonly loss: number; readonly epoch: number }
  readonly mean: Map<string, Float32Array>
  /** Epochs in the mean. */
  readonly count: number
  readonly last: number
}

/** The loss of the best, and how many epochs are in the mean. */
const numbers = 'numbers'

async function write({ best, mean, count, last }: State, { path, digest }: Options): Promise<void> {
  const named = (kind: string, values: NetworkValues) =>
    [...values].map(([name, value]) => [`${kind}/${name}`, value] as const)
  const counted = Float32Array.of(best.loss, count)
  const tensors = new Map([
    ...named('best', best.values),
    ...named('mean', mean),
    [numbers, counted] as const,
  ])
  await writeCheckpoint(path, { digest, step: last, epoch: best.epoch + 1, tensors })
}

async function read(
  tensors: readonly { readonly name: string; readonly shape: readonly number[] }[],
  { path, digest }: Options,
): Promise<State | null> {
  const shapes = ['best', 'mean'].flatMap((kind) =>
    tensors.map(({ name, shape }) => [`${kind}/${name}`, shape] as const),
  )
  const found = await readCheckpoint(path, { digest, tensors: new Map([...shapes, [numbers, [2]]]) })
  if (!found) return null
  const of = (kind: string) =>
    new Map(tensors.map(({ name }) => [name, found.tensors.get(`${kind}/${name}`)!]))
  const counted = found.tensors.get(numbers)!
  return {
    best: { values: of('best'), loss: counted[0]!, epoch: found.epoch - 1 },
    mean: of('mean'),
    count: counted[1]!,
    last: found.step,
  }
}
