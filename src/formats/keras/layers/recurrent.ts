import { EdgewrightError } from '../../../error.ts'
import { numbersOf } from '../../../graph/constant.ts'
import type { Binary, Op } from '../../../graph/ops.ts'
import { activate } from './activations.ts'
import { isRecord, LayerConfig } from '../config.ts'
import type { LayerCall, LayerTable } from './layer.ts'

/** Steps that are unrolled at most: each costs a dozen operators. */
const mostSteps = 1024

const gemm: Op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: false }
const binary = (fn: Binary['fn']): Op => ({ kind: 'Binary', fn })

/** Recurrent layers, unrolled over their static steps into ordinary operators. */
export const recurrentLayers: LayerTable = {
  LSTM: (call) => unroll(call, lstmCell),
  GRU: (call) => unroll(call, gruCell),
  SimpleRNN: (call) => unroll(call, simpleCell),
  Bidirectional: readBidirectional,
}

/** One step: the projected input and the states to the new states, the first of which is the output. */
interface Cell {
  readonly states: number
  /** x of all steps, already times the kernel. */
  readonly projected: string
  step(x: string, states: readonly string[]): string[]
}

function unroll(call: LayerCall, makeCell: (call: LayerCall, x: string) => Cell): string[] {
  const { graph, config, inputs, className, name } = call
  const [x, ...initial] = inputs as [string, ...string[]]
  const [batch, steps] = graph.shape(x) as [number, number, number]
  if (config.flag('stateful', false) || config.flag('time_major', false))
    throw refuse(call, 'is stateful or has time first', 'Set stateful=False and export it again.')
  if (graph.shape(x).length !== 3 || steps > mostSteps)
    throw refuse(
      call,
      `runs over ${steps} steps`,
      `Up to ${mostSteps} steps are unrolled: bind fewer with --shape.`,
    )
  const units = config.integer('units')
  const cell = makeCell(call, x)
  if (initial.length !== 0 && initial.length !== cell.states)
    throw new EdgewrightError('MODEL_BROKEN', 'A recurrent layer has another number of initial states.', {
      where: `${className} ${name}`,
    })
  let states: string[] =
    initial.length > 0
      ? initial
      : Array.from({ length: cell.states }, () =>
          graph.numbers('zero', [batch, units], new Float32Array(batch * units)),
        )
  const gates = graph.shape(cell.projected)[2]!
  const outputs: string[] = []
  const backwards = config.flag('go_backwards', false)
  for (let i = 0; i < steps; i++) {
    const at = backwards ? steps - 1 - i : i
    const slice = graph.node({ kind: 'Slice', axes: [1], starts: [at], ends: [at + 1], steps: [1] }, [
      cell.projected,
    ])
    states = cell.step(graph.node({ kind: 'Reshape', shape: [batch, gates] }, [slice]), states)
    outputs.push(states[0]!)
  }
  const result = config.flag('return_sequences', false) ? sequence(call, outputs, batch, units) : states[0]!
  return config.flag('return_state', false) ? [result, ...states] : [result]
}

function sequence({ graph }: LayerCall, outputs: readonly string[], batch: number, units: number): string {
  const rows = outputs.map((output) => graph.node({ kind: 'Reshape', shape: [batch, 1, units] }, [output]))
  return rows.length === 1 ? rows[0]! : graph.node({ kind: 'Concat', axis: 1 }, rows)
}

/** Hochreiter & Schmidhuber 1997 with a forget gate; gates in the order input, forget, cell, output. */
function lstmCell(call: LayerCall, x: string): Cell {
  const { graph, config } = call
  const units = config.integer('units')
  const { projected, recurrent } = project(call, x, 4, (bias) => bias)
  return {
    states: 2,
    projected,
    step: (gateInput, [h, c]) => {
      const sum = graph.node(binary('Add'), [gateInput, graph.node(gemm, [h!, recurrent, null])])
      const [i, f, g, o] = split(call, sum, units, 4) as [string, string, string, string]
      const kept = graph.node(binary('Mul'), [gate(call, f), c!])
      const added = graph.node(binary('Mul'), [gate(call, i), activate(call, g, 'activation', 'tanh')])
      const cell = graph.node(binary('Add'), [kept, added])
      return [graph.node(binary('Mul'), [gate(call, o), activate(call, cell, 'activation', 'tanh')]), cell]
    },
  }
}

/** Cho et al. 2014; gates in the order update, reset, candidate. `reset_after` resets behind the product (as cuDNN). */
function gruCell(call: LayerCall, x: string): Cell {
  const { graph, config } = call
  const units = config.integer('units')
  // the default of Keras 1 and of tfjs; Keras 2 and 3 always write it
  const after = config.flag('reset_after', false)
  let recurrentBias: string | null = null
  const { projected, recurrent } = project(
    call,
    x,
    3,
    (bias) => {
      if (!after) return bias
      recurrentBias = graph.numbers('recurrent_bias', [3 * units], bias.slice(3 * units))
      return bias.slice(0, 3 * units)
    },
    after,
  )
  const [zr, candidate] = after ? [null, null] : splitColumns(call, recurrent, units)
  return {
    states: 1,
    projected,
    step: (gateInput, [h]) => {
      const [xz, xr, xh] = split(call, gateInput, units, 3) as [string, string, string]
      let z: string, r: string, hh: string
      if (after) {
        const inner = graph.node(gemm, [h!, recurrent, recurrentBias])
        const [hz, hr, hc] = split(call, inner, units, 3) as [string, string, string]
        z = gate(call, graph.node(binary('Add'), [xz, hz]))
        r = gate(call, graph.node(binary('Add'), [xr, hr]))
        hh = graph.node(binary('Add'), [xh, graph.node(binary('Mul'), [r, hc])])
      } else {
        const [hz, hr] = split(call, graph.node(gemm, [h!, zr!, null]), units, 2) as [string, string]
        z = gate(call, graph.node(binary('Add'), [xz, hz]))
        r = gate(call, graph.node(binary('Add'), [xr, hr]))
        const reset = graph.node(binary('Mul'), [r, h!])
        hh = graph.node(binary('Add'), [xh, graph.node(gemm, [reset, candidate!, null])])
      }
      const fresh = activate(call, hh, 'activation', 'tanh')
      // z·h + (1 − z)·fresh
      const kept = graph.node(binary('Mul'), [z, graph.node(binary('Sub'), [h!, fresh])])
      return [graph.node(binary('Add'), [kept, fresh])]
    },
  }
}

