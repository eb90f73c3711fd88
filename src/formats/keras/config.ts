import { EdgewrightError } from '../../error.ts'

/** The settings of a layer, of Keras 2, Keras 3 or tfjs, read with what is expected of each. */
export class LayerConfig {
  readonly #values: Readonly<Record<string, unknown>>
  readonly where: string

  constructor(values: unknown, where: string) {
    if (!isRecord(values)) throw brokenModel('The settings of a layer are not an object.', where, values)
    this.#values = values
    this.where = where
  }

  raw(name: string): unknown {
    return this.#values[name]
  }

  has(name: string): boolean {
    return this.#values[name] != null
  }

  number(name: string, fallback?: number): number {
    const value = this.#values[name] ?? fallback
    // Keras 3 wraps numbers that came as arrays
    const plain = isRecord(value) && 'config' in value && isRecord(value.config) ? value.config.value : value
    if (typeof plain !== 'number' || !Number.isFinite(plain)) throw this.#broken(name, 'a number', value)
    return plain
  }

  integer(name: string, fallback?: number): number {
    const value = this.number(name, fallback)
    if (!Number.isSafeInteger(value)) throw this.#broken(name, 'a whole number', value)
    return value
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.#values[name] ?? fallback
    if (typeof value !== 'boolean') throw this.#broken(name, 'true or false', value)
    return value
  }

  text(name: string, fallback?: string): string {
    const value = this.#values[name] ?? fallback
    if (typeof value !== 'string') throw this.#broken(name, 'a text', value)
    return value
  }

  integers(name: string): number[] {
    const value = this.#values[name]
    const list = typeof value === 'number' ? [value] : value
    if (!Array.isArray(list) || list.length > 16 || !list.every((entry) => Number.isSafeInteger(entry)))
      throw this.#broken(name, 'a list of whole numbers', value)
    return list as number[]
  }

  /** One whole number for each spatial axis; a single one stands for all. */
  perAxis(name: string, rank: number, fallback?: number): number[] {
    if (!this.has(name) && fallback !== undefined) return new Array<number>(rank).fill(fallback)
    const list = this.integers(name)
    const full = list.length === 1 ? new Array<number>(rank).fill(list[0]!) : list
    if (full.length !== rank) throw this.#broken(name, `${rank} numbers`, list)
    return full
  }

  /** Two whole numbers for each spatial axis, in Keras's three spellings. */
  pairs(name: string, rank: number): [number, number][] {
    const value = this.#values[name]
    if (Array.isArray(value) && value.length === rank && value.every((entry) => Array.isArray(entry)))
      return value.map((entry) => pairOf(entry) ?? fail(this.#broken(name, 'pairs of whole numbers', value)))
    const list = this.integers(name)
    if (rank === 1 && list.length === 2) return [[list[0]!, list[1]!]]
    return this.perAxis(name, rank).map((number) => [number, number])
  }

  #broken(name: string, expected: string, saw: unknown): EdgewrightError {
    return brokenModel(`The setting ${name} of a layer is not ${expected}.`, this.where, saw)
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function brokenModel(message: string, where: string, saw?: unknown): EdgewrightError {
  const text = saw === undefined ? undefined : (JSON.stringify(saw) ?? String(saw)).slice(0, 200)
  return new EdgewrightError('MODEL_BROKEN', message, { where, saw: text })
}

function pairOf(entry: unknown[]): [number, number] | null {
  return entry.length === 2 && entry.every((n) => Number.isSafeInteger(n))
    ? (entry as [number, number])
    : null
}

function fail(error: EdgewrightError): never {
  throw error
}
