import { EdgewrightError } from '../../error.ts'
import type { Opaque } from '../ops.ts'
import { type OpEntry, type Shaped, sameAsInput } from './entry.ts'

export const type = {
  Cast: sameAsInput,
  Identity: sameAsInput,
  Convert: sameAsInput,
  Opaque: { inputs: ['...?'], infer: refuseOpaque },
} satisfies {
  Cast: OpEntry<'Cast'>
  Identity: OpEntry<'Identity'>
  Convert: OpEntry<'Convert'>
  Opaque: OpEntry<'Opaque'>
}

function refuseOpaque(op: Opaque): Shaped[] {
  throw new EdgewrightError(
    'GRAPH_INVALID',
    `The output types of the operator ${op.opType} can only be declared, not inferred.`,
  )
}
