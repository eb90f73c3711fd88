/** What is wrong with a flatbuffer, and by which fields one gets there. */
export class FlatError extends Error {
  readonly path: string[] = []

  /** The same error, one field further out. */
  within(field: string): this {
    this.path.unshift(field)
    return this
  }
}

/** Aliased tables could make a small file decode into gigabytes: no honest model comes near these. */
const mostTables = 1_000_000
const mostElements = 16_000_000

/**
 * Checked access to the bytes of a flatbuffer (FlatBuffers binary format): every offset, vector and string is inside
 * the file before it is used, and the work is bounded whatever the file says. All positions are absolute.
 */
export class FlatFile {
  readonly bytes: Uint8Array
  readonly #view: DataView
  #tables = 0
  #elements = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  uint8(at: number): number {
    return this.#view.getUint8(this.#inside(at, 1))
  }

  int8(at: number): number {
    return this.#view.getInt8(this.#inside(at, 1))
  }

  uint16(at: number): number {
    return this.#view.getUint16(this.#inside(at, 2), true)
  }

  int32(at: number): number {
    return this.#view.getInt32(this.#inside(at, 4), true)
  }

  uint32(at: number): number {
    return this.#view.getUint32(this.#inside(at, 4), true)
  }

  float32(at: number): number {
    return this.#view.getFloat32(this.#inside(at, 4), true)
  }

  int64(at: number): number {
    return exact(this.#view.getBigInt64(this.#inside(at, 8), true))
  }

  uint64(at: number): number {
    return exact(this.#view.getBigUint64(this.#inside(at, 8), true))
  }

  /** Where the offset stored at `at` points to. */
  target(at: number): number {
    const offset = this.uint32(at)
    if (offset === 0) throw new FlatError('an offset is 0')
    return this.#inside(at + offset, 4)
  }

  /** A checked table: gives the position of a field by its slot, 0 where the table lacks it. */
  table(at: number): (slot: number, bytes: number) => number {
    if (++this.#tables > mostTables) throw new FlatError(`more than ${mostTables} tables`)
    const vtable = at - this.int32(at)
    const vtableBytes = this.uint16(vtable)
    const tableBytes = this.uint16(vtable + 2)
    if (vtableBytes < 4 || vtableBytes % 2 !== 0)
      throw new FlatError(`a table of fields of ${vtableBytes} bytes`)
    this.#inside(vtable, vtableBytes)
    this.#inside(at, tableBytes)
    return (slot, bytes) => {
      const entry = 4 + 2 * slot
      const offset = entry < vtableBytes ? this.uint16(vtable + entry) : 0
      if (offset === 0) return 0
      if (offset < 4 || offset + bytes > tableBytes) throw new FlatError('a field outside its table')
      return at + offset
    }
  }

  /** A checked vector: where its first element is and how many it has. */
  vector(at: number, width: number): { start: number; count: number } {
    const count = this.uint32(at)
    this.#inside(at + 4, count * width)
    return { start: at + 4, count }
  }

  /** As `vector`, for elements that become JavaScript values one by one. */
  countedVector(at: number, width: number): { start: number; count: number } {
    const vector = this.vector(at, width)
    this.#elements += vector.count
    if (this.#elements > mostElements) throw new FlatError(`more than ${mostElements} vector elements`)
    return vector
  }

  #inside(at: number, bytes: number): number {
    if (at < 0 || at + bytes > this.bytes.byteLength)
      throw new FlatError(`${bytes} bytes at ${at} are outside the file of ${this.bytes.byteLength} bytes`)
    return at
  }
}

function exact(value: bigint): number {
  const number = Number(value)
  if (!Number.isSafeInteger(number)) throw new FlatError(`the number ${value} is too large`)
  return number
}
