import type { Graph } from '../../src/graph/types.ts'
import type { Basis } from '../target.ts'
import { type Broken, brokenLimit } from './constraints.ts'
import { type Cost, costOf, sumOf } from './cost.ts'
import type { Status } from './limit.ts'
import { isQuantized, type Operand, type Operator, operatorsOf, type ViewOptions } from './operators.ts'
import { partitionsOf } from './partition.ts'
import type { Source } from './sources.ts'

/** Where the compiler will put one operator, and why. */
export interface Predicted {
  readonly operator: Operator
  readonly mapped: boolean
  /** As the compiler's own table says it. */
  readonly status: Status
  /** Empty where it is mapped. */
  readonly reason: string
  readonly remedy: string | null
  readonly basis: Basis
  readonly source: Source
  readonly cost: Cost
}

/** An operator that cannot be mapped, and what stays on the CPU because of it. */
export interface CutPoint {
  readonly operator: Operator
  readonly reason: string
  readonly remedy: string | null
  /** Operators behind it that could be mapped and are not. */
  readonly lost: readonly Operator[]
  readonly lostCost: Cost
  /** Tensors of the Edge TPU that it, or what is lost behind it, reads. */
  readonly tensors: readonly Operand[]
}

export interface Prediction {
  readonly operators: readonly Predicted[]
  readonly mappedCount: number
  readonly cpuCount: number
  /** With the compiler's own settings: 1, or 0 where nothing is mapped. */
  readonly subgraphs: number
  /** Parts that `-a` would make; each but the first costs two more transfers. */
  readonly possibleSubgraphs: number
  /** What the one custom operator of the compiled file reads. */
  readonly deviceInputs: readonly Operand[]
  /** What it makes: outputs of the network, and what the CPU reads. */
  readonly deviceOutputs: readonly Operand[]
  /** In the order of the file. */
  readonly cutPoints: readonly CutPoint[]
  readonly mappedCost: Cost
  readonly cpuCost: Cost
}

/** Predicts what `edgetpu_compiler` maps, operator by operator, without the compiler and without a board. */
export function predict(graph: Graph, options: ViewOptions): Prediction {
  const operators = operatorsOf(graph, options)
  const quantized = isQuantized(graph)
  const broken = new Map<Operator, Broken>()
  for (const operator of operators) {
    const found = brokenLimit(operator)
    if (found) broken.set(operator, quantized ? { ...found, remedy: remedyOfQuantized(found.remedy) } : found)
  }
  const mappable = new Set(operators.filter((operator) => !broken.has(operator)))
  const partitions = partitionsOf(operators, mappable)
  const parts = partitions.filter(({ side }) => side === 'accelerator')
  const mapped = new Set(parts[0]?.operators ?? [])
  // what the CPU does before the Edge TPU begins cuts nothing off
  const before = new Set(partitions[0]?.side === 'cpu' ? partitions[0].operators : [])
  const cutting = new Map([...broken].filter(([operator]) => !before.has(operator)))
  const blockers = blockersOf(operators, cutting)
  const rows = operators.map((operator) =>
    rowOf(operator, mapped.has(operator), broken.get(operator) ?? null, blockers.get(operator) ?? null),
  )
  return {
    operators: rows,
    mappedCount: mapped.size,
    cpuCount: operators.length - mapped.size,
    subgraphs: mapped.size > 0 ? 1 : 0,
    possibleSubgraphs: parts.length,
    ...boundaryOf(operators, mapped, graph),
    cutPoints: cutPointsOf(operators, mapped, cutting, blockers),
    mappedCost: sumOf(rows.filter((row) => row.mapped).map((row) => row.cost)),
    cpuCost: sumOf(rows.filter((row) => !row.mapped).map((row) => row.cost)),
  }
}

/** Rewrites need ranges: what is quantized already is left as it is. */
function remedyOfQuantized(remedy: string | null): string | null {
  return remedy?.startsWith('The rewrite') ? `Start from the float network. ${remedy}` : remedy
}

/** For each operator, the first one above it (in the order of the file) that cannot be mapped. */
function blockersOf(
  operators: readonly Operator[],
  broken: ReadonlyMap<Operator, Broken>,
): Map<Operator, Operator> {
  const producers = new Map<string, Operator>()
  for (const operator of operators) for (const { name } of operator.outputs) producers.set(name, operator)
  const blockers = new Map<Operator, Operator>()
  for (const operator of operators)
    for (const { name } of operator.inputs) {
      const before = producers.get(name)
      if (!before) continue
      const blocker = blockers.get(before) ?? (broken.has(before) ? before : undefined)
      const known = blockers.get(operator)
      if (blocker && (!known || blocker.index < known.index)) blockers.set(operator, blocker)
    }
  return blockers
}

