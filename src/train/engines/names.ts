/** What computes the steps of a training: ONNX Runtime, or a TensorFlow.js of the user's own. */
export const engineNames = ['onnxruntime', 'tfjs', 'tfjs-node'] as const
export type EngineName = (typeof engineNames)[number]
