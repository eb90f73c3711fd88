import type { Target } from '../target.ts'
import { constraints } from './constraints.ts'
import { complete, emit, preparation } from './emit.ts'
import { inspect } from './inspect.ts'
import { prepare, tailor, wantedTensors } from './prepare.ts'
import { runtimes } from './runtime.ts'
import { summary } from './summary.ts'

/** TensorRT on NVIDIA Jetson: ONNX with Q/DQ, of which the board's own trtexec builds an engine. */
export const tensorrt: Target = {
  name: 'tensorrt',
  describe:
    'TensorRT on NVIDIA Jetson: ONNX with explicit quantization; the engine is built on the board by its trtexec',
  available: true,
  engine: 'onnxruntime',
  schemes: ['full-int8', 'float16', 'float'],
  refusals: {
    int16x8: 'TensorRT has no kernels with int16 activations.',
    dynamic: 'TensorRT does not quantize activations as it runs: use full-int8 or float16.',
    'weight-only': 'TensorRT computes int8 weights with int8 activations only: use full-int8 or float16.',
  },
  insteadOfInt8: 'float16',
  acceleratesFloat: true,
  plainQdq: true,
  constraints,
  tailor,
  inspect,
  summary,
  wantedTensors,
  prepare,
  emit,
  complete,
  preparation,
  runtimes,
}
