import { basename, dirname, join } from 'node:path'
import { EdgewrightError } from '../error.ts'
import type { OpenContext } from './context.ts'
import { exists } from './files.ts'
import { findIdxPair, openIdx } from './idx.ts'
import { openNpy } from './npy.ts'
import { openNpz } from './npz.ts'
import { resolveTensor } from './preprocessing.ts'
import type { SampleSource } from './source.ts'
import type { StoredArray } from './stored-array.ts'
import { labelsOf, storedSource } from './stored-samples.ts'
import type { InputSpec } from './types.ts'

/** An idx pair: samples and, where it is there, the labels file beside. Pixels are taken as they are (scale 1) unless stated. */
export async function openIdxPair(path: string, context: OpenContext): Promise<SampleSource> {
  const pair = await findIdxPair(path)
  const samples = await openIdx(pair.images)
  const labels = pair.labels === null ? null : await labelsOf(await openIdx(pair.labels))
  return openStored({ path: pair.images, arrays: single(context.inputs, samples, path), labels }, context)
}

/** Arrays of an .npz by input name (or `x` and `y`), or a .npy for a network with one input. */
export async function openArrays(path: string, context: OpenContext): Promise<SampleSource> {
  if (path.toLowerCase().endsWith('.npy')) {
    const beside = basename(path) === 'x.npy' ? join(dirname(path), 'y.npy') : null
    const labels = beside && (await exists(beside)) ? await labelsOf(await openNpy(beside)) : null
    return openStored({ path, arrays: single(context.inputs, await openNpy(path), path), labels }, context)
  }
  const members = await openNpz(path)
  const labels = first(members, ['y', 'labels', 'label'])
  const names = [...members.keys()].filter((name) => members.get(name) !== labels)
  const arrays = new Map<string, StoredArray>()
  for (const input of context.inputs) {
    const only =
      context.inputs.length === 1
        ? (first(members, ['x', 'X']) ?? (names.length === 1 ? members.get(names[0]!) : undefined))
        : undefined
    const array = members.get(input.name) ?? only
    if (!array)
      throw new EdgewrightError('DATA_SHAPE', `The archive has no array for the input ${input.name}.`, {
        where: path,
        saw: [...members.keys()].join(', ') || 'no arrays',
        hint: 'Name the arrays after the inputs, or `x` (and `y` for labels) where there is one.',
      })
    arrays.set(input.name, array)
  }
  return openStored({ path, arrays, labels: labels ? await labelsOf(labels) : null }, context)
}

function openStored(
  {
    path,
    arrays,
    labels,
  }: { path: string; arrays: ReadonlyMap<string, StoredArray>; labels: readonly number[] | null },
  { inputs, said }: OpenContext,
): SampleSource {
  const length = arrays.get(inputs[0]!.name)!.shape[0] ?? 0
  return storedSource({
    description: `${length} samples of ${path}`,
    arrays,
    inputs,
    labels,
    classNames: null,
    preprocessing: resolveTensor(said, inputs.length === 1 ? inputs[0]! : null),
  })
}

/** The one array for a network's one input. */
export function single(
  inputs: readonly InputSpec[],
  array: StoredArray,
  where: string,
): Map<string, StoredArray> {
  if (inputs.length === 1) return new Map([[inputs[0]!.name, array]])
  throw new EdgewrightError('DATA_SHAPE', `The file feeds one input, the network has ${inputs.length}.`, {
    where,
    saw: inputs.map((input) => input.name).join(', '),
    hint: 'Give an .npz with an array for each input, or a loader.mjs.',
  })
}

function first(arrays: ReadonlyMap<string, StoredArray>, names: readonly string[]): StoredArray | undefined {
  for (const name of names) {
    const array = arrays.get(name)
    if (array) return array
  }
  return undefined
}
