import { setImmediate } from 'node:timers/promises'
import { executeGraph } from '../../compile/execute-graph.ts'
import { samplesOf, type SamplePart } from '../../compile/samples.ts'
import { GraphEditor } from '../../graph/edit.ts'
import type { Graph } from '../../graph/types.ts'
import { type Progress, throwIfAborted } from '../../progress.ts'
import { type Candidate, candidateOf, gramsOf } from '../../train/low-rank/candidates.ts'
import type { ChosenRanks } from '../../train/low-rank/choose-ranks.ts'
import { factorize } from '../../train/low-rank/factorize.ts'
import { leadingSpaces, openProducts } from '../../train/low-rank/large-subspace.ts'
import type { FactorLayer } from '../../train/low-rank/layers.ts'
import { MomentSums, type OutputMoments } from '../../train/low-rank/moments.ts'

/** Mean and covariance of what layers make of samples, by node name. */
export async function layerMoments(
  graph: Graph,
  layers: readonly FactorLayer[],
  part: SamplePart,
  progress: Progress,
): Promise<Map<string, OutputMoments>> {
  const outputs = layers.map(({ node }) => node.outputs[0]!)
  const sums = layers.map(
    ({ outputs: channels, axis }) => new MomentSums(channels, axis, part.indices.length),
  )
  const evaluator = await executeGraph({ ...graph, outputs: [...new Set([...graph.outputs, ...outputs])] })
  try {
    let done = 0
    for await (const { inputs } of samplesOf(part, progress.signal)) {
      const results = await evaluator.run(inputs, outputs)
      sums.forEach((sum, index) => {
        sum.add(results.get(outputs[index]!)!)
      })
      progress.tick(++done, part.indices.length, 'samples')
    }
  } finally {
    await evaluator.close()
  }
  return new Map(layers.map(({ node }, index) => [node.name, sums[index]!.result()]))
}

/** The ways to factor each layer. */
export async function candidatesOf(
  layers: readonly FactorLayer[],
  moments: ReadonlyMap<string, OutputMoments>,
  progress: Progress,
): Promise<Candidate[]> {
  const candidates: Candidate[] = []
  const products = openProducts()
  try {
    for (const layer of layers) {
      const known = moments.get(layer.node.name) ?? null
      const spaces = await leadingSpaces(gramsOf(layer, known), products)
      candidates.push(candidateOf(layer, known, spaces))
      progress.tick(candidates.length, layers.length, 'layers')
      // else no signal would be seen until all is done
      await setImmediate()
      throwIfAborted(progress.signal)
    }
  } finally {
    await products.close()
  }
  return candidates
}

/**
 * What factors really do to the output of each layer, given the inputs that it had before: the root of the mean square of
 * the difference, relative to what varies of the output.
 */
export async function measuredErrors(
  graph: Graph,
  chosen: ChosenRanks,
  moments: ReadonlyMap<string, OutputMoments>,
  part: SamplePart,
  progress: Progress,
): Promise<Map<string, number>> {
  const layers = [...chosen.values()].map(({ candidate }) => candidate.layer)
  const pairs = besideThem(graph, chosen, moments)
  const wanted = [...pairs.outputs.values()].flatMap(({ whole, factored }) => [whole, factored])
  const sums = new Map(layers.map(({ node }) => [node.name, { noise: 0, signal: 0 }]))
  const evaluator = await executeGraph({ ...pairs.graph, outputs: [...new Set(wanted)] })
  try {
    for await (const { inputs } of samplesOf(part, progress.signal)) {
      const results = await evaluator.run(inputs)
      for (const layer of layers) {
        const { whole, factored } = pairs.outputs.get(layer.node.name)!
        const [y, made] = [results.get(whole)!, results.get(factored)!]
        const { mean } = moments.get(layer.node.name)!
        const inner = y.shape.slice(layer.axis + 1).reduce((product, size) => product * size, 1)
        const sum = sums.get(layer.node.name)!
        for (let i = 0; i < y.data.length; i++) {
          const value = Number(y.data[i])
          const around = layer.takesBias ? mean[Math.floor(i / inner) % layer.outputs]! : 0
          sum.noise += (value - Number(made.data[i])) ** 2
          sum.signal += (value - around) ** 2
        }
      }
    }
  } finally {
    await evaluator.close()
  }
  return new Map(
    [...sums].map(([name, { noise, signal }]) => [name, signal > 0 ? Math.sqrt(noise / signal) : 0]),
  )
}

/** The network with the factors of each layer beside it, both with the same input. */
function besideThem(graph: Graph, chosen: ChosenRanks, moments: ReadonlyMap<string, OutputMoments>) {
  const editor = new GraphEditor(graph)
  const outputs = new Map<string, { whole: string; factored: string }>()
  const renamed: [string, string][] = []
  for (const { candidate } of chosen.values()) {
    const { name, op, inputs, outputs: made, source } = candidate.layer.node
    const twin = `${name}/in factors`
    const factored = editor.freshName(`${twin}/output`)
    editor.addNode({
      name: twin,
      op,
      inputs,
      outputs: [{ name: factored, type: editor.type(made[0]!) }],
      source,
    })
    outputs.set(name, { whole: made[0]!, factored })
    renamed.push([name, twin])
  }
  editor.outputs = [...graph.outputs, ...[...outputs.values()].map(({ factored }) => factored)]
  const of = <T>(all: ReadonlyMap<string, T>) =>
    new Map(renamed.flatMap(([name, twin]) => (all.has(name) ? [[twin, all.get(name)!] as const] : [])))
  return { graph: factorize(editor.finish(), of(chosen), of(moments)), outputs }
}