function rowOf(
  operator: Operator,
  mapped: boolean,
  broken: Broken | null,
  blocker: Operator | null,
): Predicted {
  const cost = costOf(operator)
  if (broken)
    return {
      operator,
      mapped: false,
      status: broken.status,
      reason: `${broken.limit.sentence} Saw: ${broken.saw}.`,
      remedy: broken.remedy,
      basis: broken.basis,
      source: broken.source,
      cost,
    }
  if (mapped)
    return {
      operator,
      mapped,
      status: 'Mapped to Edge TPU',
      reason: '',
      remedy: null,
      basis: 'documented',
      source: 'coral.ai',
      cost,
    }
  const cut = blocker
    ? `${blocker.type} (operator ${blocker.index}) stays on the CPU`
    : 'another part comes first'
  return {
    operator,
    mapped,
    status: 'More than one subgraph is not supported',
    reason: `The compiler makes one Edge TPU part; this operator needs what comes after the cut: ${cut}.`,
    remedy: blocker ? `Mend ${blocker.type} (operator ${blocker.index}), and this one is mapped.` : null,
    basis: 'observed',
    source: 'google-coral/edgetpu#342',
    cost,
  }
}

function boundaryOf(operators: readonly Operator[], mapped: ReadonlySet<Operator>, graph: Graph) {
  const inside = new Set<string>()
  const read = new Map<string, Operand>()
  const outside = new Set(graph.outputs)
  for (const operator of operators) {
    if (mapped.has(operator)) {
      for (const { name } of operator.outputs) inside.add(name)
      for (const operand of operator.inputs) if (!operand.constant) read.set(operand.name, operand)
    } else for (const { name } of operator.inputs) outside.add(name)
  }
  const made = operators.filter((operator) => mapped.has(operator)).flatMap(({ outputs }) => outputs)
  return {
    deviceInputs: [...read.values()].filter(({ name }) => !inside.has(name)),
    deviceOutputs: made.filter(({ name }) => outside.has(name)),
  }
}

function cutPointsOf(
  operators: readonly Operator[],
  mapped: ReadonlySet<Operator>,
  broken: ReadonlyMap<Operator, Broken>,
  blockers: ReadonlyMap<Operator, Operator>,
): CutPoint[] {
  const onDevice = new Map<string, Operand>()
  for (const operator of operators)
    if (mapped.has(operator)) for (const operand of operator.outputs) onDevice.set(operand.name, operand)
  const behind = new Map<Operator, Operator[]>()
  for (const operator of operators) {
    const blocker = blockers.get(operator)
    if (!blocker) continue
    const list = behind.get(blocker)
    if (list) list.push(operator)
    else behind.set(blocker, [operator])
  }
  return [...broken]
    .filter(([operator]) => !blockers.has(operator))
    .map(([operator, { limit, saw, remedy }]) => {
      const followers = behind.get(operator) ?? []
      const lost = followers.filter((follower) => !broken.has(follower) && !mapped.has(follower))
      const names = new Set(
        [operator, ...followers]
          .filter((one) => !mapped.has(one))
          .flatMap(({ inputs }) => inputs.map(({ name }) => name)),
      )
      return {
        operator,
        reason: `${limit.sentence} Saw: ${saw}.`,
        remedy,
        lost,
        lostCost: sumOf(lost.map(costOf)),
        tensors: [...names].flatMap((name) => onDevice.get(name) ?? []),
      }
    })
}

/** The compiler's three-column table, as it would print it. */
export function statusTable(prediction: Prediction): string {
  const counts = new Map<string, { type: string; status: Status; count: number }>()
  for (const { operator, status } of prediction.operators) {
    const type = operator.custom ? 'CUSTOM' : operator.type
    const key = `${type}\n${status}`
    const row = counts.get(key)
    if (row) row.count++
    else counts.set(key, { type, status, count: 1 })
  }
  const lines = [...counts.values()].map(
    ({ type, status, count }) => `${type.padEnd(31)}${String(count).padEnd(11)}${status}`,
  )
  return ['Operator                       Count      Status', '', ...lines].join('\n')
}
