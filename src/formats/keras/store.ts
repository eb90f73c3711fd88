import { constantOfBytes } from '../../graph/constant.ts'
import type { Hdf5Content, Hdf5Dataset } from './hdf5.ts'
import type { StoredWeight, WeightStore } from './weights.ts'

/** Weights of an .h5: a group for each layer of the outermost model, which lists its weights by name. */
export function namedStore(content: Hdf5Content, root: string): WeightStore {
  const datasets = new Map(content.datasets.map((dataset) => [dataset.path, dataset]))
  return {
    variables({ names }) {
      const group = `${root}${names[0]}`
      const listed = content.attributes[group] ?? {}
      const stored = weightNames(listed).flatMap((name) => {
        const dataset = datasets.get(`${group}/${name}`)
        return dataset ? [storedWeight(dataset, name)] : []
      })
      return narrow(stored, names.slice(1))
    },
  }
}

/** A long list is cut into weight_names0, weight_names1, … */
function weightNames(attributes: Readonly<Record<string, string | readonly string[]>>): string[] {
  const names = attributes.weight_names
  if (names !== undefined) return [names].flat()
  const parts: string[] = []
  for (let i = 0; attributes[`weight_names${i}`] !== undefined; i++)
    parts.push(...[attributes[`weight_names${i}`]!].flat())
  return parts
}

/** The weights under the inner layers of these names; a wrapper's layer may have left its name out. */
export function narrow(stored: readonly StoredWeight[], names: readonly string[]): readonly StoredWeight[] {
  let left = stored
  for (const name of names) {
    const under = left.filter((weight) => weight.name?.split('/').slice(0, -1).includes(name))
    if (under.length > 0) left = under
  }
  return left
}

/** Weights of a .keras: a folder for each layer, variables numbered; those of a recurrent layer are its cell's. */
export function numberedStore(content: Hdf5Content): WeightStore {
  const folders = new Map<string, Hdf5Dataset[]>()
  for (const dataset of content.datasets) {
    const cut = dataset.path.lastIndexOf('/')
    const folder = dataset.path.slice(0, cut)
    const list = folders.get(folder)
    if (list) list.push(dataset)
    else folders.set(folder, [dataset])
  }
  const number = ({ path }: Hdf5Dataset) => Number(path.slice(path.lastIndexOf('/') + 1))
  return {
    variables({ folder }) {
      const plain = folder.replace(/^layers\//, '')
      const found = ['', '/cell']
        .flatMap((cell) => [
          `layers/${plain}${cell}/vars`,
          `_layer_checkpoint_dependencies/${plain}${cell}/vars`,
        ])
        .map((path) => folders.get(path))
        .find((list) => list !== undefined)
      return (found ?? [])
        .toSorted((a, b) => number(a) - number(b))
        .map((dataset) => storedWeight(dataset, null))
    },
  }
}

function storedWeight({ dtype, shape, bytes }: Hdf5Dataset, name: string | null): StoredWeight {
  return { name, constant: constantOfBytes(dtype, shape, bytes) }
}
