import { biasHandovers, handOverBiases } from '../../passes/absorb-bias.ts'
import { absorbedConstants, type AbsorptionRule } from '../../quantize/bias-absorption.ts'
import type { TensorRange } from '../../quantize/ranges.ts'
import type { Improvement, ProposedTrial } from './improvement.ts'

const rules: readonly AbsorptionRule[] = ['observed', 'three-sigma']

/** Biases that lift whole channels go on to the layers that read them: the range that all channels share gets narrower. */
export const absorbBias: Improvement = {
  name: 'high-bias absorption',
  presets: ['balanced', 'best'],
  marginDb: 0.1,
  async propose({ trial }, { calibrate }) {
    const handovers = biasHandovers(trial.graph)
    if (handovers.length === 0)
      return { declined: 'no layer goes to layers without zero padding only, a ReLU between them or nothing' }
    const trials: ProposedTrial[] = []
    const seen = new Set<string>()
    for (const rule of rules) {
      const chosen = handovers.flatMap((handover) => {
        const statistics = statisticsOf(trial.ranges.get(handover.read), handover.maker.outputChannels)
        const constants = statistics && absorbedConstants(statistics, handover.activation, rule)
        return constants ? [{ handover, constants }] : []
      })
      // both rules may say the same
      const key = JSON.stringify(chosen.map(({ handover, constants }) => [handover.read, [...constants]]))
      if (chosen.length === 0 || seen.has(key)) continue
      seen.add(key)
      const graph = handOverBiases(trial.graph, chosen)
      trials.push({
        name: `biases of ${chosen.length} ${chosen.length === 1 ? 'layer' : 'layers'} absorbed, ${rule === 'observed' ? 'by the least seen' : 'by mean − 3σ'}`,
        trial: { ...trial, graph, ranges: await calibrate(graph) },
      })
    }
    return trials.length > 0
      ? { trials }
      : {
          declined: `biases lift no channel of ${handovers.length === 1 ? 'the one layer' : `${handovers.length} layers`} that could hand them over so that its range would get narrower`,
        }
  },
}

function statisticsOf(range: TensorRange | undefined, channels: number) {
  if (range?.channelMin?.length !== channels) return null
  return {
    min: range.channelMin,
    max: range.channelMax!,
    mean: range.channelMeans!,
    meanOfSquares: range.channelMeanSquares!,
  }
}
