import type { OpKind } from '../ops.ts'
import { activation } from './activation.ts'
import { convolution } from './convolution.ts'
import { elementwise } from './elementwise.ts'
import type { OpEntry } from './entry.ts'
import { matrix } from './matrix.ts'
import { movement } from './movement.ts'
import { normalization } from './normalization.ts'
import { pool } from './pool.ts'
import { reduction } from './reduction.ts'
import { type } from './type.ts'

/** What is known about every kind of operator. A kind without an entry does not compile. */
export const opTable: { readonly [K in OpKind]: OpEntry<K> } = {
  ...convolution,
  ...matrix,
  ...normalization,
  ...activation,
  ...elementwise,
  ...pool,
  ...movement,
  ...reduction,
  ...type,
}
