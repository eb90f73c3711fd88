import { activationLayers } from './activations.ts'
import { convolutionLayers } from './convolutions.ts'
import { denseLayers } from './dense.ts'
import type { LayerTable } from './layer.ts'
import { mergeLayers } from './merges.ts'
import { normalizationLayers } from './normalizations.ts'
import { poolLayers } from './pools.ts'
import { quantizedLayers } from './quantized.ts'
import { recurrentLayers } from './recurrent.ts'
import { shapeLayers } from './shapes.ts'

/** Every layer class that is read, of Keras 2, Keras 3 and tfjs alike. */
export const layerTable: LayerTable = {
  ...activationLayers,
  ...convolutionLayers,
  ...denseLayers,
  ...mergeLayers,
  ...normalizationLayers,
  ...poolLayers,
  ...quantizedLayers,
  ...recurrentLayers,
  ...shapeLayers,
}
