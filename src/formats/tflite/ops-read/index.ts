import { activation } from './activation.ts'
import { constants } from './constants.ts'
import { convolution } from './convolution.ts'
import { elementwise } from './elementwise.ts'
import { matrix } from './matrix.ts'
import { movement } from './movement.ts'
import { pool } from './pool.ts'
import { reduction } from './reduction.ts'
import { resize } from './resize.ts'
import { slice } from './slice.ts'
import type { ReadTable } from './table.ts'
import { type } from './type.ts'

/** Every operator that is read, by the file's name for it. */
export const readTable: ReadTable = {
  ...convolution,
  ...pool,
  ...matrix,
  ...activation,
  ...elementwise,
  ...reduction,
  ...movement,
  ...slice,
  ...resize,
  ...type,
  ...constants,
}