function simpleCell(call: LayerCall, x: string): Cell {
  const { graph } = call
  const { projected, recurrent } = project(call, x, 1, (bias) => bias)
  return {
    states: 1,
    projected,
    step: (input, [h]) => {
      const sum = graph.node(binary('Add'), [input, graph.node(gemm, [h!, recurrent, null])])
      return [activate(call, sum, 'activation', 'tanh')]
    },
  }
}

/** x of all steps times the kernel, once. */
function project(
  { graph, config, weights }: LayerCall,
  x: string,
  gates: number,
  useBias: (bias: number[]) => number[],
  twoBiases = false,
): { projected: string; recurrent: string } {
  const units = config.integer('units')
  const width = gates * units
  const kernel = graph.constant('kernel', weights.take('kernel', [graph.shape(x)[2]!, width]))
  const recurrent = graph.constant('recurrent_kernel', weights.take('recurrent_kernel', [units, width]))
  const product = graph.node({ kind: 'MatMul' }, [x, kernel])
  if (!config.flag('use_bias', true)) return { projected: product, recurrent }
  const bias = useBias(numbersOf(weights.take('bias', twoBiases ? [2, width] : [width])))
  return {
    projected: graph.node(binary('Add'), [product, graph.numbers('bias', [width], bias)]),
    recurrent,
  }
}

/** The columns of the update and reset gates, and those of the candidate. */
function splitColumns({ graph }: LayerCall, recurrent: string, units: number): string[] {
  return graph.nodes({ kind: 'Split', axis: 1, sizes: [2 * units, units] }, [recurrent], 2)
}

function split({ graph }: LayerCall, x: string, units: number, count: number): string[] {
  return graph.nodes({ kind: 'Split', axis: 1, sizes: new Array<number>(count).fill(units) }, [x], count)
}

function gate(call: LayerCall, x: string): string {
  return activate(call, x, 'recurrent_activation', 'sigmoid')
}

/** Two layers, one of which runs backwards; its sequence is turned round again. */
function readBidirectional(call: LayerCall): string[] {
  const { graph, config, inputs } = call
  const forward = config.raw('layer')
  const stated = config.raw('backward_layer')
  const backward = isRecord(stated) ? stated : reversed(forward, call.name)
  if (inputs.length > 1) throw refuse(call, 'has initial states', 'Leave them at zero.')
  const one = call.inner(renamed(forward, 'forward_'), 'forward_layer')
  const other = call.inner(isRecord(stated) ? stated : renamed(backward, 'backward_'), 'backward_layer')
  if (one.config.flag('return_state', false))
    throw refuse(call, 'returns its states', 'Return the sequence only.')
  const [a] = one.spell(inputs) as [string]
  let [b] = other.spell(inputs) as [string]
  if (one.config.flag('return_sequences', false)) {
    const steps = graph.shape(b!)[1]!
    b = graph.node({ kind: 'Slice', axes: [1], starts: [steps - 1], ends: [-steps - 1], steps: [-1] }, [b!])
  }
  const mode = config.raw('merge_mode') ?? null
  const rank = graph.shape(a).length
  switch (mode) {
    case 'concat':
      return [graph.node({ kind: 'Concat', axis: rank - 1 }, [a, b!])]
    case 'sum':
      return [graph.node(binary('Add'), [a, b!])]
    case 'mul':
      return [graph.node(binary('Mul'), [a, b!])]
    case 'ave':
      return [graph.node(binary('Mul'), [graph.node(binary('Add'), [a, b!]), graph.scalar(0.5)])]
    case null:
      return [a, b!]
    default:
      throw refuse(call, `merges by ${JSON.stringify(mode)}`, 'Use concat, sum, mul or ave.')
  }
}

/** The inner layer has a name of its own in files; Keras adds which of the two it is. */
function renamed(layer: unknown, prefix: string): unknown {
  if (!isRecord(layer) || !isRecord(layer.config)) return layer
  const name = String(layer.config.name ?? '')
  const plain = name.replace(/^(forward|backward)_/, '')
  return { ...layer, config: { ...layer.config, name: `${prefix}${plain}` } }
}

function reversed(layer: unknown, where: string): unknown {
  if (!isRecord(layer)) return layer
  const config = new LayerConfig(layer.config, where)
  return {
    ...layer,
    config: { ...(layer.config as object), go_backwards: !config.flag('go_backwards', false) },
  }
}

function refuse({ className, name }: LayerCall, what: string, hint: string): EdgewrightError {
  return new EdgewrightError('OPERATOR_UNSUPPORTED', `The recurrent layer ${what}, which is not supported.`, {
    where: `${className} ${name}`,
    hint,
  })
}
