import { EdgewrightError } from '../../error.ts'
import type { Method } from '../context.ts'

export const lowRankMethod: Method = async () => {
  throw new EdgewrightError('INTERNAL', 'Internal error: low-rank factors are not built yet.')
}
