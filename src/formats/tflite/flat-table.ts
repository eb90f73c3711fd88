import type { Builder, Offset } from 'flatbuffers'
import { FlatError, type FlatFile } from './flat-file.ts'

/** How one field of a table is stored: its slot, what it is where the table lacks it, and both directions. */
export interface Field<T> {
  readonly slot: number
  readonly absent: T
  /** Bytes that the field takes inside its table. */
  readonly width: number
  read(file: FlatFile, at: number): T
  /** Writes what lies outside the table and gives its offset; null for a field that is all inside. */
  place: ((builder: Builder, value: T) => Offset) | null
  /** Adds the field to the table under construction. */
  add(builder: Builder, value: T, placed: Offset): void
}

// biome-ignore lint/suspicious/noExplicitAny: a table's fields are of any type
export type TableSpec = { readonly [name: string]: Field<any> }

/** A table as a plain object. */
export type Table<S extends TableSpec> = { readonly [K in keyof S]: S[K] extends Field<infer T> ? T : never }

export function readTable<S extends TableSpec>(spec: S, file: FlatFile, at: number): Table<S> {
  const position = file.table(at)
  const table: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(spec)) {
    try {
      const where = position(field.slot, field.width)
      table[name] = where === 0 ? field.absent : field.read(file, where)
    } catch (error) {
      throw error instanceof FlatError ? error.within(name) : error
    }
  }
  return table as Table<S>
}

/** Writes a table; fields that are left out are absent. */
export function writeTable<S extends TableSpec>(spec: S, builder: Builder, table: Partial<Table<S>>): Offset {
  const present = Object.entries(spec).flatMap(([name, field]) => {
    const value = table[name] as unknown
    if (value === undefined || value === field.absent) return []
    return [{ field, value, placed: field.place?.(builder, value) ?? 0 }]
  })
  const slots = Math.max(-1, ...Object.values(spec).map(({ slot }) => slot)) + 1
  builder.startObject(slots)
  // wide fields first, so that no padding comes between them
  for (const { field, value, placed } of present.toSorted((a, b) => b.field.width - a.field.width))
    field.add(builder, value, placed)
  return builder.endObject()
}

// -- fields that are all inside the table ------------------------------------------------------------------------

export function bool(slot: number, absent = false): Field<boolean> {
  return {
    slot,
    absent,
    width: 1,
    read: (file, at) => file.uint8(at) !== 0,
    place: null,
    add: (builder, value) => builder.addFieldInt8(slot, value ? 1 : 0, absent ? 1 : 0),
  }
}

export function int8(slot: number, absent = 0): Field<number> {
  return {
    slot,
    absent,
    width: 1,
    read: (file, at) => file.int8(at),
    place: null,
    add: (builder, value) => builder.addFieldInt8(slot, value, absent),
  }
}

export function int32(slot: number, absent = 0): Field<number> {
  return {
    slot,
    absent,
    width: 4,
    read: (file, at) => file.int32(at),
    place: null,
    add: (builder, value) => builder.addFieldInt32(slot, value, absent),
  }
}

export function uint32(slot: number): Field<number> {
  return { ...int32(slot), read: (file, at) => file.uint32(at) }
}

export function float32(slot: number): Field<number> {
  return {
    slot,
    absent: 0,
    width: 4,
    read: (file, at) => file.float32(at),
    place: null,
    add: (builder, value) => builder.addFieldFloat32(slot, value, 0),
  }
}

export function uint64(slot: number): Field<number> {
  return {
    slot,
    absent: 0,
    width: 8,
    read: (file, at) => file.uint64(at),
    place: null,
    add: (builder, value) => builder.addFieldInt64(slot, BigInt(value), 0n),
  }
}

export function int64(slot: number): Field<number> {
  return { ...uint64(slot), read: (file, at) => file.int64(at) }
}

// -- fields that point elsewhere -----------------------------------------------------------------------------------

function pointer<T>(
  slot: number,
  read: (file: FlatFile, target: number) => T,
  place: (builder: Builder, value: T) => Offset,
): Field<T | null> {
  return {
    slot,
    absent: null,
    width: 4,
    read: (file, at) => read(file, file.target(at)),
    place: (builder, value) => place(builder, value as T),
    add: (builder, _, placed) => builder.addFieldOffset(slot, placed, 0),
  }
}

