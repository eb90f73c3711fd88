import type { OpKind } from '../graph/ops.ts'

/** Which way a kernel rounds what lies halfway between two stored integers. */
export type TieRounding = 'away-from-zero' | 'up'

/** By operator, for 8-bit kernels that average on one scale; halves of the others go to the even integer. */
export type Ties = Readonly<Partial<Record<OpKind, TieRounding>>>
