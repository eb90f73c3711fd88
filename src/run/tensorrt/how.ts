import { type Preset, presets } from '../../measure/presets.ts'
import { planTurns } from '../../measure/trtexec/turns.ts'
import type { Plan } from '../../measure/plan.ts'
import type { Progress } from '../../progress.ts'
import type { MeasureRequest } from './measure.ts'

export interface HowRequest {
  readonly engines: number
  readonly preset: Preset
  readonly rateHz: number
  readonly layers: boolean
  readonly sensors: Plan['sensors']
}

/**
 * What a preset means for trtexec. Copies to and from the device count in, since an application has them; kernels are
 * launched as a CUDA graph where the engine allows it, which TensorRT 11 does by itself: the same in every version.
 */
export function howToMeasure(request: HowRequest, progress: Progress): Omit<MeasureRequest, 'engines'> {
  const { warmup, measure, windows, shared } = presets[request.preset]
  if (request.rateHz > 0)
    progress.warn({
      code: 'RATE_IGNORED',
      message: 'trtexec keeps no fixed rate; engines were measured flat out.',
      hint: 'Leave --rate out for tensorrt.',
    })
  const share = shared ? request.engines : 1
  return {
    turns: planTurns({
      engines: request.engines,
      seconds: measure.minSeconds / share,
      count: measure.minCount,
      warmUpSeconds: warmup.minSeconds,
      windows,
    }),
    layers: request.layers,
    transfers: true,
    cudaGraph: true,
    sensors: request.sensors,
  }
}
