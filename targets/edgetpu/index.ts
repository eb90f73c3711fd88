import { litert } from '../litert/index.ts'
import type { Target } from '../target.ts'
import { constraints } from './constraints.ts'
import { finish, labelOf } from './finish.ts'
import { inspect } from './inspect.ts'
import { litertOptions, prepare, tailor, wantedTensors } from './prepare.ts'
import { summary } from './summary.ts'

/**
 * Google's Edge TPU (Coral): LiteRT's int8 file, rewritten so that more of it maps. What is emitted runs with LiteRT
 * as it is; it is an Edge TPU model only after `compileForEdgeTpu`.
 */
export const edgetpu: Target = {
  name: 'edgetpu',
  describe:
    'Coral Edge TPU through LiteRT: int8 .tflite, compiled by Google’s edgetpu_compiler where it is at hand',
  available: true,
  engine: 'litert',
  schemes: ['full-int8'],
  constraints,
  tailor,
  inspect,
  summary,
  wantedTensors,
  prepare,
  emit: (typed, options) => litert.emit(typed, litertOptions(options)),
  finish: (emitted, host, signal) => finish(emitted, host, { signal }),
  labelOf,
  runtimes: (architecture) => litert.runtimes(architecture),
}
