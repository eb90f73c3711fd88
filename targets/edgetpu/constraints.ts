import type { Basis, Constraint } from '../target.ts'
import { generalLimits } from './general-limits.ts'
import { layerLimits } from './layer-limits.ts'
import { type Limit, ok, type Status, wrongType } from './limit.ts'
import { movementLimits } from './movement-limits.ts'
import { activationsOf, type Operator, operatorOfNode } from './operators.ts'
import type { Source } from './sources.ts'
import { knownAbsent } from './supported.ts'

/** What keeps an operator off the Edge TPU, in the order they are checked. */
export const limits: readonly Limit[] = [...generalLimits, ...layerLimits, ...movementLimits]

/** The same sentences as constraints on single nodes. */
export const constraints: readonly Constraint[] = limits.map((limit) => ({
  id: limit.id,
  sentence: limit.sentence,
  basis: limit.basis,
  ...(limit.remedy ? { remedy: limit.remedy } : {}),
  check(node, graph, options) {
    const operator = operatorOfNode(node, graph, { assumeInt8: options.scheme === 'full-int8' })
    return applies(limit, operator) ? limit.check(operator) : ok
  },
}))

export interface Broken {
  readonly limit: Limit
  readonly saw: string
  readonly status: Status
  readonly remedy: string | null
  readonly basis: Basis
  readonly source: Source
}

/** The first limit that an operator breaks; null where it can be mapped. */
export function brokenLimit(operator: Operator): Broken | null {
  for (const limit of limits) {
    if (!applies(limit, operator)) continue
    const result = limit.check(operator)
    if (!result.ok) return described(limit, result.saw, operator)
  }
  return null
}

function applies(limit: Limit, operator: Operator): boolean {
  return limit.operators === null || limit.operators.includes(operator.type)
}

function described(limit: Limit, seen: string, operator: Operator): Broken {
  const known =
    limit.id === 'supported-operator' ? knownAbsent.find(({ type }) => type === operator.type) : undefined
  return {
    limit,
    saw: seen,
    status: limit.id === 'supported-operator' && !isEightBit(operator) ? wrongType : limit.status,
    remedy: known?.remedy ?? limit.remedy ?? null,
    basis: known?.basis ?? limit.basis,
    source: known?.source ?? limit.source,
  }
}

/** The compiler looks at the types first. */
function isEightBit(operator: Operator): boolean {
  return activationsOf(operator).every(({ type }) => type.dtype === 'int8' || type.dtype === 'uint8')
}
