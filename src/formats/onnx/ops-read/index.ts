import { activation } from './activation.ts'
import { constants } from './constants.ts'
import { convolution } from './convolution.ts'
import { elementwise } from './elementwise.ts'
import { matrix } from './matrix.ts'
import { movement } from './movement.ts'
import { normalization } from './normalization.ts'
import { pool } from './pool.ts'
import { quantization } from './quantization.ts'
import { reduction } from './reduction.ts'
import { resize } from './resize.ts'
import type { ReadTable } from './table.ts'

/** Every operator of the default domain that we can say in our own op set. A Map: names come from the file. */
export const readTable: ReadonlyMap<string, ReadTable[string]> = new Map(
  Object.entries({
    ...activation,
    ...constants,
    ...convolution,
    ...elementwise,
    ...matrix,
    ...movement,
    ...normalization,
    ...pool,
    ...quantization,
    ...reduction,
    ...resize,
  }),
)
