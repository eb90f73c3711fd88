import type { Constraint } from '../target.ts'

/** What limits rest on. `ours`: a judgement of this project that no vendor states. */
export const sources = {
  parser: 'onnx/onnx-tensorrt, docs/operators.md: operators and types that the ONNX parser takes',
  guide:
    'NVIDIA TensorRT documentation, Explicit Quantization (https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/quantized-types-explicit-quantization.html) and the older developer guides',
  dla: 'NVIDIA TensorRT developer guide 8.5 to 10, Working with DLA: general restrictions and layer support',
  modelopt:
    'NVIDIA Model Optimizer, modelopt/onnx/quantization (int8.py, graph_utils.py): what NVIDIA’s own ONNX quantizer leaves out',
  ours: 'no source read here says so: a judgement of this project, to be seen on a board',
} as const

export interface Limit extends Constraint {
  readonly source: keyof typeof sources
}
