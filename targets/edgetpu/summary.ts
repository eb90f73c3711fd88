import type { Graph } from '../../src/graph/types.ts'
import type { Placement, TargetOptions, TargetSummary } from '../target.ts'
import { bytesOf } from './cost.ts'
import { inspect, predictTailored } from './inspect.ts'
import { estimateMemory } from './memory.ts'
import { litertOptions, tailorWithNotes } from './prepare.ts'
import { type CutPoint, type Prediction, statusTable } from './predict.ts'
import type { Operand } from './operators.ts'
import { minRuntimeOf } from './supported.ts'

/** What the Edge TPU makes of a network: the cut, its cost, memory, transfers and the rewrites that were made. */
export function summary(graph: Graph, options: TargetOptions): TargetSummary {
  const tailored = tailorWithNotes(graph, options)
  const { prediction } = predictTailored(tailored.graph, options)
  const rows = inspect(graph, options)
  const memory = estimateMemory(prediction)
  const rewrites = countedRewrites(tailored.notes)
  const minRuntime = minRuntimeOf(
    prediction.operators.filter(({ mapped }) => mapped).map(({ operator }) => operator.type),
  )
  const boundary = litertOptions(options).io === 'float' ? graph.inputs.length + graph.outputs.length : 0
  return {
    lines: [
      headline(prediction, rows),
      ...prediction.cutPoints.map(cutLine),
      ...(boundary > 0
        ? [`Float inputs and outputs add ${boundary} conversions on the CPU; --io int8 has none.`]
        : []),
      memory.sentence,
      `Each inference sends ${kilobytes(sizeOf(prediction.deviceInputs))} to the Edge TPU and brings ${kilobytes(sizeOf(prediction.deviceOutputs))} back.`,
      ...rewrites.map(({ pass, count, reason }) => `Rewritten ${count}×: ${pass}. ${reason}`),
      'A prediction from stated limits, without the compiler and without a Coral: edgetpu_compiler has the last word.',
    ],
    facts: {
      mapped: prediction.mappedCount,
      cpu: prediction.cpuCount,
      subgraphs: prediction.subgraphs,
      possibleSubgraphs: prediction.possibleSubgraphs,
      minRuntime,
      mappedCost: prediction.mappedCost,
      cpuCost: prediction.cpuCost,
      cutPoints: prediction.cutPoints.map(cutFacts),
      transfers: {
        inputs: prediction.deviceInputs.map((operand) => ({ name: operand.name, bytes: bytesOf(operand) })),
        outputs: prediction.deviceOutputs.map((operand) => ({ name: operand.name, bytes: bytesOf(operand) })),
        boundaryConversions: boundary,
      },
      memory,
      rewrites,
      statusTable: statusTable(prediction),
    },
  }
}

function headline({ mappedCost, cpuCost }: Prediction, rows: readonly Placement[]): string {
  const left = rows.filter(({ placement }) => placement !== 'accelerator').length
  if (left === 0) return `All ${rows.length} operators are mapped to the Edge TPU.`
  const macs = mappedCost.macs + cpuCost.macs
  const share = macs > 0 ? `, ${((100 * cpuCost.macs) / macs).toFixed(1)} % of the multiplications` : ''
  return `${rows.length - left} of ${rows.length} operators are mapped to the Edge TPU; ${left} stay on the CPU${share}.`
}

function cutLine({ operator, reason, remedy, lost, lostCost, tensors }: CutPoint): string {
  const at = `Cut at operator ${operator.index}, ${operator.type}: ${reason}`
  const cost =
    lost.length > 0
      ? ` Behind it ${lost.length} operators that could be mapped stay on the CPU (${lostCost.macs} multiplications, ${kilobytes(lostCost.weightBytes)} of weights).`
      : ''
  const crossing =
    tensors.length > 0 ? ` ${tensors.length} tensors cross there (${kilobytes(sizeOf(tensors))}).` : ''
  return `${at}${cost}${crossing}${remedy ? ` Remedy: ${remedy}` : ''}`
}

function cutFacts({ operator, reason, remedy, lost, lostCost, tensors }: CutPoint) {
  return {
    index: operator.index,
    operator: operator.type,
    reason,
    remedy,
    lostOperators: lost.length,
    lostMacs: lostCost.macs,
    lostWeightBytes: lostCost.weightBytes,
    tensors: tensors.map((operand) => ({ name: operand.name, bytes: bytesOf(operand) })),
  }
}

function countedRewrites(notes: ReturnType<typeof tailorWithNotes>['notes']) {
  const counts = new Map<string, { pass: string; reason: string; count: number }>()
  for (const { pass, reason } of notes) {
    const key = `${pass} ${reason}`
    const known = counts.get(key)
    if (known) known.count++
    else counts.set(key, { pass, reason, count: 1 })
  }
  return [...counts.values()]
}

function sizeOf(operands: readonly Operand[]): number {
  return operands.reduce((sum, operand) => sum + bytesOf(operand), 0)
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`
}
