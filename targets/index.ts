import { edgetpu } from './edgetpu/index.ts'
import { litert } from './litert/index.ts'
import { onnxruntime } from './onnxruntime/index.ts'
import { tensorrt } from './tensorrt/index.ts'
import type { PlannedTarget, Target } from './target.ts'

const meanwhile = 'Use --target onnxruntime: it runs on the CPU of the same board.'

function planned(name: string, describe: string): PlannedTarget {
  return { name, describe, available: false, schemes: [], meanwhile }
}

/** Every target that a profile may name. One that is not built yet is named, so that a fallback can be named too. */
export const targets: Readonly<Record<string, Target | PlannedTarget>> = {
  onnxruntime,
  litert,
  edgetpu,
  tensorrt,
  rknn: planned('rknn', 'RKNN on Rockchip NPUs'),
  vx: planned('vx', 'VX delegate on the i.MX8M Plus NPU'),
  'cortex-m': planned('cortex-m', 'TensorFlow Lite Micro with CMSIS-NN on Cortex-M'),
  'ethos-u': planned('ethos-u', 'Arm Ethos-U through Vela'),
}
