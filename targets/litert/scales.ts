import { EdgewrightError } from '../../src/error.ts'
import { numbersOf } from '../../src/graph/constant.ts'
import type { Node } from '../../src/graph/types.ts'
import { activationRange } from '../../src/quantize/activation-range.ts'
import {
  type Affine,
  affineOf,
  integerRange,
  quantizeNumber,
  symmetricAffineOf,
} from '../../src/quantize/affine.ts'
import { Histogram } from '../../src/quantize/histogram.ts'
import { neverClipped } from '../../src/quantize/never-clipped.ts'
import type { Ranges, TensorRange } from '../../src/quantize/ranges.ts'
import { ScaleClasses } from '../../src/quantize/scale-classes.ts'
import type { TargetOptions } from '../target.ts'
import { activationsOf, isInteger, type Plan, rangedValues } from './plan.ts'

interface Bounds {
  readonly min: number
  readonly max: number
}

/** What a class must be: parameters that an operator fixes, or bounds that only saturation enforces. */
type Binding =
  | { readonly kind: 'fixed'; readonly affine: Affine }
  | { readonly kind: 'clip'; readonly bounds: Bounds }

/**
 * Scale and zero point of every integer activation. Values that kernels want alike form classes (union-find), whose
 * range is that of all members together; where two members are bound to different parameters they stay apart and a
 * requantization stands between.
 */
export class ActivationScales {
  readonly #plan: Plan
  readonly #ranges: Ranges
  readonly #options: TargetOptions
  readonly #classes = new ScaleClasses()
  readonly #bindings = new Map<string, Binding>()
  readonly #sources = new Map<string, string[]>()
  readonly #padded = new Map<string, number[]>()
  readonly #affines = new Map<string, Affine>()
  readonly #unclipped: ReadonlySet<string>

  constructor(plan: Plan, ranges: Ranges, options: TargetOptions) {
    this.#plan = plan
    this.#ranges = ranges
    this.#options = options
    this.#unclipped = neverClipped(plan.graph)
    for (const node of plan.graph.nodes) this.#bind(node)
    for (const name of rangedValues(plan, options)) {
      const root = this.#classes.find(name)
      this.#sources.set(root, [...(this.#sources.get(root) ?? []), name])
    }
    this.#widenForXnnpack()
  }

  /** That of a value's class. */
  of(name: string): Affine {
    const root = this.#classes.find(name)
    const known = this.#affines.get(root)
    if (known) return known
    const affine = this.#ofClass(root)
    this.#affines.set(root, affine)
    return affine
  }

  /** True where the end of the stored range does what the clip would. */
  saturates(name: string, { min, max }: Bounds): boolean {
    const affine = this.of(name)
    const [low, high] = integerRange[this.#plan.activation]
    const lowest = min === Number.NEGATIVE_INFINITY ? low : quantizeNumber(min, affine, low, high)
    const highest = max === Number.POSITIVE_INFINITY ? high : quantizeNumber(max, affine, low, high)
    return lowest === low && highest === high
  }

  // -- classes -----------------------------------------------------------------------------------------------------

  #bind(node: Node): void {
    const { placements, graph, activation, fused } = this.#plan
    const planned = placements.get(node)!
    if (!isInteger(planned)) return
    const { signature } = planned
    const output = node.outputs[0]!
    if (signature.role === 'fixed') {
      this.#bindings.set(output, { kind: 'fixed', affine: signature.of[activation] })
      return
    }
    if (signature.role === 'saturate') {
      const byProducer = [...fused.values()].find((clip) => clip.output === output)
      if (!byProducer?.attribute && activation === 'int8')
        this.#bindings.set(output, { kind: 'clip', bounds: signature })
      return
    }
    if (signature.role !== 'same') return
    if (node.op.kind === 'Pad' && Number.isFinite(node.op.value) && node.op.value !== 0)
      this.#padded.set(output, [node.op.value])
    const inputs = activationsOf(graph, node)
    if (inputs.length === 1 && node.inputs.length === 1)
      for (const made of node.outputs) this.#unite(inputs[0]!, made)
    else this.#join(node, inputs, output)
  }

  /** A concatenation and its like: inputs that are bound otherwise, or much finer and read by others, stay apart. */
  #join(node: Node, inputs: readonly string[], output: string): void {
    const bindings = inputs.map((name) => this.#bindingOf(name))
    const alike = bindings.every((binding) => sameBinding(binding, bindings[0]))
    const constants = node.inputs.some((name) => name && this.#plan.graph.values.get(name)!.constant)
    if (alike && !constants) {
      for (const input of inputs) this.#unite(inputs[0]!, input)
      this.#unite(inputs[0]!, output)
      return
    }
    for (const [i, input] of inputs.entries())
      if (!bindings[i] && !this.#isFinerElsewhere(input, output)) this.#unite(output, input)
  }

  #isFinerElsewhere(input: string, output: string): boolean {
    if (this.#plan.index.consumers(input).length < 2) return false
    const own = this.#ranges.get(this.#classes.find(input)) ?? this.#ranges.get(input)
    const joined = this.#ranges.get(output)
    return own !== undefined && joined !== undefined && 2 * spanOf(own) < spanOf(joined)
  }

  #unite(representative: string, name: string): void {
    const binding = this.#bindingOf(representative) ?? this.#bindingOf(name)
    this.#classes.unite(representative, name)
    if (binding) this.#bindings.set(this.#classes.find(representative), binding)
  }

  #bindingOf(name: string): Binding | undefined {
    return this.#bindings.get(this.#classes.find(name))
  }

