import type * as TensorFlow from '@tensorflow/tfjs'
import { tensorOf } from '../../graph/constant.ts'
import type { Graph, Node } from '../../graph/types.ts'
import { elementCount, type Tensor as OwnTensor } from '../../tensor.ts'
import type { Program } from '../program.ts'
import type { SessionOptions, TrainingSession } from '../session.ts'
import { computeOperator, dtypeOf, requireOperators, type Tf } from './tfjs-operators.ts'

type Tensor = TensorFlow.Tensor

/**
 * The program of a training in TensorFlow.js, on the backend that is active: one step after the other, operator by
 * operator, as `openSession` does it in ONNX Runtime. Weights and what the optimizer keeps stay in the backend's memory.
 *
 * @throws OPERATOR_UNSUPPORTED where the program holds an operator that has no counterpart
 */
export async function openTfjsSession(
  tf: Tf,
  program: Program,
  options: SessionOptions = {},
): Promise<TrainingSession> {
  const { graph } = program
  requireOperators(graph)
  await tf.ready()
  const constants = new Map(
    [...graph.values.values()].flatMap(({ name, constant }) =>
      constant ? [[name, tf.keep(tensorFrom(tf, tensorOf(constant)))] as const] : [],
    ),
  )
  const float32 = (shape: readonly number[], values: Float32Array) =>
    tf.keep(tf.tensor(values.slice(), [...shape], 'float32'))
  const moving = program.state.filter(({ name, next }) => name !== next)
  const state = new Map(
    program.state.map(({ name, shape, initial }) => [
      name,
      float32(shape, options.state?.get(name) ?? initial),
    ]),
  )
  const masks = new Map<string, Tensor>()
  const setMasks = (given: ReadonlyMap<string, Float32Array>) => {
    for (const [parameter, input] of program.masks) {
      const { shape } = graph.values.get(input)!.type
      masks.get(input)?.dispose()
      masks.set(input, float32(shape, given.get(parameter) ?? new Float32Array(elementCount(shape)).fill(1)))
    }
  }
  setMasks(options.masks ?? new Map())
  const plan = planOf(graph)
  const kept = [...moving.map(({ next }) => next), ...Object.values(program.metrics)]
  return {
    async step(feeds, learningRate, step) {
      const made = tf.tidy(() => {
        const scalars = [[program.learningRate, learningRate] as const, ...program.scalars(step)]
        const values = new Map<string, Tensor>([
          ...constants,
          ...state,
          ...masks,
          ...[...feeds].map(([name, tensor]) => [name, tensorFrom(tf, tensor)] as const),
          ...scalars.map(([name, value]) => [name, tf.scalar(value)] as const),
        ])
        execute(tf, graph, plan, values, new Set(kept))
        // a value may be wanted twice, or be what it was before
        return kept.map((name) => tf.clone(values.get(name)!))
      })
      for (const [index, { name }] of moving.entries()) {
        state.get(name)!.dispose()
        state.set(name, tf.keep(made[index]!))
      }
      const shown: [string, number][] = []
      for (const [index, name] of Object.keys(program.metrics).entries()) {
        const tensor = made[moving.length + index]!
        shown.push([name, (await tensor.data())[0]!])
        tensor.dispose()
      }
      return Object.fromEntries(shown)
    },
    state: () =>
      new Map([...state].map(([name, tensor]) => [name, Float32Array.from(tensor.dataSync())] as const)),
    setMasks,
    close() {
      for (const tensor of [...constants.values(), ...state.values(), ...masks.values()]) tensor.dispose()
      return Promise.resolve()
    },
  }
}

/** A node, and what nobody reads after it. */
interface Planned {
  readonly node: Node
  readonly last: readonly string[]
}

function planOf({ nodes }: Graph): Planned[] {
  const lastUse = new Map<string, Node>()
  for (const node of nodes) {
    for (const name of node.outputs) lastUse.set(name, node)
    for (const name of node.inputs) if (name !== null) lastUse.set(name, node)
  }
  const by = new Map<Node, string[]>()
  for (const [name, node] of lastUse) by.set(node, [...(by.get(node) ?? []), name])
  return nodes.map((node) => ({ node, last: by.get(node) ?? [] }))
}

/** Adds to `values` what the nodes make, and lets go of what nothing needs any more. */
function execute(
  tf: Tf,
  graph: Graph,
  plan: readonly Planned[],
  values: Map<string, Tensor>,
  kept: ReadonlySet<string>,
): void {
  const given = new Set(values.keys())
  for (const { node, last } of plan) {
    const inputs = node.inputs.map((name) => (name === null ? null : values.get(name)!))
    const types = node.outputs.map((name) => graph.values.get(name)!.type)
    // what an operator uses on its way goes at once
    const made = tf.tidy(() =>
      computeOperator({ tf, op: node.op, node, inputs, types }).map((tensor) =>
        inputs.includes(tensor) ? tf.clone(tensor) : tensor,
      ),
    )
    for (const [index, name] of node.outputs.entries()) if (made[index]) values.set(name, made[index])
    for (const name of last) {
      if (kept.has(name) || given.has(name)) continue
      values.get(name)?.dispose()
      values.delete(name)
    }
  }
}

function tensorFrom(tf: Tf, { dtype, shape, data }: OwnTensor): Tensor {
  const kind = dtypeOf({ dtype })
  const numbers =
    kind === 'float32' ? (data as Float32Array) : Int32Array.from(data as ArrayLike<number | bigint>, Number)
  return tf.tensor(kind === 'float32' ? numbers.slice() : numbers, [...shape], kind)
}
