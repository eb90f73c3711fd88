import { convertLayout } from '../../src/passes/layout.ts'
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
  engine: 'onnxruntime',
  schemes: ['full-int8', 'dynamic', 'weight-only', 'float16', 'float'],
  refusals: {
    int16x8: 'The CPU provider of ONNX Runtime has no convolution with int16 activations.',
  },
  constraints,
  tailor: (graph) =>
    graph.nodes.some(({ op }) => 'layout' in op && op.layout === 'channels-last')
      ? convertLayout(graph, 'channels-first')
      : graph,
  inspect,
  wantedTensors,
  prepare,
  emit,
  runtimes,
}
