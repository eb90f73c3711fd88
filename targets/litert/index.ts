import type { Target } from '../target.ts'
import { constraints } from './constraints.ts'
import { emit } from './emit.ts'
import { inspect } from './inspect.ts'
import { prepare, tailor, wantedTensors } from './prepare.ts'
import { runtimes } from './runtime.ts'

/** LiteRT (TensorFlow Lite) on the CPU, with XNNPACK. */
export const litert: Target = {
  name: 'litert',
  describe:
    'LiteRT (TensorFlow Lite) on the CPU of ARM64 and x64: int8 kernels of XNNPACK, LiteRT’s own where it has none',
  available: true,
  engine: 'litert',
  schemes: ['full-int8', 'int16x8', 'dynamic', 'weight-only', 'float16', 'float'],
  // LiteRT's AVERAGE_POOL_2D, and XNNPACK's bilinear resizing in fixed point
  ties: { AveragePool: 'away-from-zero', Resize: 'up' },
  constraints,
  tailor,
  inspect,
  wantedTensors,
  prepare,
  emit,
  runtimes,
}