const utf8 = new TextDecoder()

export function string(slot: number): Field<string | null> {
  return pointer<string>(
    slot,
    (file, target) => {
      const { start, count } = file.countedVector(target, 1)
      return utf8.decode(file.bytes.subarray(start, start + count))
    },
    (builder, value) => builder.createString(value),
  )
}

/** Raw bytes: a view of the file, not a copy. */
export function bytes(slot: number, alignment = 4): Field<Uint8Array | null> {
  return pointer<Uint8Array>(
    slot,
    (file, target) => {
      const { start, count } = file.vector(target, 1)
      return file.bytes.subarray(start, start + count)
    },
    (builder, value) => {
      builder.prep(alignment, value.byteLength)
      return builder.createByteVector(value)
    },
  )
}

export function table<S extends TableSpec>(slot: number, spec: S): Field<Table<S> | null> {
  return pointer<Table<S>>(
    slot,
    (file, target) => readTable(spec, file, target),
    (builder, value) => writeTable(spec, builder, value),
  )
}

export function tables<S extends TableSpec>(slot: number, spec: S): Field<readonly Table<S>[] | null> {
  return pointer<readonly Table<S>[]>(
    slot,
    (file, target) => {
      const { start, count } = file.countedVector(target, 4)
      return Array.from({ length: count }, (_, i) => {
        try {
          return readTable(spec, file, file.target(start + 4 * i))
        } catch (error) {
          throw error instanceof FlatError ? error.within(`[${i}]`) : error
        }
      })
    },
    (builder, values) => {
      const placed = values.map((value) => writeTable(spec, builder, value))
      builder.startVector(4, placed.length, 4)
      for (const offset of placed.toReversed()) builder.addOffset(offset)
      return builder.endVector()
    },
  )
}

function numbers(
  slot: number,
  width: number,
  read: (file: FlatFile, at: number) => number,
  add: (builder: Builder, value: number) => void,
): Field<readonly number[] | null> {
  return pointer<readonly number[]>(
    slot,
    (file, target) => {
      const { start, count } = file.countedVector(target, width)
      return Array.from({ length: count }, (_, i) => read(file, start + width * i))
    },
    (builder, values) => {
      builder.startVector(width, values.length, width)
      for (const value of values.toReversed()) add(builder, value)
      return builder.endVector()
    },
  )
}

export function int32s(slot: number): Field<readonly number[] | null> {
  return numbers(
    slot,
    4,
    (file, at) => file.int32(at),
    (builder, value) => builder.addInt32(value),
  )
}

export function int64s(slot: number): Field<readonly number[] | null> {
  return numbers(
    slot,
    8,
    (file, at) => file.int64(at),
    (builder, value) => builder.addInt64(BigInt(value)),
  )
}

export function float32s(slot: number): Field<readonly number[] | null> {
  return numbers(
    slot,
    4,
    (file, at) => file.float32(at),
    (builder, value) => builder.addFloat32(value),
  )
}

export function bools(slot: number): Field<readonly number[] | null> {
  return numbers(
    slot,
    1,
    (file, at) => file.uint8(at),
    (builder, value) => builder.addInt8(value),
  )
}

/** Only whether the table has the field. */
export function presence(slot: number): Field<boolean> {
  return {
    slot,
    absent: false,
    width: 1,
    read: () => true,
    place: null,
    add: () => {
      throw new TypeError('a field that is only looked for cannot be written')
    },
  }
}

/** A table of a union: its layout is known only to who knows the union's type. */
export interface UnionTable {
  as<S extends TableSpec>(spec: S): Table<S>
  /** Null where it was read and its layout not said. */
  readonly place: ((builder: Builder) => Offset) | null
}

export function unionTable<S extends TableSpec>(spec: S, value: Partial<Table<S>>): UnionTable {
  return {
    as: () => {
      throw new TypeError('a table to be written is not read')
    },
    place: (builder) => writeTable(spec, builder, value),
  }
}

export function union(slot: number): Field<UnionTable | null> {
  return pointer<UnionTable>(
    slot,
    (file, target) => ({ as: (spec) => readTable(spec, file, target), place: null }),
    (builder, value) => {
      if (!value.place) throw new TypeError('a union of unknown layout cannot be written')
      return value.place(builder)
    },
  )
}
