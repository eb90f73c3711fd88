import type { OnnxNode, OnnxTensor, Partially } from './proto.ts'

const alphabet = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'

/** a, b, … Z, aa, ab, …: the shortest names, each once. */
export function* shortestNames(): Generator<string> {
  for (let length = 1; ; length++) yield* namesOfLength(length)
}

function* namesOfLength(length: number): Generator<string> {
  if (length === 0) yield ''
  else for (const prefix of namesOfLength(length - 1)) for (const letter of alphabet) yield prefix + letter
}

/** Gives every value that is not reserved the shortest free name, in order of appearance; nodes lose name and text. */
export function shorten(
  nodes: readonly Partially<OnnxNode>[],
  initializers: readonly Partially<OnnxTensor>[],
  reserved: ReadonlySet<string>,
): { nodes: Partially<OnnxNode>[]; initializers: Partially<OnnxTensor>[] } {
  const names = shortestNames()
  const given = new Map<string, string>([['', '']])
  const rename = (name: string): string => {
    if (reserved.has(name)) return name
    let short = given.get(name)
    while (short === undefined) {
      const candidate = names.next().value as string
      if (!reserved.has(candidate)) short = candidate
    }
    given.set(name, short)
    return short
  }
  return {
    nodes: nodes.map(({ name: _, docString: __, ...node }) => ({
      ...node,
      input: node.input?.map(rename),
      output: node.output?.map(rename),
    })),
    initializers: initializers.map((tensor) => ({ ...tensor, name: rename(tensor.name!) })),
  }
}