  // -- ranges ------------------------------------------------------------------------------------------------------

  #ofClass(root: string): Affine {
    const binding = this.#bindings.get(root)
    if (binding?.kind === 'fixed') return binding.affine
    const { constant } = this.#plan.graph.values.get(root)!
    if (constant) return this.#affine(boundsOf(numbersOf(constant)))
    const sources = this.#sources.get(root) ?? []
    if (sources.length === 0)
      throw new EdgewrightError('INTERNAL', 'Internal error: a value was not calibrated.', { where: root })
    const dtype = this.#plan.activation
    const symmetric = dtype === 'int16'
    const unclipped = sources.some((name) => this.#unclipped.has(name))
    const { activationRange: usual, valueRanges } = this.#options
    const own = sources.map((name) => valueRanges?.get(name)).find(Boolean)
    const method = unclipped ? ({ kind: 'min-max' } as const) : (own ?? usual)
    const chosen = activationRange(this.#merged(sources), method, { dtype, symmetric })
    const padding = [...this.#padded]
      .filter(([name]) => this.#classes.find(name) === root)
      .flatMap(([, values]) => values)
    // all zeros: still the end of the stored range must clip
    if (binding?.kind === 'clip' && binding.bounds.min === 0 && spanOf(chosen) === 0)
      return { scale: 1, zeroPoint: integerRange[dtype][0] }
    const bounds = binding?.kind === 'clip' ? clipped(chosen, binding.bounds) : chosen
    return this.#affine({ min: Math.min(bounds.min, ...padding), max: Math.max(bounds.max, ...padding) })
  }

  #affine({ min, max }: Bounds): Affine {
    const { activation } = this.#plan
    return activation === 'int16' ? symmetricAffineOf(min, max, activation) : affineOf(min, max, activation)
  }

  /** What all members have seen together. */
  #merged(sources: readonly string[]): TensorRange {
    const seen = sources.map((name) => this.#ranges.get(name)!)
    if (seen.length === 1) return seen[0]!
    const range = {
      min: Math.min(...seen.map(({ min }) => min)),
      max: Math.max(...seen.map(({ max }) => max)),
    }
    if (seen.some(({ histogram }) => !histogram)) return range
    const histogram = new Histogram(sources[0]!)
    for (const one of seen) histogram.merge(one.histogram!)
    return { ...range, histogram }
  }

  // -- conditions of XNNPACK ---------------------------------------------------------------------------------------

  /** Widens the finer scale where two are too far apart; what it loses there is below the other's rounding. */
  #widenForXnnpack(): void {
    const { graph, placements } = this.#plan
    if (this.#plan.activation !== 'int8') return
    for (let round = 0, changed = true; changed && round < 8; round++) {
      changed = false
      for (const node of graph.nodes) {
        if (placements.get(node)!.how !== 'integer') continue
        const output = this.#plan.fused.get(node.outputs[0]!)?.output ?? node.outputs[0]!
        const { op } = node
        const inputs = node.inputs.filter((name): name is string => name !== null)
        if (op.kind === 'Binary' && (op.fn === 'Add' || op.fn === 'Sub'))
          for (const input of inputs) changed = this.#keepRatio(input, output, 2 ** -10, 2 ** 8) || changed
        if (op.kind === 'Binary' && op.fn === 'Mul') {
          const product = this.of(inputs[0]!).scale * this.of(inputs[1]!).scale
          changed = this.#raise(output, product / 2 ** 8) || changed
          const least = (this.of(output).scale * 2 ** -16) / this.of(inputs[1]!).scale
          changed = this.#raise(inputs[0]!, least) || changed
        }
        if (op.kind === 'LeakyRelu') changed = this.#keepRatio(inputs[0]!, output, 2 ** -8, 2 ** 7) || changed
        if (planned(this.#plan, node) === 'weighted')
          changed = this.#raise(output, this.#coarsestProduct(node) / 2 ** 8) || changed
      }
    }
  }

  #keepRatio(input: string, output: string, least: number, below: number): boolean {
    const raisedOutput = this.#raise(output, this.of(input).scale / below)
    return this.#raise(input, this.of(output).scale * least) || raisedOutput
  }

  #coarsestProduct(node: Node): number {
    const weights = this.#plan.graph.values.get(node.inputs[1]!)!.constant
    if (!weights) return 0
    const { min, max } = boundsOf(numbersOf(weights))
    return (this.of(node.inputs[0]!).scale * Math.max(-min, max)) / 127
  }

  /** Raises a scale to above `least` unless it is bound; true where it changed. */
  #raise(name: string, least: number): boolean {
    const root = this.#classes.find(name)
    const { scale, zeroPoint } = this.of(name)
    if (scale > least || this.#bindings.get(root)?.kind === 'fixed') return false
    // a step above, so that rounding to float32 does not fall on the bound
    this.#affines.set(root, { scale: Math.fround(least * (1 + 2 ** -20)), zeroPoint })
    return true
  }
}

function planned({ placements }: Plan, node: Node): string {
  return placements.get(node)!.signature.role
}

function boundsOf(numbers: readonly number[]): Bounds {
  let min = 0
  let max = 0
  for (const x of numbers) {
    if (x < min) min = x
    if (x > max) max = x
  }
  return { min, max }
}

function clipped(range: Bounds, clip: Bounds): Bounds {
  return { min: Math.max(range.min, clip.min), max: Math.min(range.max, clip.max) }
}

function spanOf({ min, max }: Bounds): number {
  return Math.max(0, max) - Math.min(0, min)
}

function sameBinding(a: Binding | undefined, b: Binding | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
