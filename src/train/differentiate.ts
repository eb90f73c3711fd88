import { EdgewrightError } from '../error.ts'
import type { Node } from '../graph/types.ts'
import type { GraphBuilder } from './builder.ts'
import type { Backward, GradientRule, NoGradient } from './gradient.ts'
import { gradientTable } from './gradients/index.ts'

/**
 * Reverse-mode differentiation: adds to the program the gradient of a scalar by each wanted value.
 *
 * @param loss a float32 scalar of the program
 * @param wanted float32 values that the loss depends on or not: those that it does not depend on are left out
 * @returns by wanted value, the name of its gradient, of the same shape
 * @throws OPERATOR_UNSUPPORTED naming the operator where the way to a wanted value leads through one without gradient
 */
export function gradientsOf(
  b: GraphBuilder,
  loss: string,
  wanted: readonly string[],
): ReadonlyMap<string, string> {
  const steps = stepsTo(b, loss)
  const reaching = dependents(steps, new Set(wanted))
  const sums = new GradientSums(b)
  sums.add(loss, b.scalar(1))
  for (const step of steps.reverse()) {
    if (!step.outputs.some((output) => reaching.has(output))) continue
    const gradients = step.outputs.map((output) => sums.of(output))
    if (gradients.every((gradient) => gradient === null)) continue
    const wants = (input: number) => {
      const name = step.inputs[input]
      return name !== null && name !== undefined && reaching.has(name) && b.isFloat(name)
    }
    if (!step.inputs.some((_, input) => wants(input))) continue
    const { inputs, outputs } = step
    const made = b.within(`grad/${step.name}`, () =>
      step.rule({ b, inputs, outputs, gradients, wants } satisfies Backward),
    )
    made.forEach((gradient, input) => {
      if (gradient !== null && wants(input)) sums.add(inputs[input]!, gradient)
    })
  }
  return new Map(
    wanted.flatMap((name) => {
      const gradient = sums.of(name)
      return gradient === null ? [] : [[name, gradient] as const]
    }),
  )
}

/** An operator, or a sub-graph that counts as one. */
interface Step {
  readonly name: string
  readonly inputs: readonly (string | null)[]
  readonly outputs: readonly string[]
  readonly rule: (backward: Backward) => readonly (string | null)[]
}

/** What the loss is computed by, operands first. */
function stepsTo(b: GraphBuilder, loss: string): Step[] {
  const steps: Step[] = []
  const known = new Map<string, Step>()
  const done = new Set<Step>()
  const stack: { step: Step; next: number }[] = []
  const enter = (name: string) => {
    const step = known.get(name) ?? stepOf(b, name)
    if (!step || done.has(step)) return
    for (const output of step.outputs) known.set(output, step)
    done.add(step)
    stack.push({ step, next: 0 })
  }
  enter(loss)
  // not recursive: a deep network would end the stack
  while (stack.length > 0) {
    const top = stack.at(-1)!
    const input = top.step.inputs[top.next++]
    if (input === undefined) {
      steps.push(top.step)
      stack.pop()
    } else if (input !== null) enter(input)
  }
  return steps
}

function stepOf(b: GraphBuilder, name: string): Step | null {
  const custom = b.customGradientOf(name)
  if (custom)
    return { name, inputs: custom.inputs, outputs: [name], rule: (backward) => custom.rule(backward) }
  const node = b.editor.producer(name)
  return node && { name: node.name, inputs: node.inputs, outputs: node.outputs, rule: ruleOf(node) }
}

function ruleOf(node: Node): Step['rule'] {
  // the table is keyed by kind, which the compiler cannot follow through a union
  const entry = gradientTable[node.op.kind] as GradientRule | NoGradient
  if (typeof entry === 'function') return (backward) => entry(node.op, backward)
  return () => {
    throw new EdgewrightError('OPERATOR_UNSUPPORTED', 'Training cannot go back through an operator.', {
      where: node.source?.name || node.name,
      saw: `${node.op.kind === 'Opaque' ? node.op.opType : node.op.kind}: ${entry.none}`,
      hint: 'Train only what stands behind it, or take it out of the network for training.',
    })
  }
}

/** Values on a way from a wanted one. */
function dependents(steps: readonly Step[], wanted: ReadonlySet<string>): ReadonlySet<string> {
  const reached = new Set(wanted)
  for (const { inputs, outputs } of steps)
    if (inputs.some((input) => input !== null && reached.has(input)))
      for (const output of outputs) reached.add(output)
  return reached
}

/** Gradients that come to a value over several ways are added. */
class GradientSums {
  readonly #b: GraphBuilder
  readonly #parts = new Map<string, string[]>()

  constructor(b: GraphBuilder) {
    this.#b = b
  }

  add(name: string, gradient: string): void {
    const parts = this.#parts.get(name)
    if (parts) parts.push(gradient)
    else this.#parts.set(name, [gradient])
  }

  of(name: string): string | null {
    const parts = this.#parts.get(name)
    if (!parts) return null
    const sum = parts.reduce((a, b) => this.#b.add(a, b))
    this.#parts.set(name, [sum])
    return sum
  }
}
