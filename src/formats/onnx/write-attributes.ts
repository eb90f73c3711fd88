import type { Constant } from '../../graph/types.ts'
import type { DType } from '../../tensor.ts'
import { attributeTypes, type OnnxAttribute, type Partially } from './proto.ts'

export type Attribute = Partially<OnnxAttribute>

/** How a node of ours is said in ONNX: an operator, attributes, and constants that follow its operands as inputs. */
export interface Spelling {
  readonly opType: string
  readonly attributes?: readonly (Attribute | null)[]
  /** Inputs after the operands; null leaves one out. */
  readonly parameters?: readonly (Constant | null)[]
  /** The first operator set that can say it; 13 where left out. */
  readonly since?: number
}

/** What a spelling may depend on besides the operator. */
export interface SpellingContext {
  readonly opset: number
  /** Element types and shapes of operands and outputs, quantized ones as float32. */
  readonly operands: readonly ({ dtype: DType; shape: readonly number[] } | null)[]
  readonly outputs: readonly { dtype: DType; shape: readonly number[] }[]
}

export function int(name: string, i: number): Attribute {
  return { name, i, type: attributeTypes.int }
}

export function ints(name: string, list: readonly number[]): Attribute {
  return { name, ints: list, type: attributeTypes.ints }
}

export function float(name: string, f: number): Attribute {
  return { name, f, type: attributeTypes.float }
}

export function text(name: string, s: string): Attribute {
  return { name, s: Buffer.from(s), type: attributeTypes.string }
}

/** An attribute that is left out where it has its default, which keeps small files small. */
export function unless<T>(fallback: T, value: T, attribute: Attribute): Attribute | null {
  const same = Array.isArray(value)
    ? (value as unknown[]).every((entry) => entry === fallback)
    : value === fallback
  return same ? null : attribute
}
