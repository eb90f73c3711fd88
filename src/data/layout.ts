import { EdgewrightError } from '../error.ts'
import type { InputSpec } from './types.ts'

export type Layout = 'NCHW' | 'NHWC'

/** An input that takes one picture. */
export interface ImageShape {
  readonly layout: Layout
  readonly height: number
  readonly width: number
  readonly channels: 1 | 3
}

const channelCounts = [1, 3]

/**
 * Reads an input's shape as a picture's: the axis with 1 or 3 elements holds the channels.
 *
 * @throws DATA_SHAPE where no axis does, or both could and `layout` does not say which
 */
export function imageShape(spec: InputSpec, layout?: Layout | null): ImageShape {
  const { shape } = spec
  const where = `input ${spec.name}`
  if (shape.length !== 4 || shape[0] !== 1)
    throw new EdgewrightError('DATA_SHAPE', `Input ${spec.name} does not take pictures.`, {
      where,
      saw: `shape [${shape.join(', ')}]`,
      hint: 'Pictures need an input [1, channels, height, width] or [1, height, width, channels]; other data goes in an .npz, a data.yaml or a loader.mjs.',
    })
  const first = channelCounts.includes(shape[1]!)
  const last = channelCounts.includes(shape[3]!)
  const found = layout ?? (first && last ? null : first ? 'NCHW' : last ? 'NHWC' : undefined)
  if (found === null)
    throw new EdgewrightError('DATA_SHAPE', `Input ${spec.name} could be channels first or channels last.`, {
      where,
      saw: `shape [${shape.join(', ')}]`,
      hint: 'Say `layout: NCHW` or `layout: NHWC` under `preprocess`.',
    })
  const channels = found === 'NCHW' ? shape[1] : shape[3]
  if (found === undefined || (channels !== 1 && channels !== 3))
    throw new EdgewrightError('DATA_SHAPE', `Input ${spec.name} has neither one channel nor three.`, {
      where,
      saw: `shape [${shape.join(', ')}]${found ? `, layout ${found}` : ''}`,
      hint: 'Other data than gray or colour pictures goes in an .npz, a data.yaml or a loader.mjs.',
    })
  const [height, width] = found === 'NCHW' ? [shape[2]!, shape[3]!] : [shape[1]!, shape[2]!]
  return { layout: found, height, width, channels }
}

/** Axis of a sample's tensor (batch 1 included) that counts channels, or null where the layout is not known. */
export function channelAxis(layout: Layout | null, rank: number): number | null {
  return layout === null ? null : layout === 'NCHW' ? 1 : rank - 1
}
