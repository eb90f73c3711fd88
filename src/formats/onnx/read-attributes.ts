import { EdgewrightError } from '../../error.ts'
import { attributeTypes, type Int64, type OnnxAttribute, type OnnxNode, type OnnxTensor } from './proto.ts'

/** The attributes of one ONNX operator by name, with the type that the operator wants. */
export class Attributes {
  readonly #byName: Map<string, OnnxAttribute>
  readonly #where: string

  constructor(node: OnnxNode, where: string) {
    this.#byName = new Map(node.attribute.map((attribute) => [attribute.name, attribute]))
    this.#where = where
  }

  has(name: string): boolean {
    return this.#byName.has(name)
  }

  int(name: string, absent: number): number {
    const attribute = this.#of(name, attributeTypes.int)
    return attribute ? this.#safe(name, attribute.i) : absent
  }

  flag(name: string, absent = false): boolean {
    return this.int(name, absent ? 1 : 0) !== 0
  }

  float(name: string, absent: number): number {
    return this.#of(name, attributeTypes.float)?.f ?? absent
  }

  string(name: string, absent: string): string {
    const attribute = this.#of(name, attributeTypes.string)
    return attribute ? Buffer.from(attribute.s).toString('utf8') : absent
  }

  ints(name: string): number[] | null {
    return this.#of(name, attributeTypes.ints)?.ints.map((value) => this.#safe(name, value)) ?? null
  }

  floats(name: string): number[] | null {
    return this.#of(name, attributeTypes.floats)?.floats ?? null
  }

  tensor(name: string): OnnxTensor | null {
    return this.#of(name, attributeTypes.tensor)?.t ?? null
  }

  #of(name: string, type: number): OnnxAttribute | null {
    const attribute = this.#byName.get(name)
    if (!attribute) return null
    // files of IR version 1 leave the type out
    if (attribute.type !== type && attribute.type !== 0)
      throw new EdgewrightError('MODEL_BROKEN', `Attribute ${JSON.stringify(name)} has the wrong type.`, {
        where: this.#where,
        saw: `attribute type ${attribute.type}, expected ${type}`,
      })
    return attribute
  }

  // beyond ±2^53 only the "to the end" markers of slices occur, which clamping keeps
  #safe(_name: string, value: Int64): number {
    return clampInt64(value)
  }
}

/** Numbers beyond what is exact become ±2^53 − 1: they only stand for "as far as it goes". */
export function clampInt64(value: Int64): number {
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(value)))
}
