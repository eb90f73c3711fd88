import type { Op } from '../../../graph/ops.ts'
import { EdgewrightError } from '../../../error.ts'
import { type LayerCall, type LayerTable, layoutOf, overAxes, spatialSizes } from './layer.ts'

export const resizeLayers: LayerTable = {
  UpSampling1D: ({ graph, config, inputs }) => {
    const factor = config.perAxis('size', 1, 2)[0]!
    const [batch, steps, features] = graph.shape(inputs[0]!) as [number, number, number]
    const apart = graph.node({ kind: 'Reshape', shape: [batch, steps, 1, features] }, inputs)
    const repeated = graph.node({ kind: 'Tile', repeats: [1, 1, factor, 1] }, [apart])
    return [graph.node({ kind: 'Reshape', shape: [batch, steps * factor, features] }, [repeated])]
  },
  UpSampling2D: (call) => {
    const factors = call.config.perAxis('size', 2, 2)
    const { size } = spatialSizes(call.graph.shape(call.inputs[0]!), layoutOf(call))
    return [
      resize(
        call,
        size.map((length, i) => length * factors[i]!),
      ),
    ]
  },
  Resizing: (call) => {
    for (const setting of ['crop_to_aspect_ratio', 'pad_to_aspect_ratio'])
      if (call.config.flag(setting, false)) throw unsupported(call, setting)
    return [resize(call, [call.config.integer('height'), call.config.integer('width')])]
  },
}

/** TensorFlow's image resizing: half-pixel centres for both; the nearest is the pixel that holds the centre. */
function resize(call: LayerCall, size: readonly number[]): string {
  const { graph, config, inputs } = call
  const [x] = inputs as [string]
  const layout = layoutOf(call)
  const shape = graph.shape(x)
  const batch = shape[0]!
  const { channels } = spatialSizes(shape, layout)
  const sizes = layout === 'channels-last' ? [batch, ...size, channels] : [batch, channels, ...size]
  const interpolation = config.text('interpolation', config.has('height') ? 'bilinear' : 'nearest')
  if (interpolation !== 'nearest' && interpolation !== 'bilinear')
    throw unsupported(call, `interpolation ${JSON.stringify(interpolation)}`)
  if (config.raw('antialias') === true) throw unsupported(call, 'antialias')
  const old = spatialSizes(shape, layout).size
  const scales = overAxes(
    size.map((length, i) => length / old[i]!),
    1,
    layout,
  )
  const nearest = interpolation === 'nearest'
  const op: Op = {
    kind: 'Resize',
    mode: nearest ? 'nearest' : 'linear',
    sizes,
    scales,
    coordinateTransformation: nearest ? 'tf_half_pixel_for_nn' : 'half_pixel',
    nearestMode: 'floor',
    cubicCoefficient: -0.75,
    excludeOutside: false,
    extrapolationValue: 0,
    roi: null,
    antialias: false,
    layout,
  }
  return graph.node(op, [x])
}

function unsupported({ className, name }: LayerCall, what: string): EdgewrightError {
  return new EdgewrightError('OPERATOR_UNSUPPORTED', `${className} with ${what} is not supported.`, {
    where: `${className} ${name}`,
    hint: 'Use nearest or bilinear without further options.',
  })
}
