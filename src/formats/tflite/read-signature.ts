import { EdgewrightError } from '../../error.ts'
import type { TfliteModel, TfliteSignatureDef, TfliteSubGraph } from './schema.ts'

export interface Chosen {
  readonly subgraph: TfliteSubGraph
  readonly signature: TfliteSignatureDef | null
}

/**
 * The part of the file to read: the signature asked for, the only one there is, else the first subgraph.
 * @throws MODEL_SIGNATURE listing the signatures where there are several and none is asked for
 */
export function chooseSubgraph(model: TfliteModel, asked: string | undefined, where: string): Chosen {
  const subgraphs = model.subgraphs ?? []
  const signatures = model.signatureDefs ?? []
  if (subgraphs.length === 0)
    throw new EdgewrightError('MODEL_BROKEN', 'The file holds no network.', { where })
  const listed = signatures.map(({ signatureKey }) => JSON.stringify(signatureKey ?? '')).join(', ')
  const found = signatures.filter(({ signatureKey }) => signatureKey === asked)
  if (asked !== undefined && found.length === 0)
    throw new EdgewrightError(
      'MODEL_SIGNATURE',
      `The model has no signature named ${JSON.stringify(asked)}.`,
      {
        where,
        hint: signatures.length > 0 ? `Its signatures are ${listed}.` : 'It has none: leave the option out.',
      },
    )
  if (asked === undefined && new Set(signatures.map(({ subgraphIndex }) => subgraphIndex)).size > 1)
    throw new EdgewrightError(
      'MODEL_SIGNATURE',
      'The model has several signatures, which are networks of their own.',
      {
        where,
        saw: listed,
        hint: `Choose one: --signature ${signatures[0]!.signatureKey}`,
      },
    )
  const signature = found[0] ?? signatures[0] ?? null
  const subgraph = subgraphs[signature?.subgraphIndex ?? 0]
  if (!subgraph)
    throw new EdgewrightError(
      'MODEL_BROKEN',
      'A signature of the file names a network that it does not hold.',
      {
        where,
        saw: `number ${signature?.subgraphIndex}`,
      },
    )
  return { subgraph, signature }
}

/** A name for each tensor, no two the same; inputs and outputs come first, so that they keep theirs. */
export function uniqueNames({ tensors, inputs, outputs }: TfliteSubGraph): string[] {
  const names: string[] = []
  const taken = new Set<string>()
  const suffixes = new Map<string, number>()
  const list = tensors ?? []
  for (const index of [...(inputs ?? []), ...(outputs ?? []), ...list.keys()]) {
    if (!(index in list) || names[index] !== undefined) continue
    const wanted = list[index]!.name || `tensor_${index}`
    let name = wanted
    for (let i = suffixes.get(wanted) ?? 1; taken.has(name); i++) {
      name = `${wanted}_${i}`
      suffixes.set(wanted, i)
    }
    taken.add(name)
    names[index] = name
  }
  return names
}
