import type { Target } from '../target.ts'
import { constraints } from './constraints.ts'
import { emit } from './emit.ts'
import { inspect } from './inspect.ts'
import { prepare, wantedTensors } from './prepare.ts'
import { runtimes } from './runtime.ts'

/** ONNX Runtime's CPU provider on ARM64 and x64. */
export const onnxruntime: Target = {
  name: 'onnxruntime',
  describe:
    'ONNX Runtime on the CPU (ARM64 and x64): ONNX with Q/DQ, integer kernels where they exist, float elsewhere',
  available: true,
  schemes: ['full-int8', 'float'],
  constraints,
  inspect,
  wantedTensors,
  prepare,
  emit,
  runtimes,
}
